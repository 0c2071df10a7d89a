"""What garbage collection must leave."""

from __future__ import annotations

from typing import Any

from stix.ledger import NewRun, NewStage


async def _run(world: Any, run_id: str, digest: str, *, end: str | None) -> None:
    ledger = world.ledger
    run = NewRun(run_id, "pipe", {}, [NewStage("a", "a")], uploads={"src": f"{digest * 63}0"})
    await ledger.create_run(run)
    claim = await ledger.claim_run(world.engine, run_id)
    await ledger.start_attempt(claim.fence, "a", 1, None)
    await ledger.record_step(claim.fence, "a", 1, "collect", {"outputs": {"x": f"{digest * 63}1"}})
    await ledger.update_stage(claim.fence, "a", outputs={"x": f"{digest * 63}2"})
    await ledger.cache_put(claim.fence, f"key-{run_id}", "a", {"x": f"{digest * 63}3"}, {})
    await ledger.add_artifact(
        claim.fence,
        key="a",
        attempt=1,
        name="run",
        kind="log",
        digest=f"{digest * 63}4",
        bytes=1,
        files=1,
        url="u",
    )
    if end is not None:
        await ledger.finish_run(claim.fence, end, None)


async def test_roots_are_all_that_kept_runs_name(world: Any) -> None:
    for run_id, digest, end in (("x1", "a", "succeeded"), ("x2", "b", None), ("x3", "c", "failed")):
        await _run(world, run_id, digest, end=end)
    by_run = {d: {f"{d * 63}{n}" for n in range(5)} for d in "abc"}
    ledger = world.ledger
    assert await ledger.artifact_roots(3600, 0) == by_run["a"] | by_run["b"] | by_run["c"]
    assert await ledger.artifact_roots(0, 0) == by_run["b"]  # it is not over
    assert await ledger.artifact_roots(0, 1) == by_run["b"] | by_run["c"]


async def test_lost_outputs_leave_the_cache(world: Any) -> None:
    await _run(world, "x1", "a", end=None)
    await _run(world, "x2", "b", end=None)
    await world.ledger.forget_outputs([f"{'a' * 63}3"])
    assert await world.ledger.cache_get("key-x1") is None
    assert await world.ledger.cache_get("key-x2") is not None
