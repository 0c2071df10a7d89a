"""Runs are placed as a whole, and what has not begun is placed again after a fail-over."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from stix.engine.runtime import Attempt, RunContext
from stix.flows.placing import best, better, moved, place_run
from stix.ledger import Ledger
from stix.plan.blocklist import Blocklist
from stix.plan.history import History, Seen, Shape
from stix.plan.joint import Given, place_together
from stix.plan.offers import Offer
from stix.plan.place import place
from stix.plan.placement import Placement
from stix.spec.loader import load_file
from stix.spec.models import PipelineSpec
from tests.ledger.test_history import stored
from tests.support.regions import Only, Regions
from tests.support.workshop import Workshop, open_workshop
from tests.support.yard import Yard

EAST, WEST, NORTH = "us-east-1", "us-west-2", "eu-west-1"
FREE = [
    Offer("local", "-", None, "box", 2, 8.0, shared=True),
    *(
        Offer("ssh", pool, f"h{i}", "host", 4 + 4 * i, 16.0, {"T4": 1} if i == 2 else {})
        for pool in ("lab", "den")
        for i in range(3)
    ),
]
MIXED = """
name: mixed
stages:
  a: {run: 'true', outputs: {o: o}}
  b: {run: 'true', inputs: {i: a.o}, resources: {cpus: 4+}}
  c: {run: 'true', needs: [b], resources: {accelerators: T4}}
  d: {run: 'true', inputs: {i: a.o}, resources: {infra: ssh/den}, num_nodes: 2}
  e: {run: 'true', resources: {memory: 16+}}
  f: {run: 'true', resources: {ordered: [{infra: ssh/lab}, {infra: local}]}}
"""
CHAIN = """
name: chain
stages:
  a: {run: 'true', outputs: {o: o}, estimate: {time: 1h, outputs: {o: 500}}}
  b: {run: 'true', inputs: {i: a.o}, outputs: {o: o}, estimate: {time: 1h, outputs: {o: 500}}}
  c: {run: 'true', inputs: {i: b.o}, estimate: {time: 1h}}
"""


def read(folder: Path, text: str) -> PipelineSpec:
    path = folder / "p.yaml"
    path.write_text(text)
    return load_file(path).pipeline


def aws(region: str, price: float) -> Offer:
    return Offer("aws", region, None, "m5.large", 2, 8.0, price=price)


def seen(stage: str, cpus: float, seconds: float) -> Seen:
    return Seen(stage, Shape("", cpus), seconds)


@pytest.mark.parametrize(
    "history", [History(), History((seen("a", 2, 900.0), seen("a", 12, 9.0), seen("e", 12, 9.0)))]
)
def test_machines_that_cost_nothing_are_taken_by_their_fit(
    tmp_path: Path, history: History
) -> None:
    pipeline = read(tmp_path, MIXED)
    joint, plan = best(pipeline, FREE, Given(history=history))
    alone = place(pipeline, FREE)
    for name, placement in alone.stages.items():
        found = plan.stages[name]
        assert found.chosen == placement.chosen == joint.stages[name].choice
        assert found.alternatives == placement.alternatives
        assert (found.num_nodes, found.usd_per_hour) == (placement.num_nodes, 0)


def test_a_place_without_room_comes_last(tmp_path: Path) -> None:
    offers = [aws(EAST, 0.1), aws(WEST, 0.2), aws(NORTH, 0.3)]
    zones = Blocklist().with_shortage(offers[0], "region", 1000.0)
    pipeline = read(tmp_path, "name: one\nstages:\n  a: {run: 'true'}\n")
    _, plan = best(pipeline, offers, Given(zones=zones, now=1060.0))
    placement = plan.stages["a"]
    tried = [c.offer.region for c in (placement.chosen, *placement.alternatives)]
    assert tried == [WEST, NORTH, EAST]
    _, later = best(pipeline, offers, Given(zones=zones, now=1060.0 + 86400))
    assert later.stages["a"].offer.region == EAST


def test_a_shortage_everywhere_is_no_reason_to_refuse(tmp_path: Path) -> None:
    zones = Blocklist().with_shortage(aws(EAST, 0.1), "cloud", 1000.0)
    _, plan = best(read(tmp_path, CHAIN), [aws(EAST, 0.1)], Given(zones=zones, now=1001.0))
    assert plan.stages["a"].offer.region == EAST


def test_the_rest_follows_the_data_and_costs_no_more_than_staying(tmp_path: Path) -> None:
    pipeline = read(tmp_path, CHAIN)
    offers = [aws(EAST, 0.100), aws(WEST, 0.101)]
    before, plan = best(pipeline, offers, Given())
    assert {p.offer.region for p in plan.stages.values()} == {EAST}
    assert before.egress_usd == 0
    given = Given(pinned={"a": offers[1]})
    old = {name: plan.stages[name].offer for name in ("b", "c")}
    found = better(pipeline, offers, given, old)
    assert found is not None
    kept, joint, new = found
    assert {name: p.offer.region for name, p in new.stages.items()} == dict.fromkeys("abc", WEST)
    stayed = place_together(pipeline, offers, given=replace(given, pinned={**given.pinned, **old}))
    assert kept == stayed.usd.value and joint.usd.value < kept - 5


def test_without_a_gain_the_plan_stays(tmp_path: Path) -> None:
    pipeline = read(tmp_path, CHAIN.replace("500", "0.001").replace("1h", "1m"))
    offers = [aws(EAST, 0.1), aws(WEST, 0.2)]
    given = Given(pinned={"a": offers[1]})
    old = {"b": offers[0], "c": offers[0]}
    assert better(pipeline, offers, given, old) is None
    blocked = replace(given, zones=Blocklist().with_shortage(offers[0], "region", 0.0), now=1.0)
    found = better(pipeline, offers, blocked, old)
    assert found is not None and found[2].stages["b"].offer.region == WEST


# -- in a run -----------------------------------------------------------------------------------

TEXT = """
name: regions
stages:
  a: {run: 'true', estimate: {time: 1m}}
  b: {run: 'true', needs: [a], estimate: {time: 1m}}
  c: {run: 'true', needs: [b], estimate: {time: 1m}}
