"""What becomes of a stage when those it needs have ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from stix.flows.pipeline import PipelineRun
from stix.spec.states import StageState
from tests.support.workshop import Workshop

G, C, F, S, U = "succeeded", "cached", "failed", "skipped", "upstream_failed"

TEXT = """
name: v
stages:
  first: {run: "true", outputs: {data: out}}
  many:
    matrix: {x: [1, 2, 3, 4]}
    allowed_failures: 50%
    outputs: {data: out}
    run: "true"
  waits: {needs: [first, many], run: "true"}
  takes: {inputs: {data: first.data}, run: "true"}
  gathers: {inputs: {data: many.data}, run: "true"}
  asks: {needs: [first], when: stages.first.result.score > 0.5, run: "true"}
  status: {needs: [first], when: stages.first.status == "skipped", run: "true"}
"""


async def judge(
    workshop: Workshop, states: Mapping[str, str], score: float | None = None
) -> PipelineRun:
    """The pipeline, with the stages in these states."""
    run = await workshop.context(TEXT)
    for key, state in states.items():
        result = {"score": score} if score is not None else None
        run.stage_rows[key] = replace(run.stage_rows[key], state=StageState(state), result=result)
    return PipelineRun(run)


def many(*states: str) -> dict[str, str]:
    return {f"many[x={n}]": state for n, state in enumerate(states, 1)}


@pytest.mark.parametrize(
    ("key", "states", "verdict", "bad"),
    [
        ("waits", {"first": G, **many(G, G, G, G)}, None, []),
        ("waits", {"first": C, **many(G, C, G, C)}, None, []),
        ("waits", {"first": S, **many(S, S, S, S)}, None, []),
        ("waits", {"first": F, **many(G, G, G, G)}, U, ["first"]),
        ("waits", {"first": U, **many(G, G, G, G)}, U, ["first"]),
        ("waits", {"first": G, **many(F, F, G, G)}, None, []),
        ("waits", {"first": G, **many(F, F, F, G)}, U, [f"many[x={n}]" for n in (1, 2, 3)]),
        ("takes", {"first": G}, None, []),
        ("takes", {"first": S}, S, []),
        ("takes", {"first": F}, U, ["first"]),
        ("gathers", many(F, F, G, G), None, []),
        ("gathers", many(F, S, G, S), None, []),
        ("gathers", many(S, S, S, S), S, []),
        ("gathers", many(F, F, S, S), U, ["many"]),
        ("gathers", many(F, F, F, S), U, [f"many[x={n}]" for n in (1, 2, 3)]),
    ],
)
async def test_a_stage_runs_only_where_it_has_what_it_needs(
    workshop: Workshop, key: str, states: dict[str, str], verdict: str | None, bad: list[str]
) -> None:
    pipeline = await judge(workshop, states)
    point = pipeline.run.points[key]
    assert pipeline.verdicts.of(point) == verdict
    assert pipeline.verdicts.bad_needs(point) == bad


@pytest.mark.parametrize(
    ("key", "state", "score", "verdict"),
    [
        ("asks", G, 0.9, None),
        ("asks", C, 0.9, None),
        ("asks", G, 0.1, S),
        ("status", S, None, None),
        ("status", G, None, S),
    ],
)
async def test_conditions_speak_of_results_and_states(
    workshop: Workshop, key: str, state: str, score: float | None, verdict: str | None
) -> None:
    pipeline = await judge(workshop, {"first": state}, score)
    assert pipeline.verdicts.of(pipeline.run.points[key]) == verdict


@pytest.mark.parametrize(
    ("states", "failed"),
    [
        ({"first": G, **many(G, G, G, G)}, []),
        ({"first": G, **many(F, F, G, G)}, []),
        ({"first": G, **many(F, F, F, G)}, [f"many[x={n}]" for n in (1, 2, 3)]),
        ({"first": F, **many(F, G, G, G), "waits": U}, ["first"]),
        ({"first": S, "takes": S}, []),
    ],
)
async def test_a_run_fails_by_stages_with_more_failures_than_allowed(
    workshop: Workshop, states: dict[str, str], failed: list[str]
) -> None:
    assert (await judge(workshop, states)).verdicts.failed_stages() == failed
