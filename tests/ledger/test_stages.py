"""Stages, attempts, intents, artifacts and the cache."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from stix.ledger import Intent, NewRun, NewStage, NotFound
from stix.spec.states import AttemptState, StageState


async def test_states_set_the_times(world: Any) -> None:
    ledger, fence = world.ledger, world.fence
    await ledger.update_stage(fence, "a", state="running", reason="go")
    first = await ledger.stage(world.run, "a")
    assert first.started and first.ended is None
    await ledger.update_stage(fence, "a", state="failed")
    failed = await ledger.stage(world.run, "a")
    assert failed.started == first.started and failed.ended and failed.ended > first.started
    assert failed.reason == "go"
    await ledger.update_stage(fence, "a", state="pending", reason=None, started=None)
    again = await ledger.stage(world.run, "a")
    assert (again.started, again.ended, again.reason) == (None, None, None)
    await ledger.update_stage(fence, "a", started=True)
    stage = await ledger.stage(world.run, "a")
    assert stage.started and stage.state is StageState.PENDING
    shown = [e.data for e in await ledger.events(world.run, 0) if e.kind == "stage"]
    assert [d["state"] for d in shown] == ["running", "failed", "pending", "pending"]
    assert shown[0]["reason"] == "go"


async def test_only_columns_can_be_changed(world: Any) -> None:
    with pytest.raises(ValueError, match="params"):
        await world.ledger.update_stage(world.fence, "a", params={})
    with pytest.raises(ValueError):
        await world.ledger.update_stage(world.fence, "a")
    with pytest.raises(NotFound):
        await world.ledger.stage(world.run, "zz")


async def test_steps_are_merged(world: Any) -> None:
    ledger, fence = world.ledger, world.fence
    await ledger.start_attempt(fence, "a", 1, {"price": 1})
    await ledger.start_attempt(fence, "a", 1, None)
    await ledger.record_step(fence, "a", 1, "place", {"n": 1})
    await ledger.record_step(fence, "a", 1, "run", {"n": 2})
    await ledger.record_step(fence, "a", 1, "place", {"n": 3})
    (attempt,) = await ledger.attempts(world.run, "a")
    assert {k: v["result"] for k, v in attempt.steps.items()} == {
        "place": {"n": 3},
        "run": {"n": 2},
    }
    assert attempt.offer == {"price": 1} and attempt.state is AttemptState.RUNNING
    event = {"kind": "user_error", "exit_code": 3}
    await ledger.finish_attempt(
        fence, "a", 1, AttemptState.FAILED, event=event, action="give_up", exit_code=3
    )
    (attempt,) = await ledger.attempts(world.run)
    assert (attempt.event, attempt.action, attempt.exit_code) == (event, "give_up", 3)
    assert attempt.ended and attempt.ended > attempt.started
    assert await ledger.attempts(world.run, "b") == []


async def test_text_that_postgresql_cannot_hold_is_kept_as_near_as_possible(world: Any) -> None:
    ledger, fence = world.ledger, world.fence
    odd = {"nan": float("nan"), "nul": "a\x00b", "half": "\ud800", "list": [float("inf"), "é"]}
    await ledger.update_stage(fence, "a", state="failed", reason="x\x00y", result=odd)
    stage = await ledger.stage(world.run, "a")
    assert stage.reason == "x\ufffdy"
    assert stage.result == {"nan": "nan", "nul": "a\ufffdb", "half": "?", "list": ["inf", "é"]}
    await ledger.update_stage(fence, "a", result={"path": "C:\\u0000", "ok": "\U0001f600"})
    stage = await ledger.stage(world.run, "a")
    assert stage.result == {"path": "C:\\u0000", "ok": "\U0001f600"}
    with pytest.raises(asyncpg.DataError, match="set cannot be kept"):
        await ledger.update_stage(fence, "a", result={"x": {1}})


async def test_intents(world: Any) -> None:
    ledger, fence = world.ledger, world.fence
    for token, cloud in (("t1", "local"), ("t2", "ssh"), ("t3", "local")):
        await ledger.open_intent(fence, Intent(token, "a", 1, cloud, {"token": token}))
    await ledger.open_intent(fence, Intent("t1", "a", 9, "aws", {}))
    assert [i.token for i in await ledger.open_intents("local")] == ["t1", "t3"]
    await ledger.settle_intent("t1", "created", {"n": 1}, fence=fence)
    await ledger.settle_intent("t2", "failed", {"why": "full"})
    still = await ledger.open_intents()
    assert [(i.token, i.outcome, i.attempt) for i in still] == [
        ("t1", "created", 1),
        ("t3", None, 1),
    ]
    await ledger.settle_intent("t1", "swept", {})
    await ledger.settle_intent("t1", "created", {})  # too late: it stays swept
    await ledger.settle_intent("t1", "removed", {})
    assert [i.token for i in await ledger.open_intents()] == ["t3"]
    await ledger.finish_run(fence, "failed", None)
    (left,) = await ledger.open_intents()
    assert (left.run_state, left.lease_live) == ("failed", False)
    with pytest.raises(ValueError, match="lost"):
        await ledger.settle_intent("t3", "lost", {})


async def test_artifacts_by_run_and_by_digest(world: Any) -> None:
    ledger, fence = world.ledger, world.fence
    base: dict[str, Any] = {"key": "a", "attempt": 1, "kind": "output", "files": 1, "url": "u"}
    await ledger.add_artifact(fence, digest="d1", name="m", bytes=1, **base)
    await ledger.add_artifact(fence, digest="d2", name="m", bytes=2**40, **base)
    await ledger.add_artifact(fence, digest="d2", name="other", bytes=1, **base)
    assert [(a.name, a.digest, a.bytes) for a in await ledger.artifacts(world.run)] == [
        ("m", "d2", 2**40),
        ("other", "d2", 1),
    ]
    assert len(await ledger.artifacts(digest="d2")) == 2
    assert await ledger.artifacts(digest="d1") == []
    assert await ledger.artifacts("r9") == []


async def test_the_newest_cache_entry_wins(world: Any) -> None:
    assert await world.ledger.cache_get("k") is None
    await world.ledger.cache_put(world.fence, "k", "a", {"m": "1"}, None)
    await world.ledger.cache_put(world.fence, "k", "b", {"m": "2"}, {"x": 1})
    hit = await world.ledger.cache_get("k")
    assert (hit.run_id, hit.key, hit.outputs, hit.result) == ("r1", "b", {"m": "2"}, {"x": 1})


async def test_last_parts_is_of_the_same_point_in_an_earlier_run(ledger: Any) -> None:
    await ledger.register_engine("e1", "h", 1, 60)
    for run, name, seed in (("r1", "p", 1), ("r2", "p", 2), ("r3", "q", 1), ("r4", "p", 1)):
        point = NewStage(f"s[seed={seed}]", "s", {"seed": seed})
        await ledger.create_run(NewRun(run, name, {}, [point]))
        claim = await ledger.claim_run("e1", run)
        await ledger.update_stage(claim.fence, point.key, cache_parts={"of": run})
    assert await ledger.last_parts("p", "s", {"seed": 1}, "r4") == {"of": "r1"}
    assert await ledger.last_parts("p", "s", {"seed": 2}, "r4") == {"of": "r2"}
    assert await ledger.last_parts("p", "s", {"seed": 1}, "r1") is None