"""


def regions(workshop: Workshop, **prices: float) -> Regions:
    """Give the workshop regions in place of one machine."""
    made = Regions(workshop.runtime.clouds.get("local"), prices)
    workshop.runtime = replace(workshop.runtime, clouds=Only(made))
    return made


async def plans(workshop: Workshop, run_id: str) -> list[tuple[str, Any]]:
    events = await workshop.ledger.events(run_id, 0)
    return [(event.kind, event.data) for event in events if event.kind in ("planned", "replanned")]


async def test_a_run_goes_on_where_there_is_room(yard: Yard) -> None:
    cloud = regions(yard.workshop, east=0.1, west=0.2)
    cloud.full.add("east")
    ended = await yard.run(TEXT)
    assert ended.state == "succeeded"
    offers = {row.key: row.offer["offer"]["region"] for row in ended.attempts}
    assert offers == dict.fromkeys("abc", "west")
    [tried] = [row.steps["shortages"] for row in ended.attempts if "shortages" in row.steps]
    assert tried["result"]["count"] == 1
    (first, start), (second, again) = await plans(yard.workshop, ended.run.id)
    assert (first, second) == ("planned", "replanned")
    assert start["usd"] > 0 and start["cause"] == "start"
    assert again["why"] == "a went from local/east to local/west" and again["cause"] == "a#1"
    assert sorted(again["moved"]) == ["b", "c"]
    placements = {k: Placement.from_dict(row.placement) for k, row in ended.stages.items()}
    assert [placements[k].offer.region for k in "abc"] == ["east", "west", "west"]


async def begin(workshop: Workshop, run: RunContext, region: str) -> Attempt:
    """An attempt of ``a`` that has its nodes in a region."""
    attempt = await workshop.attempt(run, "a")
    placement = run.plan.stages["a"]
    choices = (placement.chosen, *placement.alternatives)
    attempt.choice = next(c for c in choices if c.offer.region == region)
    run.where["a"] = None
    return attempt


async def placed(workshop: Workshop, text: str = TEXT) -> tuple[RunContext, list[Offer]]:
    run = await workshop.context(text)
    offers = list(await workshop.runtime.clouds.get("local").offers())
    await place_run(run, offers, {})
    return run, offers


DATA = """
name: data
stages:
  a: {run: 'true', outputs: {o: o}, estimate: {time: 1h, outputs: {o: 500}}}
  b: {run: 'true', inputs: {i: a.o}, estimate: {time: 1h}}
