"""The database goes away and comes back in the middle of everything."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from stix.ledger import Ledger, LedgerUnavailable, NewRun, NewStage, migrate


@pytest.fixture
def restored(postgres: Any) -> Iterator[Any]:
    """The server, running again after the test whatever happened in it."""
    yield postgres
    if not postgres.running():
        postgres.start()


@pytest.mark.parametrize("modes", [("immediate", "fast", "immediate"), ("fast",)])
async def test_a_stream_of_writes_loses_and_repeats_nothing(
    world: Any, restored: Any, modes: tuple[str, ...]
) -> None:
    ledger, fence = world.ledger, world.fence
    await ledger.start_attempt(fence, "a", 1, None)
    finished = asyncio.Event()
    written: list[str] = []

    async def stream(name: int) -> None:
        count = 0
        while not finished.is_set():
            await ledger.add_event(fence, world.run, "note", None, {"n": f"{name}-{count}"})
            written.append(f"{name}-{count}")
            await ledger.record_step(fence, "a", 1, f"s{name}-{count}", {})
            count += 1

    streams = [asyncio.ensure_future(stream(name)) for name in range(20)]
    for mode in modes:
        seen = len(written)
        while len(written) < seen + 100:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(restored.restart, mode)
    seen = len(written)
    while len(written) < seen + 100:
        await asyncio.sleep(0.01)
    finished.set()
    await asyncio.gather(*streams)

    events = await ledger.events(world.run, 0, limit=10**6)
    notes = Counter(event.data["n"] for event in events if event.kind == "note")
    assert notes == Counter(written)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    (attempt,) = await ledger.attempts(world.run)
    assert len(attempt.steps) == len(written)


async def test_claims_survive_a_restart(ledger: Ledger, restored: Any) -> None:
    await ledger.register_engine("e1", "h", 1, 600)
    await asyncio.gather(
        *(ledger.create_run(NewRun(f"r{i:03}", "p", {}, [NewStage("a", "a")])) for i in range(120))
    )
    got: list[str] = []

    async def claim() -> None:
        while claims := await ledger.claim("e1", limit=1):
            got.append(claims[0].run_id)

    task = asyncio.gather(*(claim() for _ in range(4)))
    while len(got) < 10:
        await asyncio.sleep(0)
    await asyncio.to_thread(restored.restart, "immediate")
    await task
    got += [claim.run_id for claim in await ledger.claim("e1", limit=200)]
    assert sorted(got) == [f"r{i:03}" for i in range(120)]


async def test_a_listener_says_that_it_was_away(ledger: Ledger, restored: Any) -> None:
    async with ledger.listen("stix_work", "stix_events") as messages:
        await ledger.create_run(NewRun("r1", "p", {}, []))
        first = {await anext(messages), await anext(messages)}
        assert first == {("stix_work", "r1"), ("stix_events", "r1")}
        await asyncio.to_thread(restored.restart, "immediate")
        assert await anext(messages) == ("reconnected", "")
        await ledger.create_run(NewRun("r2", "p", {}, []))
        second = {await anext(messages), await anext(messages)}
        assert second == {("stix_work", "r2"), ("stix_events", "r2")}


async def test_patience_ends(url: str, restored: Any) -> None:
    await migrate(url)
    hasty = await Ledger.open(url, patience_s=0.2)
    restored.control("stop", "-m", "immediate")
    with pytest.raises(LedgerUnavailable, match=r"0\.2 seconds"):
        await hasty.runs()
    with pytest.raises(LedgerUnavailable):
        await Ledger.open(url, patience_s=0.1)
    restored.start()
    assert await hasty.runs() == []
    await hasty.close()


async def test_a_cancelled_write_leaves_the_pool_usable(world: Any, url: str) -> None:
    other = await asyncpg.connect(url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM leases FOR UPDATE")
            stuck = [asyncio.ensure_future(world.ledger.start_run(world.fence)) for _ in range(30)]
            await asyncio.sleep(0.1)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
    finally:
        await other.close()
    await asyncio.gather(
        *(world.ledger.update_stage(world.fence, "a", reason=str(i)) for i in range(30))
    )
    shown = [e for e in await world.ledger.events(world.run, 0) if e.kind == "stage"]
    assert len(shown) == 30
