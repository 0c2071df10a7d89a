"""Runs: what leads to what, lists and names."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from stix.ledger import Ledger, NewRun, NewStage, NotFound, WrongState
from stix.spec.states import RunState, StageState

OWNED = {
    # state before: (after cancel, resume allowed)
    "queued": ("cancelling", False),
    "running": ("cancelling", False),
    "cancelling": ("cancelling", False),
    "succeeded": ("succeeded", True),
    "failed": ("failed", True),
    "cancelled": ("cancelled", True),
}


async def bring(world: Any, state: str) -> None:
    ledger, fence = world.ledger, world.fence
    if state == "queued":
        return
    await ledger.start_run(fence)
    if state == "cancelling":
        await ledger.request_cancel(world.run, "first")
    elif state != "running":
        await ledger.update_stage(fence, "a", state="succeeded", result={"x": 1})
        await ledger.update_stage(fence, "b", state="failed", reason="exit 1")
        await ledger.finish_run(fence, state, {"message": "m"} if state == "failed" else None)
    assert (await ledger.run(world.run)).state == state


@pytest.mark.parametrize("state", OWNED)
async def test_cancel(world: Any, state: str) -> None:
    await bring(world, state)
    before = len(await world.ledger.events(world.run, 0))
    after = await world.ledger.request_cancel(world.run, "enough")
    assert after == OWNED[state][0] == (await world.ledger.run(world.run)).state
    changed = after != state
    assert len(await world.ledger.events(world.run, 0)) == before + changed
    assert ((await world.ledger.run(world.run)).reason == "enough") == changed


@pytest.mark.parametrize("state", OWNED)
async def test_resume(world: Any, state: str) -> None:
    await bring(world, state)
    ledger = world.ledger
    if not OWNED[state][1]:
        with pytest.raises(WrongState, match=state):
            await ledger.resume_run(world.run)
        return
    async with ledger.listen("stix_work") as messages:
        await ledger.resume_run(world.run)
        assert await anext(messages) == ("stix_work", world.run)
    run = await ledger.run(world.run)
    assert (run.state, run.resumes, run.error, run.ended) == (RunState.QUEUED, 1, None, None)
    a, b = await ledger.stages(world.run)
    assert (a.state, a.result) == (StageState.SUCCEEDED, {"x": 1})
    assert (b.state, b.reason, b.ended) == (StageState.PENDING, None, None)
    (claim,) = await ledger.claim("e1")
    assert not claim.takeover and claim.token > world.fence.token
    await ledger.start_attempt(claim.fence, "b", 2, None)
    assert (await ledger.attempts(world.run, "b"))[0].resume == 1


async def test_a_queued_run_nobody_holds_is_cancelled_at_once(ledger: Ledger) -> None:
    await ledger.create_run(NewRun("r", "p", {}, [NewStage("a", "a")]))
    async with ledger.listen("stix_cancel") as messages:
        assert await ledger.request_cancel("r", "no") is RunState.CANCELLED
        assert await anext(messages) == ("stix_cancel", "r")
    run = await ledger.run("r")
    assert run.ended and run.reason == "no"
    assert [s.state for s in await ledger.stages("r")] == [StageState.CANCELLED]
    await ledger.register_engine("e1", "h", 1, 60)
    assert await ledger.claim("e1") == []
    await ledger.resume_run("r")
    assert [s.state for s in await ledger.stages("r")] == [StageState.PENDING]
    assert len(await ledger.claim("e1")) == 1


async def test_cancel_survives_start(world: Any) -> None:
    await world.ledger.request_cancel(world.run, "early")
    await world.ledger.start_run(world.fence)
    assert (await world.ledger.run(world.run)).state is RunState.CANCELLING


async def test_a_run_ends_once(world: Any) -> None:
    await world.ledger.finish_run(world.fence, "failed", {"message": "m"})
    await world.ledger.finish_run(world.fence, "failed", {"message": "again"})
    with pytest.raises(WrongState, match="failed"):
        await world.ledger.finish_run(world.fence, "succeeded", None)
    run = await world.ledger.run(world.run)
    assert (run.state, run.error) == (RunState.FAILED, {"message": "m"})
    with pytest.raises(ValueError, match="final"):
        await world.ledger.finish_run(world.fence, "running", None)


async def test_resume_of_named_stages(world: Any) -> None:
    ledger = world.ledger
    await ledger.update_stage(world.fence, "a", state="failed")
    await ledger.update_stage(world.fence, "b", state="upstream_failed")
    await ledger.finish_run(world.fence, "failed", None)
    with pytest.raises(WrongState, match="no such stage"):
        await ledger.resume_run(world.run, stages=["c"])
    await ledger.resume_run(world.run, stages=["b"])
    assert [s.state for s in await ledger.stages(world.run)] == ["failed", "pending"]


async def test_resume_with_nothing_left(world: Any) -> None:
    for key in ("a", "b"):
        await world.ledger.update_stage(world.fence, key, state="cached")
    await world.ledger.finish_run(world.fence, "succeeded", None)
    with pytest.raises(WrongState):
        await world.ledger.resume_run(world.run)
    assert (await world.ledger.run(world.run)).resumes == 0


async def test_resolve(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="no run yet"):
        await ledger.resolve("latest")
    for name in ("digits-aa1", "digits-ab2", "other", "other-2", "100%_x"):
        await ledger.create_run(NewRun(name, "p", {}, []))
    assert await ledger.resolve("latest") == "100%_x"
    assert await ledger.resolve("digits-aa") == "digits-aa1"
    assert await ledger.resolve("other") == "other"  # exact wins over being a prefix
    assert await ledger.resolve("100%_") == "100%_x"
    with pytest.raises(NotFound, match="several runs: digits-ab2, digits-aa1"):
        await ledger.resolve("digits-a")
    with pytest.raises(NotFound) as caught:
        await ledger.resolve("digits-ab3")
    assert caught.value.fix == "did you mean digits-ab2?"
    with pytest.raises(NotFound):
        await ledger.resolve("%")
    with pytest.raises(NotFound):
        await ledger.resolve("")


async def test_lists(world: Any) -> None:
    ledger = world.ledger
    await ledger.create_run(NewRun("r2", "q", {}, []))
    await ledger.start_run(world.fence)
    summaries = await ledger.runs(10)
    assert [(s.id, s.stages) for s in summaries] == [("r2", {}), ("r1", {"pending": 2})]
    assert [s.id for s in await ledger.runs(1)] == ["r2"]
    assert [s.id for s in await ledger.runs(10, "running")] == ["r1"]


async def test_activity(world: Any, raw: asyncpg.Connection) -> None:
    active, idle = await world.ledger.recent_activity()
    assert active == 1 and idle >= 0
    await raw.execute("UPDATE leases SET last_event = last_event - interval '1000 s'")
    assert (await world.ledger.recent_activity())[1] >= 1000
    await world.ledger.finish_run(world.fence, "succeeded", None)
    active, idle = await world.ledger.recent_activity()
    assert active == 0 and idle < 1000


async def test_activity_of_an_empty_ledger_counts_from_the_start_of_the_database(
    ledger: Ledger,
) -> None:
    active, idle = await ledger.recent_activity()
    assert active == 0 and idle > 0


async def test_a_pipeline_keeps_the_order_of_its_maps(ledger: Ledger) -> None:
    spec = {"stages": {"zeta": {"matrix": {"model": [1], "seed": [2], "a": [3]}}, "b": {}}}
    await ledger.create_run(NewRun("r1", "p", spec, []))
    assert json.dumps((await ledger.run("r1")).spec) == json.dumps(spec)
