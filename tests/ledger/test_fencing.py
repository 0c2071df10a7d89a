"""No write passes without the right to act, also when that right moves in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from stix.ledger import Fence, Fenced, Intent, Ledger, NotFound

Write = Callable[[Ledger, Fence], Awaitable[None]]

CLUSTER: dict[str, Any] = {
    "key": "a",
    "attempt": 1,
    "token": "new",
    "cloud": "local",
    "offer": {},
    "nodes": [{"ref": {"id": "n"}}],
    "price_usd_h": 1,
}

WRITES: dict[str, Write] = {
    "set_flow_run": lambda db, f: db.set_flow_run(f, "flow"),
    "start_run": lambda db, f: db.start_run(f),
    "finish_run": lambda db, f: db.finish_run(f, "failed", {"message": "x"}),
    "release": lambda db, f: db.release(f),
    "update_stage": lambda db, f: db.update_stage(f, "a", state="running"),
    "start_attempt": lambda db, f: db.start_attempt(f, "a", 2, None),
    "record_step": lambda db, f: db.record_step(f, "a", 1, "run", {"exit_code": 0}),
    "finish_attempt": lambda db, f: db.finish_attempt(f, "a", 1, "failed", exit_code=1),
    "open_intent": lambda db, f: db.open_intent(f, Intent("t2", "a", 1, "local", {})),
    "settle_intent": lambda db, f: db.settle_intent("t1", "failed", {}, fence=f),
    "add_cluster": lambda db, f: db.add_cluster(f, CLUSTER),
    "update_nodes": lambda db, f: db.update_nodes(
        f, "t1", [{**CLUSTER["nodes"][0], "socket": "s"}]
    ),
    "close_cluster": lambda db, f: db.close_cluster(f, "t1", "done"),
    "add_artifact": lambda db, f: db.add_artifact(
        f, digest="d", key="a", attempt=1, name="n", kind="log", bytes=1, files=1, url="u"
    ),
    "add_checkpoint": lambda db, f: db.add_checkpoint(
        f,
        "a",
        2,
        {"attempt": 1, "name": "1", "digest": "d", "bytes": 1, "files": 1, "url": "u"},
    ),
    "cache_put": lambda db, f: db.cache_put(f, "k", "a", {}, None),
    "add_event": lambda db, f: db.add_event(f, f.run_id, "note", None, {}),
}

TABLES = "runs stages attempts intents clusters nodes receipts artifacts cache events"


async def contents(raw: asyncpg.Connection) -> dict[str, Any]:
    """Everything but engines and leases."""
    found = {}
    for table in TABLES.split():
        rows = await raw.fetch(f"SELECT t::text AS row FROM {table} t ORDER BY 1")
        found[table] = [row["row"] for row in rows if "lease" not in row["row"]]
    return found


@pytest.fixture
async def busy(world: Any) -> Any:
    """A run with an attempt, an intent and an open cluster."""
    await world.ledger.start_attempt(world.fence, "a", 1, None)
    await world.ledger.open_intent(world.fence, Intent("t1", "a", 1, "local", {}))
    await world.ledger.add_cluster(world.fence, {**CLUSTER, "token": "t1"})
    return world


async def taken_over(busy: Any, raw: asyncpg.Connection) -> None:
    await expire(raw, busy.engine)
    await busy.ledger.register_engine("e2", "h", 2, 60)
    (claim,) = await busy.ledger.claim("e2")
    assert claim.takeover and claim.token > busy.fence.token


async def expired(busy: Any, raw: asyncpg.Connection) -> None:
    await expire(raw, busy.engine)


async def fenced(busy: Any, raw: asyncpg.Connection) -> None:
    await raw.execute("UPDATE engines SET fenced = clock_timestamp()")


async def retired(busy: Any, raw: asyncpg.Connection) -> None:
    await busy.ledger.retire_engine(busy.engine)


async def expire(raw: asyncpg.Connection, engine: str) -> None:
    await raw.execute(
        "UPDATE engines SET expires = clock_timestamp() - interval '1 s' WHERE id = $1", engine
    )


@pytest.mark.parametrize("lose", [taken_over, expired, fenced, retired])
async def test_every_write_is_refused_without_the_lease(
    busy: Any, raw: asyncpg.Connection, lose: Callable[..., Awaitable[None]]
) -> None:
    await lose(busy, raw)
    before = await contents(raw)
    for name, write in WRITES.items():
        with pytest.raises(Fenced):
            await write(busy.ledger, busy.fence)
        assert await contents(raw) == before, name


@pytest.mark.parametrize("name", WRITES)
async def test_every_write_has_an_effect_with_the_lease(
    busy: Any, raw: asyncpg.Connection, name: str
) -> None:
    before = await contents(raw), await raw.fetch("SELECT * FROM leases")
    await WRITES[name](busy.ledger, busy.fence)
    assert (await contents(raw), await raw.fetch("SELECT * FROM leases")) != before


async def blocked(raw: asyncpg.Connection) -> None:
    """Return when a statement of the ledger waits for a lock."""
    query = """SELECT count(*) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()"""
    while not await raw.fetchval(query):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", WRITES)
async def test_a_token_that_moves_while_the_write_waits_refuses_it(
    busy: Any, raw: asyncpg.Connection, url: str, name: str
) -> None:
    before = await contents(raw)
    thief = await asyncpg.connect(url)
    try:
        transaction = thief.transaction()
        await transaction.start()
        await thief.execute("UPDATE leases SET token = nextval('lease_token')")
        # The write sees the old, committed token, and waits for the row.
        task = asyncio.ensure_future(WRITES[name](busy.ledger, busy.fence))
        await blocked(raw)
        await transaction.commit()
        with pytest.raises(Fenced):
            await task
    finally:
        await thief.close()
    assert await contents(raw) == before


async def test_a_takeover_that_is_rolled_back_lets_the_write_pass(
    busy: Any, raw: asyncpg.Connection, url: str
) -> None:
    thief = await asyncpg.connect(url)
    try:
        transaction = thief.transaction()
        await transaction.start()
        await thief.execute("UPDATE leases SET token = nextval('lease_token')")
        task = asyncio.ensure_future(busy.ledger.update_stage(busy.fence, "a", state="running"))
        await blocked(raw)
        await transaction.rollback()
        await task
    finally:
        await thief.close()
    assert (await busy.ledger.stage(busy.run, "a")).state == "running"


async def test_a_takeover_waits_for_a_write_that_is_under_way(
    busy: Any, raw: asyncpg.Connection, url: str
) -> None:
    await expire(raw, busy.engine)
    await busy.ledger.register_engine("e2", "h", 2, 60)
    writer = await asyncpg.connect(url)
    try:
        async with writer.transaction():
            await writer.execute("UPDATE leases SET events = events + 1")
            assert await busy.ledger.claim("e2") == []  # does not wait: next time
            task = asyncio.ensure_future(busy.ledger.claim_run("e2", busy.run))
            await blocked(raw)
            assert not task.done()
        claim = await task
    finally:
        await writer.close()
    assert claim is not None and claim.takeover


async def test_what_does_not_exist_is_not_found_and_not_fenced(busy: Any) -> None:
    with pytest.raises(NotFound, match="nope"):
        await busy.ledger.update_stage(busy.fence, "nope", state="running")
    with pytest.raises(NotFound, match="a 7"):
        await busy.ledger.record_step(busy.fence, "a", 7, "run", {})
    with pytest.raises(NotFound):
        await busy.ledger.start_run(Fence("unknown", 1))
    numbers = [event.number for event in await busy.ledger.events(busy.run, 0)]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_nobody_closes_the_cluster_of_another_run(busy: Any) -> None:
    other = Fence("r2", 0)
    with pytest.raises(NotFound):
        await busy.ledger.close_cluster(other, "t1", "mistake")
    assert await busy.ledger.clusters(open_only=True)