"""


async def no_room(attempt: Attempt, offer: Offer) -> None:
    """Tell the ledger of a shortage, as provisioning does."""
    shortage = {"offer": offer.to_dict(), "scope": "region", "at": time.time()}
    await attempt.finish_step("shortages", {"count": 1, "seen": [shortage]})


async def test_a_fail_over_is_answered_once_also_after_a_crash(workshop: Workshop) -> None:
    regions(workshop, east=0.1, west=0.2)
    run, offers = await placed(workshop)
    before = run.plan
    attempt = await begin(workshop, run, "west")
    await no_room(attempt, offers[0])
    with disable_run_logger():
        await moved(attempt)
        assert [run.plan.stages[k].offer.region for k in "abc"] == ["east", "west", "west"]
        run.plan = before  # an engine that died before it could follow
        await moved(attempt)
    told = await plans(workshop, run.run_id)
    assert [kind for kind, _ in told] == ["planned", "replanned"]
    run.stage_rows.update({s.key: s for s in await workshop.ledger.stages(run.run_id)})
    await place_run(run, offers, {})
    assert [run.plan.stages[k].offer.region for k in "bc"] == ["west", "west"]
    assert len(await plans(workshop, run.run_id)) == 2


async def test_stages_that_have_begun_stay(workshop: Workshop) -> None:
    regions(workshop, east=0.1, west=0.2)
    run, offers = await placed(workshop)
    attempt = await begin(workshop, run, "west")
    run.where["b"] = None
    await no_room(attempt, offers[0])
    with disable_run_logger():
        await moved(attempt)
    assert [run.plan.stages[k].offer.region for k in "abc"] == ["east", "east", "west"]
    [_, (_, again)] = await plans(workshop, run.run_id)
    assert list(again["moved"]) == ["c"]


async def test_nothing_is_done_where_nothing_could_change(workshop: Workshop) -> None:
    regions(workshop, east=0.0, west=0.0)
    run, _ = await placed(workshop)
    before = run.plan
    with disable_run_logger():
        await moved(await begin(workshop, run, "west"))
        await moved(await begin(workshop, run, "east"))
    assert run.plan == before and len(await plans(workshop, run.run_id)) == 1


async def test_another_engine_goes_on_with_the_plan(workshop: Workshop) -> None:
    regions(workshop, east=0.1, west=0.2)
    run, offers = await placed(workshop)
    assert {p.offer.region for p in run.plan.stages.values()} == {"east"}
    run.stage_rows.update({s.key: s for s in await workshop.ledger.stages(run.run_id)})
    cheap = [offers[0], replace(offers[1], price=0.01)]
    await place_run(run, cheap, {})
    assert {p.offer.region for p in run.plan.stages.values()} == {"east"}
    await place_run(run, cheap[1:], {})  # what is not on offer any more is no plan
    assert {p.offer.region for p in run.plan.stages.values()} == {"west"}


async def test_what_has_ended_is_not_placed_again(workshop: Workshop) -> None:
    regions(workshop, east=0.1, west=0.2)
    run, offers = await placed(workshop, DATA)
    await workshop.ledger.update_stage(
        run.fence, "a", state="succeeded", outputs={"o": "d"}, result={}
    )
    await stored(workshop.ledger, run.fence, "a", "output", "o", 2**30)
    run.stage_rows.update({s.key: s for s in await workshop.ledger.stages(run.run_id)})
    await place_run(run, offers, {})
    assert list(run.plan.stages) == ["b"] and run.joint is not None
    [edge] = run.joint.edges
    assert (edge.source, edge.gb.value, edge.origin) == ("a", 1.0, "local/?")


STORES = """\
local: {{cpus: 8, memory: 16}}
artifacts:
  url: "{far}"
  place: aws/us-east-1
  replicas: [{{url: "{near}", place: local}}]
"""


async def test_outputs_are_read_from_the_cheapest_store_that_has_them(
    ledger: Ledger, tmp_path: Path
) -> None:
    far, near = (tmp_path / "far").as_uri(), (tmp_path / "near").as_uri()
    async with open_workshop(ledger, tmp_path, STORES.format(far=far, near=near)) as workshop:
        regions(workshop, east=0.1, west=0.2)
        run, offers = await placed(workshop, DATA)
        assert run.joint is not None
        [edge] = run.joint.edges
        assert edge.origin == "local/?" and run.joint.egress_usd == 0  # it will land here
        await workshop.ledger.update_stage(
            run.fence, "a", state="succeeded", outputs={"o": "d"}, result={}
        )
        await stored(workshop.ledger, run.fence, "a", "output", "o", 500 * 2**30)
        run.stage_rows.update({s.key: s for s in await workshop.ledger.stages(run.run_id)})
        origins = []
        for seen in ([], [far], [near]):
            await workshop.ledger.add_replicas("d", seen)
            await place_run(run, offers, {})
            [edge] = run.joint.edges
            origins.append(edge.origin)
        assert origins == ["aws/us-east-1", "aws/us-east-1", "local/?"]
