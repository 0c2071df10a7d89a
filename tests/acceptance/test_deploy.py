"""Prefect deployments: `prefect deploy --all`, runs by hand and by schedule, an end too soon."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.leftovers import leftovers, prefect
from tests.acceptance.user import User
from tests.support.server import ServerHome, eventually, make_home

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
PREFECT = Path(sys.executable).with_name("prefect")
SLEEPER = "name: sleeper\nstages: {doze: {run: 'echo began; sleep %d; echo awake'}}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerHome]:
    made = ServerHome(make_home())
    try:
        yield made.start()
    finally:
        made.clean()


@pytest.fixture
def user(server: ServerHome, tmp_path: Path) -> User:
    """Somebody with a copy of the repository's root, as far as a deployment needs it."""
    shutil.copy(ROOT / "prefect.yaml", tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "sleeper.yaml").write_text(SLEEPER % 3)
    return User(server, tmp_path)


def run_prefect(user: User, *arguments: str) -> str:
    """The command `prefect` of a user who has a home of their own."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(user.folder),
        "PREFECT_API_URL": f"{user.server.url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    done = subprocess.run(
        [str(PREFECT), *arguments],
        cwd=user.folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(server: ServerHome, path: str) -> dict[str, Any]:
    """GET of the Prefect API."""
    with urllib.request.urlopen(f"{server.url}/api{path}", timeout=60) as response:
        found: dict[str, Any] = json.loads(response.read())
        return found


def start(user: User, *arguments: str) -> str:
    """`prefect deployment run pipeline/pipeline`; gives the flow run's id."""
    said = run_prefect(user, "deployment", "run", "pipeline/pipeline", *arguments)
    # Asked by name: the scheduler may add runs of the schedule at any moment.
    (new,) = re.findall(r"UUID: ([0-9a-f-]{36})", said)
    return str(new)


def in_ledger(server: ServerHome, flow_run: str) -> dict[str, Any] | None:
    """The run of the ledger that belongs to a flow run."""
    for row in server.api("GET", "/runs?limit=100"):
        whole: dict[str, Any] = server.api("GET", f"/runs/{row['id']}")
        if whole["flow_run_id"] == flow_run:
            return whole
    return None


def both_end(server: ServerHome, flow_run: str, seconds: float = 90) -> tuple[str, str]:
    """State of the flow run and of the ledger's run, once both have ended."""

    def ended() -> tuple[str, str] | None:
        state = read(server, f"/flow_runs/{flow_run}")["state_type"]
        row = in_ledger(server, flow_run)
        final = row is not None and row["ended"]
        if row is not None and final and state in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED"):
            return state, str(row["state"])
        return None

    end: tuple[str, str] = eventually(ended, seconds=seconds, every=0.3, hint=f"end of {flow_run}")
    return end


def began(user: User, flow_run: str) -> str:
    """Wait for the first line of the stage ``doze``; gives the run's id in the ledger."""
    row = eventually(lambda: in_ledger(user.server, flow_run), seconds=60, hint="a ledger run")
    user.said(row["id"], "doze", "began")
    return str(row["id"])


def test_deploy_all(user: User) -> None:
    """Both deployments, one with its schedule; the work pool was there before any worker asked."""
    pool = read(user.server, "/work_pools/stix")
    assert pool["type"] == "stix"
    said = run_prefect(user, "deploy", "--all", "--no-prompt")
    assert said.count("successfully created") == 2
    names = {row["name"]: row for row in prefect(user.server, "/deployments/filter")}
    assert set(names) >= {"pipeline", "hello-hourly"}
    (schedule,) = names["hello-hourly"]["schedules"]
    assert schedule["schedule"]["cron"] == "0 * * * *"
    assert schedule["active"]


def test_a_run_by_hand(user: User) -> None:
    run_prefect(user, "deploy", "--all", "--no-prompt")
    flow_run = start(user, "--param", "file=examples/hello.yaml")
    assert both_end(user.server, flow_run) == ("COMPLETED", "succeeded")
    row = in_ledger(user.server, flow_run)
    assert row is not None
    assert row["id"] in user.cli("runs").stdout


def test_a_scheduled_run(user: User) -> None:
    """Prefect's scheduler makes runs of an interval; the engine's worker runs them when due."""
    run_prefect(user, "deploy", "--all", "--no-prompt")
    names = {row["name"]: row for row in prefect(user.server, "/deployments/filter")}
    deployment = names["hello-hourly"]["id"]
    every = {"interval": 20, "anchor_date": datetime.now(UTC).isoformat(), "timezone": "UTC"}
    wish: Any = [{"schedule": every, "active": True}]
    prefect(user.server, f"/deployments/{deployment}/schedules", wish)

    def due() -> str | None:
        wanted = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
        (first, *_) = prefect(user.server, "/flow_runs/filter", {**wanted, "limit": 1}) or [None]
        begun = first and first["auto_scheduled"] and first["state_type"] != "SCHEDULED"
        return str(first["id"]) if begun else None

    flow_run = eventually(due, seconds=120, every=0.5, hint="a scheduled run starts")
    run_prefect(user, "deployment", "delete", "pipeline/hello-hourly")
    assert both_end(user.server, flow_run) == ("COMPLETED", "succeeded")


def test_cancelled_by_prefect(user: User) -> None:
    (user.folder / "sleeper.yaml").write_text(SLEEPER % 600)
    run_prefect(user, "deploy", "--name", "pipeline", "--no-prompt")
    flow_run = start(user, "--param", "file=sleeper.yaml")
    began(user, flow_run)
    run_prefect(user, "flow-run", "cancel", flow_run)
    assert both_end(user.server, flow_run) == ("CANCELLED", "cancelled")
    assert leftovers(user.server) == {}


def test_an_engine_dies(user: User) -> None:
    """The next engine completes the run, and the command ran once."""
    (user.folder / "sleeper.yaml").write_text(SLEEPER % 8)
    run_prefect(user, "deploy", "--name", "pipeline", "--no-prompt")
    flow_run = start(user, "--param", "file=sleeper.yaml")
    run = began(user, flow_run)
    user.server.kill("engine-1")
    assert both_end(user.server, flow_run) == ("COMPLETED", "succeeded")
    said = user.cli("logs", run, "doze").stdout
    assert said.split() == ["began", "awake"]
    (stage,) = user.show(run)["stages"]
    assert [attempt["state"] for attempt in stage["attempts"]] == ["succeeded"]
