"""States of runs and stages in SkyPilot's words; each of ours has one."""

from __future__ import annotations

from typing import Any

import pytest

import stix.sky as sky
from stix.sky import runs
from stix.spec.states import RunState, StageState

Jobs = sky.ManagedJobStatus


def attempt(number: int, steps: tuple[str, ...] = (), kind: str = "") -> dict[str, Any]:
    event = {"kind": kind} if kind else None
    return {"number": number, "steps": {step: {} for step in steps}, "event": event, "nodes": []}


def stage(state: str, *attempts: dict[str, Any]) -> dict[str, Any]:
    return {"state": state, "attempts": list(attempts)}


@pytest.mark.parametrize(
    ("run", "of", "wanted"),
    [
        ("queued", stage("pending"), Jobs.PENDING),
        ("running", stage("pending"), Jobs.PENDING),
        ("running", stage("running"), Jobs.STARTING),
        ("running", stage("running", attempt(1, ("place",))), Jobs.STARTING),
        ("running", stage("running", attempt(1, ("place", "sync"))), Jobs.RUNNING),
        ("running", stage("running", attempt(1), attempt(2)), Jobs.RECOVERING),
        ("running", stage("running", attempt(1), attempt(2, ("sync",))), Jobs.RUNNING),
        ("cancelling", stage("running", attempt(1, ("sync",))), Jobs.CANCELLING),
        ("succeeded", stage("succeeded", attempt(1)), Jobs.SUCCEEDED),
        ("succeeded", stage("cached"), Jobs.SUCCEEDED),
        ("succeeded", stage("skipped"), Jobs.SUCCEEDED),
        ("failed", stage("failed", attempt(1, (), "user_error")), Jobs.FAILED),
        ("failed", stage("failed", attempt(1, (), "setup_failed")), Jobs.FAILED_SETUP),
        ("failed", stage("failed", attempt(1, (), "capacity")), Jobs.FAILED_NO_RESOURCE),
        ("failed", stage("failed"), Jobs.FAILED),
        ("failed", stage("upstream_failed"), Jobs.CANCELLED),
        ("cancelled", stage("cancelled"), Jobs.CANCELLED),
    ],
)
def test_a_stage(run: str, of: dict[str, Any], wanted: Any) -> None:
    assert runs.stage_status({"state": run}, of) is wanted


@pytest.mark.parametrize("state", StageState)
def test_a_stage_that_has_ended_has_ended_in_skypilots_words(state: StageState) -> None:
    word = runs.stage_status({"state": "running"}, stage(state))
    assert word.is_terminal() == state.final
    assert word.is_failed() == (state is StageState.FAILED)


@pytest.mark.parametrize("state", RunState)
def test_a_run_that_has_ended_has_ended_in_skypilots_words(state: RunState) -> None:
    run = {"state": state}
    assert runs.job_status(run).is_terminal() == state.final == (runs.exit_code(run) != 101)
    assert (runs.exit_code(run) == 0) == (runs.job_status(run) is sky.JobStatus.SUCCEEDED)


@pytest.mark.parametrize(
    ("state", "closed", "wanted"),
    [
        ("queued", None, sky.ClusterStatus.PENDING),
        ("running", "2026-01-01T00:00:00+00:00", sky.ClusterStatus.INIT),
        ("running", None, sky.ClusterStatus.UP),
    ],
)
def test_the_nodes_of_a_run(state: str, closed: str | None, wanted: Any) -> None:
    held = {**attempt(1), "nodes": [{"closed": closed}]}
    assert runs.cluster_status({"state": state, "stages": [stage("running", held)]}) is wanted
