"""A reader that polls sees every event of a run, in order, while many write."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from stix.ledger import EventRow, Ledger, NotFound


async def test_a_polling_reader_misses_nothing(world: Any, url: str) -> None:
    writers = [world.ledger, await Ledger.open(url)]
    total = 600
    seen: list[EventRow] = []

    async def write(number: int) -> None:
        ledger = writers[number % 2]
        if number % 3:
            await ledger.add_event(world.fence, world.run, "note", None, {"n": number})
        else:
            await ledger.add_event(None, world.run, "note", None, {"n": number})

    async def read() -> None:
        while sum(event.kind == "note" for event in seen) < total:
            after = seen[-1].number if seen else 0
            seen.extend(await world.ledger.events(world.run, after, limit=50))

    try:
        await asyncio.gather(read(), *(write(number) for number in range(total)))
    finally:
        await writers[1].close()
    assert [event.number for event in seen] == list(range(1, len(seen) + 1))
    assert {e.data["n"] for e in seen if e.kind == "note"} == set(range(total))
    assert [e.at for e in seen] == sorted(e.at for e in seen)


async def test_a_number_is_invisible_while_a_lower_one_is(
    world: Any, raw: asyncpg.Connection, url: str
) -> None:
    before = (await world.ledger.events(world.run, 0))[-1].number
    slow = await asyncpg.connect(url)
    try:
        async with slow.transaction():
            await slow.execute(
                """WITH n AS (UPDATE leases SET events = events + 1 RETURNING run_id, events)
                INSERT INTO events (run_id, number, kind) SELECT run_id, events, 'slow' FROM n"""
            )
            task = asyncio.ensure_future(
                world.ledger.add_event(world.fence, world.run, "quick", None, {})
            )
            query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not await raw.fetchval(query):
                await asyncio.sleep(0.01)
            assert await world.ledger.events(world.run, before) == []
        await task
    finally:
        await slow.close()
    kinds = [event.kind for event in await world.ledger.events(world.run, before)]
    assert kinds == ["slow", "quick"]


async def test_every_event_is_announced(world: Any) -> None:
    async with world.ledger.listen("stix_events") as messages:
        await world.ledger.update_stage(world.fence, "a", state="running")
        assert await anext(messages) == ("stix_events", world.run)


async def test_pages(world: Any) -> None:
    for number in range(5):
        await world.ledger.add_event(world.fence, world.run, "note", "a", {"n": number})
    first = await world.ledger.events(world.run, 2, limit=3)
    assert [e.data["n"] for e in first] == [0, 1, 2] and first[0].key == "a"
    assert [e.data["n"] for e in await world.ledger.events(world.run, first[-1].number)] == [3, 4]


async def test_an_event_of_no_run_and_a_channel_of_no_meaning(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        await ledger.add_event(None, "nope", "note", None, {})
    with pytest.raises(ValueError, match="channels"):
        ledger.listen("other")
