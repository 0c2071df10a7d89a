"""The guard ends its process in time, whatever happened to the process meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stix.engine.guard import EXIT_LEASE_LOST, Guard
from tests.support.server import eventually

PROGRAM = """
import sys, time
from stix.engine.guard import Guard
guard = Guard({ttl}, lambda reason: print("last words:", reason, flush=True))
guard.renewed(time.monotonic())
try:
    print("begun", flush=True)
    while True:
        time.sleep(0.02)
        guard.check()
        print("acted", time.monotonic(), flush=True)
finally:
    print("finally", flush=True)
"""


@contextmanager
def guarded(ttl: float) -> Iterator[subprocess.Popen[str]]:
    """A process that acts as long as its guard lets it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(ttl=ttl)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        process.kill()
        process.wait()


def stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
        return stat.read().rpartition(")")[2].split()[0] == "T"


def test_a_process_whose_lease_runs_out_ends_without_finally() -> None:
    with guarded(0.3) as process:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == EXIT_LEASE_LOST == 75
    *acts, last = said.splitlines()
    assert last == "last words: the lease ran out by the engine's own clock"
    assert acts and all(line.startswith("acted") for line in acts)


def test_a_process_that_was_stopped_past_its_lease_does_not_act_again() -> None:
    with guarded(1.0) as process:
        os.kill(process.pid, signal.SIGSTOP)
        eventually(lambda: stopped(process.pid))
        over = time.monotonic() + 1.0
        eventually(lambda: time.monotonic() > over)
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == EXIT_LEASE_LOST
    acts = [float(line.split()[1]) for line in said.splitlines() if line.startswith("acted")]
    assert all(at < over for at in acts)


def test_a_lease_counts_from_before_the_renewal_was_sent() -> None:
    guard = Guard(10.0)
    asked = time.monotonic() - 4
    guard.renewed(asked)
    assert 5.0 < guard.remaining_s <= 6.0
    guard.renewed(asked - 3)  # a slow answer to an earlier renewal
    assert guard.remaining_s > 5.0


def test_a_guard_that_was_never_renewed_holds_nothing() -> None:
    assert Guard(10.0).remaining_s < 0


@pytest.mark.parametrize("ttl", [5.0])
def test_a_guard_in_time_lets_act(ttl: float) -> None:
    guard = Guard(ttl)
    guard.renewed(time.monotonic())
    guard.check()
    assert guard.remaining_s > 0
