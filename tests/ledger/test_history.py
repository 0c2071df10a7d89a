"""What earlier runs left behind: times, sizes, and where nodes came or did not."""

from __future__ import annotations

import time
from typing import Any

import asyncpg
import pytest

from stix.ledger import Fence, Fenced, Intent, Ledger
from tests.ledger.conftest import new_run

OFFER = {
    "cloud": "aws",
    "region": "us-east-1",
    "zone": "us-east-1a",
    "instance_type": "m5.large",
    "cpus": 2.0,
    "memory_gib": 8.0,
    "accelerators": {},
    "price": 0.1,
    "spot": False,
}


async def claimed(ledger: Ledger, run_id: str, **how: Any) -> Fence:
    await ledger.create_run(new_run(run_id, **how))
    claim = await ledger.claim_run("e1", run_id)
    assert claim is not None
    return claim.fence


async def attempted(
    ledger: Ledger,
    fence: Fence,
    key: str,
    *,
    offer: dict[str, Any] = OFFER,
    nodes: int = 1,
    steps: tuple[str, ...] = ("sync", "setup", "run"),
    state: str = "succeeded",
    **outcome: Any,
) -> None:
    """An attempt from the wish for nodes to its end."""
    token = f"{fence.run_id}.{key}.1"
    await ledger.start_attempt(fence, key, 1, {"offer": offer, "demand": {}})
    await ledger.open_intent(fence, Intent(token, key, 1, offer["cloud"], {}))
    await ledger.add_cluster(
        fence,
        {
            "key": key,
            "attempt": 1,
            "token": token,
            "cloud": offer["cloud"],
            "offer": offer,
            "nodes": [{"id": f"{token}-{rank}"} for rank in range(nodes)],
            "price_usd_h": offer["price"],
        },
    )
    for step in steps:
        await ledger.record_step(fence, key, 1, step, {"ran": True} if step == "setup" else {})
    await ledger.finish_attempt(fence, key, 1, state, **outcome)
    await ledger.close_cluster(fence, token, "released")


async def stored(ledger: Ledger, fence: Fence, key: str, kind: str, name: str, size: int) -> None:
    await ledger.add_artifact(
        fence,
        key=key,
        attempt=1,
        kind=kind,
        name=name,
        bytes=size,
        files=1,
        digest="d",
        url="u",
    )


async def shift(raw: asyncpg.Connection, run_id: str, key: str, **seconds: float) -> None:
    """Lay the moments of an attempt so many seconds after its wish for nodes."""
    start = await raw.fetchval(
        "SELECT opened FROM intents WHERE run_id = $1 AND key = $2", run_id, key
    )
    await raw.execute(
        "UPDATE clusters SET created = $3::timestamptz + $4 * interval '1 s'"
        " WHERE run_id = $1 AND key = $2",
        *(run_id, key, start, seconds.pop("came")),
    )
    for step, after in seconds.items():
        await raw.execute(
            "UPDATE attempts SET steps = jsonb_set(steps, ARRAY[$3, 'ended'],"
            " to_jsonb($4::timestamptz + $5 * interval '1 s')) WHERE run_id = $1 AND key = $2",
            *(run_id, key, step, start, after),
        )


@pytest.fixture
async def fence(ledger: Ledger) -> Fence:
    await ledger.register_engine("e1", "host", 1, 60)
    return await claimed(ledger, "r1")


async def test_times_are_of_the_steps_and_sizes_of_the_outputs(
    ledger: Ledger, fence: Fence, raw: asyncpg.Connection
) -> None:
    await attempted(ledger, fence, "a", nodes=2)
    await attempted(ledger, fence, "b", steps=("run",))
    for kind, name, size in (("output", "model", 7), ("log", "logs", 9)):
        await stored(ledger, fence, "a", kind, name, size)
    await shift(raw, "r1", "a", came=40, sync=50, setup=110, run=410)
    await shift(raw, "r1", "b", came=40, run=100)
    a, b = await ledger.stage_runs("p")
    assert (a.stage, a.cpus, a.nodes, a.accelerators) == ("a", 2.0, 2, None)
    assert (a.seconds, a.setup_seconds, a.outputs) == (300.0, 60.0, {"model": 7})
    assert (b.seconds, b.setup_seconds, b.outputs) == (60.0, None, None)
    seen = await ledger.sightings()
    assert [(row.boot_seconds, row.scope, row.spot_hours) for row in seen] == [(40.0, "", None)] * 2


