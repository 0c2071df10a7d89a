"""Circuits in the ledger: shared by processes, and there after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Any

import asyncpg
import pytest

from stix.clouds.errors import CircuitOpen, TransientError
from stix.clouds.wrappers import Breaker, BreakerPolicy, wrap
from stix.ledger import Ledger
from tests.clouds.wrappers.flaky import Flaky
from tests.support.breakers import COOLDOWN_S, KEY, BreakerStoreChecks, Shelf

POLICY = BreakerPolicy(failures=3)

_LATER = """
    UPDATE breakers SET opened = opened - $1 * interval '1 second',
        until = until - $1 * interval '1 second',
        probe_until = probe_until - $1 * interval '1 second'"""


@pytest.fixture
def on_shelf(ledger: Ledger, raw: asyncpg.Connection) -> Shelf:
    async def wait(seconds: float) -> None:
        await raw.execute(_LATER, seconds)

    return Shelf(ledger, wait)


class TestInTheLedger(BreakerStoreChecks):
    @pytest.fixture
    def shelf(self, on_shelf: Shelf) -> Shelf:
        return on_shelf


async def test_after_a_restart_the_next_call_does_not_reach_the_provider(
    ledger: Ledger, url: str
) -> None:
    inner = Flaky([TransientError("503") for _ in range(3)])
    cloud = wrap(inner, [Breaker(ledger, POLICY)])
    for _ in range(3):
        with pytest.raises(TransientError):
            await cloud.check()
    again = await Ledger.open(url)
    try:
        anew = Flaky()
        with pytest.raises(CircuitOpen, match="3 calls failed in a row, the last with: 503"):
            await wrap(anew, [Breaker(again, POLICY)]).check()
        assert anew.calls == []
    finally:
        await again.close()


RACER = """
import asyncio, sys
from stix.ledger import Ledger
async def main():
    ledger = await Ledger.open(sys.argv[1])
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    won = [await ledger.claim_probe(("comet", f"r{i}"), sys.argv[2], 60) for i in range(50)]
    print("".join("x" if each else "." for each in won), flush=True)
    await ledger.close()
asyncio.run(main())
"""


async def started(code: str, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, stdin=pipe, stdout=pipe
    )


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def ended(processes: list[asyncio.subprocess.Process]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_processes_that_race_for_a_probe_have_one_winner(on_shelf: Shelf, url: str) -> None:
    for number in range(50):
        await on_shelf.fail(3, key=("comet", f"r{number}"))
    await on_shelf.wait(COOLDOWN_S + 1)
    racers = [await started(RACER, url, name) for name in ("one", "two")]
    try:
        assert [await line(racer) for racer in racers] == ["ready", "ready"]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write(b"\n")
        first, second = [await line(racer) for racer in racers]
    finally:
        await ended(racers)
    assert len(first) == len(second) == 50
    assert all(sorted(pair) == [".", "x"] for pair in zip(first, second, strict=True))


DOOMED = """
import asyncio, sys
from stix.ledger import Ledger
async def main():
    ledger = await Ledger.open(sys.argv[1])
    print(await ledger.claim_probe(("comet", "eu"), "doomed", 1.0), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_the_probe_of_a_process_that_died_is_given_to_another(
    on_shelf: Shelf, url: str
) -> None:
    await on_shelf.fail(3)
    await on_shelf.wait(COOLDOWN_S + 1)
    process = await started(DOOMED, url)
    try:
        assert await line(process) == "True"
        assert not await on_shelf.probing("heir")
        os.kill(process.pid, signal.SIGKILL)
    finally:
        await ended([process])
    while not await on_shelf.probing("heir"):
        await asyncio.sleep(0.05)
    found = await on_shelf.store.circuit(KEY)
    assert found and found.probing


async def test_many_failures_at_once_are_all_counted_and_open_once(on_shelf: Shelf) -> None:
    await asyncio.gather(*(on_shelf.fail() for _ in range(40)))
    [found] = await on_shelf.store.open_circuits()
    assert found.failures == 40 and found.cooldown_s == COOLDOWN_S


async def test_a_restart_of_the_database_in_between(on_shelf: Shelf, postgres: Any) -> None:
    await on_shelf.fail(3)
    await asyncio.to_thread(postgres.restart, "immediate")
    [found] = await on_shelf.store.open_circuits()
    assert found.failures == 3
