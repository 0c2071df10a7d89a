"""The decorator example, run as its user runs it: `python flow.py`, with nothing set up before."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.leftovers import leftovers, prefect
from tests.support.server import ServerHome, eventually, make_home

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def empty() -> Iterator[ServerHome]:
    """A home without anything, not even a server."""
    server = ServerHome(make_home())
    try:
        yield server
    finally:
        command = [sys.executable, "-m", "stix.cli.main", "server", "stop"]
        subprocess.run(command, env={**os.environ, "STIX_HOME": str(server.home)}, check=False)
        server.clean()


def flow_runs(server: ServerHome) -> Counter[tuple[str, str]]:
    """How many flow runs of which flow are in which state."""
    flows = {row["id"]: row["name"] for row in prefect(server, "/flows/filter")}
    rows = prefect(server, "/flow_runs/filter", {"limit": 200})
    return Counter((flows[row["flow_id"]], row["state_type"]) for row in rows)


def task_runs(server: ServerHome) -> Counter[str]:
    """How many task runs were completed, by name without Prefect's random end."""
    rows = prefect(server, "/task_runs/filter", {"limit": 200})
    return Counter(row["name"].split("-")[0] for row in rows if row["state_type"] == "COMPLETED")


def test_python_flow(empty: ServerHome, tmp_path: Path) -> None:
    """A server starts by itself; the flow, its task and its stages are in the server's Prefect."""
    shutil.copy(ROOT / "examples" / "decorator" / "flow.py", tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "STIX_HOME": str(empty.home)}
    done = subprocess.run(
        [sys.executable, "flow.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said
    shown = re.search(r"pi is about ([0-9.]+)", said)
    assert shown is not None, said
    assert abs(float(shown[1]) - 3.1416) < 0.02
    expected = {"estimate-pi": 1, "pipeline": 3, "stage": 3}
    assert flow_runs(empty) == {(name, "COMPLETED"): n for name, n in expected.items()}
    steps = dict.fromkeys(("place", "provision", "sync", "run", "collect", "release"), 3)
    # The call in the user's flow, and the wrapper of the stage in the run's.
    tasks = {"seeds": 1, "throw_darts": 4, "average": 2, **steps}
    eventually(lambda: task_runs(empty) == tasks, seconds=45, hint="task runs in the Prefect API")
    assert [row["state"] for row in empty.api("GET", "/runs")] == ["succeeded"] * 3
    assert leftovers(empty) == {}