async def test_only_what_ended_well_and_only_of_this_pipeline(ledger: Ledger, fence: Fence) -> None:
    await attempted(ledger, fence, "a", state="failed", event={"kind": "user_error"})
    await attempted(ledger, await claimed(ledger, "r2", name="other"), "a")
    assert await ledger.stage_runs("p") == []
    assert [row.stage for row in await ledger.stage_runs("other")] == ["a"]


async def test_the_latest_runs_of_each_stage(ledger: Ledger, fence: Fence) -> None:
    for number in range(2, 6):
        run = await claimed(ledger, f"r{number}")
        await attempted(ledger, run, "a", offer={**OFFER, "cpus": float(number)})
        if number == 2:
            await attempted(ledger, run, "b")
    rows = await ledger.stage_runs("p", per_stage=2)
    assert [(row.stage, row.cpus) for row in rows] == [("b", 2.0), ("a", 4.0), ("a", 5.0)]
    assert [row.cpus for row in await ledger.stage_runs("p", runs=1)] == [5.0]


async def test_shortages_of_machines_that_cost_something(ledger: Ledger, fence: Fence) -> None:
    free = {**OFFER, "price": 0.0, "cloud": "ssh"}
    seen = [
        {"offer": OFFER, "scope": "zone", "at": 1000.0},
        {"offer": free, "scope": "type", "at": 1001.0},
    ]
    await ledger.start_attempt(fence, "a", 1, None)
    await ledger.record_step(fence, "a", 1, "shortages", {"count": 2, "seen": seen})
    await ledger.start_attempt(fence, "b", 1, {"offer": OFFER, "demand": {}})
    event = {"kind": "capacity", "scope": "region"}
    await ledger.finish_attempt(fence, "b", 1, "failed", event=event)
    before = time.time()
    found = await ledger.sightings()
    assert [row.scope for row in found] == ["zone", "region"]
    assert found[0].at == 1000.0 and abs(found[1].at - before) < 60
    assert found[0].instance_type == "m5.large"


async def test_spot_machines_were_held_and_taken_away(
    ledger: Ledger, fence: Fence, raw: asyncpg.Connection
) -> None:
    spot = {**OFFER, "spot": True}
    await attempted(
        ledger, fence, "a", offer=spot, nodes=3, state="failed", event={"kind": "preempted"}
    )
    await attempted(ledger, fence, "b", offer=spot)
    await raw.execute("UPDATE clusters SET closed = created + interval '2 h'")
    found = await ledger.sightings()
    assert [(row.spot_hours, row.preempted) for row in found] == [(6.0, True), (2.0, False)]


async def test_a_plan_is_recorded_once_for_each_cause(ledger: Ledger, fence: Fence) -> None:
    first = {"a": {"n": 1}, "b": {"n": 1}}
    assert await ledger.record_plan(fence, "planned", "start", first, {"usd": 3.0})
    assert not await ledger.record_plan(fence, "planned", "start", {"a": {"n": 9}}, {"usd": 9.0})
    assert await ledger.record_plan(fence, "replanned", "a#2", {"b": {"n": 2}}, {}, "a")
    rows = {row.key: row.placement for row in await ledger.stages("r1")}
    assert rows == {"a": {"n": 1}, "b": {"n": 2}}
    told = [(e.kind, e.key, e.data) for e in await ledger.events("r1", 0) if "plan" in e.kind]
    assert told == [
        ("planned", None, {"cause": "start", "usd": 3.0}),
        ("replanned", "a", {"cause": "a#2"}),
    ]


async def test_a_plan_of_an_old_owner_is_refused(ledger: Ledger, fence: Fence) -> None:
    await ledger.release(fence)
    assert await ledger.claim_run("e1", "r1")
    with pytest.raises(Fenced):
        await ledger.record_plan(fence, "planned", "start", {"a": {}}, {})
    assert all(row.placement is None for row in await ledger.stages("r1"))
