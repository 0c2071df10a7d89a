"""Who owns a run: claims, races, takeovers and clean stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Any

import asyncpg
import pytest

from stix.ledger import Claim, Fence, Fenced, Ledger, NewRun, NewStage


def small(run_id: str) -> NewRun:
    return NewRun(run_id, "p", {}, [NewStage("a", "a")])


async def expire(raw: asyncpg.Connection, engine: str) -> None:
    await raw.execute(
        "UPDATE engines SET expires = clock_timestamp() - interval '1 s' WHERE id = $1", engine
    )


async def test_racing_engines_never_share_a_run(ledger: Ledger, url: str) -> None:
    engines = [f"e{i}" for i in range(4)]
    for engine in engines:
        await ledger.register_engine(engine, "h", 1, 60)
    await asyncio.gather(*(ledger.create_run(small(f"r{i:03}")) for i in range(200)))
    others = [await Ledger.open(url) for _ in engines]

    async def race(mine: Ledger, engine: str) -> list[Claim]:
        got: list[Claim] = []
        while claims := await mine.claim(engine, limit=7):
            got += claims
        return got

    try:
        won = await asyncio.gather(*(race(o, e) for o, e in zip(others, engines, strict=True)))
        late = await ledger.claim("e0", limit=200)  # what all of them skipped as locked
    finally:
        for other in others:
            await other.close()
    claims = [claim for claims in won for claim in claims] + late
    assert sorted(claim.run_id for claim in claims) == [f"r{i:03}" for i in range(200)]
    assert len({claim.token for claim in claims}) == 200
    assert not any(claim.takeover for claim in claims)


async def test_racing_takeovers_have_one_winner_each(
    ledger: Ledger, url: str, raw: asyncpg.Connection
) -> None:
    for engine in ("old", "e0", "e1", "e2"):
        await ledger.register_engine(engine, "h", 1, 60)
    for i in range(30):
        await ledger.create_run(small(f"r{i:02}"))
    assert len(await ledger.claim("old")) == 30
    await expire(raw, "old")
    others = [await Ledger.open(url) for _ in range(3)]
    try:
        tasks = [
            other.claim_run(f"e{i}", f"r{run:02}")
            for run in range(30)
            for i, other in enumerate(others)
        ]
        claims = [claim for claim in await asyncio.gather(*tasks) if claim is not None]
    finally:
        for other in others:
            await other.close()
    assert sorted(claim.run_id for claim in claims) == [f"r{i:02}" for i in range(30)]
    assert all(claim.takeover for claim in claims)


CHILD = """
import asyncio, os, sys
from stix.ledger import Ledger
async def main():
    ledger = await Ledger.open(sys.argv[1])
    await ledger.register_engine("doomed", "h", os.getpid(), 1.0)
    claim, = await ledger.claim("doomed")
    print(claim.token, flush=True)
    while await ledger.renew_engine("doomed", 1.0):
        await asyncio.sleep(0.1)
asyncio.run(main())
"""


async def test_a_killed_engine_loses_its_run_to_another(ledger: Ledger, url: str) -> None:
    await ledger.create_run(small("r1"))
    await ledger.register_engine("heir", "h", 1, 60)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        token = int(await child.stdout.readline())
        await ledger.start_run(Fence("r1", token))
        assert await ledger.claim("heir") == []
        assert not await ledger.is_engine_fenced("doomed")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        await child.wait()
    claims: list[Claim] = []
    while not claims:
        claims = await ledger.claim("heir")
        await asyncio.sleep(0.05)
    assert (claims[0].run_id, claims[0].takeover) == ("r1", True)
    assert await ledger.is_engine_fenced("doomed")
    assert await ledger.fenced_engines() == ["doomed"]
    assert not await ledger.renew_engine("doomed", 60)
    with pytest.raises(Fenced, match="heir"):
        await ledger.start_run(Fence("r1", token))
    await ledger.start_run(claims[0].fence)


async def test_an_expired_engine_never_comes_back(ledger: Ledger, raw: asyncpg.Connection) -> None:
    await ledger.register_engine("e1", "h", 1, 60)
    assert await ledger.renew_engine("e1", 60)
    await expire(raw, "e1")
    assert not await ledger.renew_engine("e1", 60)
    await ledger.register_engine("e1", "h", 1, 60)
    assert await ledger.is_engine_fenced("e1")
    await ledger.create_run(small("r1"))
    assert await ledger.claim("e1") == []
    assert await ledger.claim_run("e1", "r1") is None


async def test_an_unknown_engine_may_do_nothing(ledger: Ledger) -> None:
    await ledger.create_run(small("r1"))
    assert await ledger.is_engine_fenced("nobody")
    assert not await ledger.renew_engine("nobody", 60)
    assert await ledger.claim("nobody") == []


async def test_release_frees_a_run_for_any_engine(world: Any) -> None:
    ledger = world.ledger
    await ledger.start_run(world.fence)
    assert await ledger.claim_run("e1", world.run) is None  # held, by itself
    async with ledger.listen("stix_work") as messages:
        await ledger.release(world.fence)
        assert await anext(messages) == ("stix_work", world.run)
    with pytest.raises(Fenced):
        await ledger.release(world.fence)
    (claim,) = await ledger.claim("e1")
    assert claim.takeover and claim.token > world.fence.token


async def test_a_clean_stop_gives_its_runs_back_at_once(world: Any) -> None:
    ledger = world.ledger
    await ledger.set_flow_run(world.fence, "flow-9")
    await ledger.start_run(world.fence)
    await ledger.create_run(small("r2"))
    done = await ledger.claim_run("e1", "r2")
    await ledger.finish_run(done.fence, "succeeded", None)
    async with ledger.listen("stix_work") as messages:
        await ledger.retire_engine("e1")
        assert await anext(messages) == ("stix_work", world.run)
    assert await ledger.is_engine_fenced("e1")
    await ledger.register_engine("e2", "h", 2, 60)
    claims = await ledger.claim("e2")
    assert [(c.run_id, c.takeover, c.flow_run_id) for c in claims] == [("r1", True, "flow-9")]


async def test_claims_come_oldest_first_and_up_to_the_limit(ledger: Ledger) -> None:
    await ledger.register_engine("e1", "h", 1, 60)
    for name in ("c", "a", "b"):
        await ledger.create_run(small(name))
    assert [c.run_id for c in await ledger.claim("e1", limit=2)] == ["c", "a"]
    assert [c.run_id for c in await ledger.claim("e1", limit=2)] == ["b"]


async def test_cancelling_runs_are_those_of_the_engine(world: Any) -> None:
    ledger = world.ledger
    assert await ledger.cancelling_runs("e1") == []
    await ledger.request_cancel(world.run, "please")
    assert await ledger.cancelling_runs("e1") == [world.run]
    assert await ledger.cancelling_runs("e2") == []
    await ledger.finish_run(world.fence, "cancelled", None)
    assert await ledger.cancelling_runs("e1") == []


async def test_engines_of_a_host_are_those_that_may_act(
    ledger: Ledger, raw: asyncpg.Connection
) -> None:
    for engine, host, pid in (("e1", "h", 1), ("e2", "h", 2), ("e3", "h", 3), ("e4", "i", 4)):
        await ledger.register_engine(engine, host, pid, 60)
    await expire(raw, "e2")
    await ledger.retire_engine("e3")
    assert await ledger.engines_on("h") == {"e1": 1}
