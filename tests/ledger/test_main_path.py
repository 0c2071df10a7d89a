"""One run from submission to receipt, as the engine drives it."""

from __future__ import annotations

from decimal import Decimal

from stix.ledger import Fence, Intent, Ledger, NewRun, NewStage
from stix.spec.states import AttemptState, RunState, StageState

KEY = "train[m=svm]"
OFFER = {"cloud": "local", "instance_type": "box", "price": 1.5}


async def submitted(ledger: Ledger) -> Fence:
    """A run of two stages, submitted twice and claimed once."""
    points = [
        NewStage("prepare", "prepare"),
        NewStage("train[m=svm]", "train", {"m": "svm"}, ["prepare"]),
    ]
    new = NewRun("r1", "digits", {"name": "digits"}, points, secret_names=["TOKEN"], deadline_s=9.5)
    assert await ledger.create_run(new) == "r1"
    assert await ledger.create_run(new) == "r1"
    assert (await ledger.run("r1")).state is RunState.QUEUED
    await ledger.register_engine("e1", "h", 1, 30)
    (claim,) = await ledger.claim("e1")
    assert (claim.run_id, claim.takeover, claim.flow_run_id) == ("r1", False, None)
    fence = claim.fence
    await ledger.set_flow_run(fence, "flow-1")
    await ledger.start_run(fence)
    return fence


async def worked(ledger: Ledger, fence: Fence) -> None:
    """One attempt of the second stage, from its offer to its end."""
    key, offer = KEY, OFFER
    await ledger.update_stage(fence, key, state="running", placement=offer)
    await ledger.start_attempt(fence, key, 1, offer)
    await ledger.record_step(fence, key, 1, "place", {"offer": offer})
    await ledger.open_intent(fence, Intent("tok", key, 1, "local", {"count": 2}))
    (intent,) = await ledger.open_intents("local")
    assert (intent.token, intent.outcome, intent.lease_live) == ("tok", None, True)
    nodes = [{"ref": {"cloud": "local", "id": f"n{i}"}, "rank": i} for i in range(2)]
    cluster = {"key": key, "attempt": 1, "token": "tok", "cloud": "local", "offer": offer}
    await ledger.add_cluster(fence, {**cluster, "nodes": nodes, "price_usd_h": 1.5})
    assert [i.outcome for i in await ledger.open_intents()] == ["created"]
    assert [n.id for n in await ledger.nodes(open_only=True)] == ["n0", "n1"]
    ready = [{**node, "socket": "/run/agent", "rank": rank} for rank, node in enumerate(nodes)]
    await ledger.update_nodes(fence, "tok", [ready[0], {**ready[1], "ref": {"id": "other"}}])
    known = [n.data.get("socket") for n in await ledger.nodes(open_only=True)]
    assert known == ["/run/agent", None]  # a node of another id is another node
    await ledger.update_nodes(fence, "tok", ready)
    assert [n.data for n in await ledger.nodes(open_only=True)] == ready
    await ledger.record_step(fence, key, 1, "run", {"exit_code": 0})
    await ledger.add_artifact(
        fence,
        digest="d",
        key=key,
        attempt=1,
        name="model",
        kind="output",
        bytes=3,
        files=1,
        url="u",
    )
    await ledger.close_cluster(fence, "tok", "done")
    await ledger.finish_attempt(fence, key, 1, "succeeded", exit_code=0)
    await ledger.cache_put(fence, "ck", key, {"model": "d"}, {"score": 0.5})
    await ledger.update_stage(
        fence, key, state="succeeded", cache_key="ck", result={"score": 0.5}, outputs={"model": "d"}
    )


async def test_a_run_from_submission_to_receipt(ledger: Ledger) -> None:
    fence = await submitted(ledger)
    await worked(ledger, fence)
    await ledger.finish_run(fence, "succeeded", None)
    key = KEY
    run = await ledger.run("r1")
    assert (run.state, run.flow_run_id, run.deadline_s) == (RunState.SUCCEEDED, "flow-1", 9.5)
    assert run.secret_names == ["TOKEN"] and run.started and run.ended
    stage = await ledger.stage("r1", key)
    assert (stage.state, stage.result, stage.needs) == (
        StageState.SUCCEEDED,
        {"score": 0.5},
        ["prepare"],
    )
    assert stage.started and stage.ended
    (attempt,) = await ledger.attempts("r1")
    assert attempt.state is AttemptState.SUCCEEDED
    assert attempt.steps["run"]["result"] == {"exit_code": 0}
    assert await ledger.open_intents() == []
    assert await ledger.nodes(open_only=True) == []
    lines = await ledger.receipts("r1")
    assert [line.rank for line in lines] == [0, 1]
    assert await ledger.cost("r1") == run.cost_usd == sum((x.usd for x in lines), Decimal(0))
    hit = await ledger.cache_get("ck")
    assert hit is not None and hit.outputs == {"model": "d"}
    assert [a.name for a in await ledger.artifacts("r1")] == ["model"]
    (summary,) = await ledger.runs(10)
    assert summary.stages == {"pending": 1, "succeeded": 1}
    events = await ledger.events("r1", 0)
    assert [e.number for e in events] == list(range(1, len(events) + 1))
    kinds = [e.kind for e in events]
    assert kinds[:4] == ["run", "lease", "run", "run"] and kinds[-2:] == ["stage", "run"]
    assert await ledger.claim("e1") == []
