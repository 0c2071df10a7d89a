"""Kill the engine, the server and the database at random moments: no run is lost, none runs twice.

Each test is a 12-stage pipeline on the local cloud. Faults are seeded; what they hit depends on
the machine's speed, so the demands are on what must never happen, not on when.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.crash.pipeline import STAGES, expected, journal_faults, spec
from tests.support.server import NewServer, ServerHome, eventually

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

TARGETS = ("engine-1", "server", "postgres")
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.full) for seed in (2, 3, 4))]


def submit(server: ServerHome, journal: Path, seconds: float = 0.4) -> str:
    """Start the crash pipeline; the run's id."""
    return str(server.api("POST", "/runs", {"spec": spec(journal, seconds)})["id"])


def patient_end(server: ServerHome, run: str, seconds: float) -> dict[str, Any]:
    """The ended run, asked for through a server that comes and goes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            row: dict[str, Any] = server.api("GET", f"/runs/{run}")
        except (OSError, AssertionError, ValueError):
            time.sleep(0.5)
            continue
        if row["state"] in ("succeeded", "failed", "cancelled"):
            return row
        time.sleep(0.2)
    log = (server.home / "logs/server/engine-1.log").read_text()[-3000:]
    pytest.fail(f"run {run} did not end within {seconds:g} s\n{log}")


def last_output(server: ServerHome, row: dict[str, Any]) -> list[str]:
    """The lines of the last stage's output."""
    digest = next(s for s in row["stages"] if s["key"] == "s5a")["outputs"]["value"]
    raw = server.call("GET", f"/artifacts/{digest}/tar").body
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        member = next(m for m in tar.getmembers() if m.name.endswith("value"))
        stream = tar.extractfile(member)
        assert stream is not None
        return stream.read().decode().split()


def node_processes(home: Path) -> list[str]:
    """Agents and jobs of this home that live."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            ours = str(home / "nodes") in process.environ().get("STIX_RESULT", "")
            if ours or (str(home) in line and ".pyz" in line):
                found.append(f"{process.pid} {line[:100]}")
        except psutil.Error:
            continue
    return found


def check_run(server: ServerHome, row: dict[str, Any], journal: Path) -> None:
    """The demands: right outputs, nothing twice, nothing left."""
    assert row["state"] == "succeeded", json.dumps(row.get("error"))
    assert len(row["stages"]) == STAGES
    assert {s["state"] for s in row["stages"]} == {"succeeded"}
    assert last_output(server, row) == expected()
    assert journal_faults(journal) == []
    assert node_processes(server.home) == []
    assert list((server.home / "nodes").iterdir()) == []


def prefect_states(server: ServerHome, run: str) -> dict[str, int]:
    """How many task runs of a run are in which state in Prefect."""
    body = json.dumps({"task_runs": {"tags": {"all_": [f"stix-run:{run}"]}}, "limit": 200})
    request = urllib.request.Request(
        f"{server.url}/api/task_runs/filter",
        data=body.encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        rows = json.load(answer)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state_type"]] = counts.get(row["state_type"], 0) + 1
    return counts


@pytest.fixture(scope="module")
def crash_server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One server for the tests that leave it working."""
    from tests.support.server import make_home

    server = ServerHome(make_home())
    yield server.start()
    server.clean()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", SEEDS)
def test_one_kill(crash_server: ServerHome, tmp_path: Path, target: str, seed: int) -> None:
    """A kill -9 at a random moment of a run that takes about five seconds."""
    moment = random.Random(f"{target}-{seed}").uniform(0.1, 4.5)
    run = submit(crash_server, tmp_path)
    time.sleep(moment)
    crash_server.kill(target)
    row = patient_end(crash_server, run, 90)
    check_run(crash_server, row, tmp_path)
    deadline = time.monotonic() + 45  # the recorder writes task runs with a delay
    while set(prefect_states(crash_server, run)) - {"COMPLETED", "CRASHED"}:
        assert time.monotonic() < deadline, prefect_states(crash_server, run)
        time.sleep(1)


def _killer(server: ServerHome, seed: int, stop: threading.Event, killed: list[str]) -> None:
    chance = random.Random(seed)
    end = time.monotonic() + 60
    while time.monotonic() < end and not stop.wait(chance.uniform(1.5, 4)):
        target = chance.choice(TARGETS)
        row = server.processes().get(target, {})
        if row.get("pid"):
            try:
                server.kill(target)
                killed.append(target)
            except psutil.NoSuchProcess:
                continue


@pytest.mark.full
@pytest.mark.parametrize("seed", range(5))
def test_chaos(new_server: NewServer, tmp_path: Path, seed: int) -> None:
    """A random one of the three every 1.5 to 4 s for 60 s; then quiet."""
    server = new_server()
    run = submit(server, tmp_path, seconds=2.0)
    stop, killed = threading.Event(), list[str]()
    thread = threading.Thread(target=_killer, args=(server, seed, stop, killed))
    thread.start()
    try:
        thread.join()
        row = patient_end(server, run, 180)
    finally:
        stop.set()
        thread.join()
    assert len(killed) >= 10, killed
    check_run(server, row, tmp_path)


def test_stopped_engine_does_nothing_after_it_wakes(new_server: NewServer, tmp_path: Path) -> None:
    """SIGSTOP for 20 s while a second engine takes over; then SIGCONT."""
    server = new_server("server: {engines: 2}\n")
    run = submit(server, tmp_path, seconds=3.0)
    owner = eventually(lambda: _owner(server, run), hint="a claim of the run")
    time.sleep(3)
    pid = server.pid(owner)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(20)
    finally:
        os.kill(pid, signal.SIGCONT)
    _wait(lambda: not psutil.pid_exists(pid), 10, "the engine that woke should end")
    assert "lease lost" in (server.home / f"logs/server/{owner}.log").read_text()
    row = patient_end(server, run, 90)
    check_run(server, row, tmp_path)
    assert {a["number"] for s in row["stages"] for a in s["attempts"]} == {1}


def _owner(server: ServerHome, run: str) -> str | None:
    """The engine that holds the run: the newest claim among its events, if there is one."""
    events = server.api("GET", f"/runs/{run}/events?after=0")
    claims = [e for e in events if e["kind"] == "lease" and e["data"]["action"] == "claimed"]
    return str(claims[-1]["data"]["engine"]).rsplit("-", 1)[0] if claims else None


def _wait(what: Callable[[], bool], seconds: float, hint: str) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, hint
        time.sleep(0.1)
