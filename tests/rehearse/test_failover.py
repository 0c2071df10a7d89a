"""Fail-over over five clouds: each answer of a provider leads where it should, and is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.cli import rehearseview
from stix.clouds.sim.scenario import Fault, Scenario
from stix.plan.joint import place_together
from stix.plan.offers import Offer
from stix.rehearse.report import report
from stix.spec.models import PipelineSpec
from stix.spec.states import RunState
from tests.rehearse.support import asked, go, market, offers, read, row, stage

PLACES = [
    *("ash/east/1", "ash/east/2", "ash/west/1"),
    *("birch/east/1", "birch/east/2"),
    *("cedar/north/1", "cedar/north/2", "cedar/south/1"),
    *("damson/east/1", "damson/west/1"),
    *("elm/east/1",),
]
"""Five clouds, in the order of their prices."""


def world(*faults: Fault) -> Scenario:
    return Scenario(boot_spread=0, boot_s=60, preempt_rate=0, faults=faults)


@pytest.fixture
def pipeline(tmp_path: Path) -> PipelineSpec:
    return read(tmp_path, stage("    estimate: {time: 1h}\n"))


def test_the_plan_goes_by_price(pipeline: PipelineSpec) -> None:
    placement = market(pipeline, offers(*PLACES)).plan.stages["main"]
    there = [c.offer.infra for c in (placement.chosen, *placement.alternatives)]
    assert there == PLACES


@pytest.mark.parametrize(
    ("faults", "went"),
    [
        ([], ["ash/east/1"]),
        ([Fault("stockout", "ash/east/1")], ["ash/east/1", "ash/east/2"]),
        ([Fault("quota", "ash/east")], ["ash/east/1", "ash/west/1"]),
        ([Fault("auth", "ash")], ["ash/east/1", "birch/east/1"]),
        (
            [Fault("auth", "ash"), Fault("auth", "birch"), Fault("quota", "north")],
            ["ash/east/1", "birch/east/1", "cedar/north/1", "cedar/south/1"],
        ),
    ],
)
def test_each_answer_has_its_reach(
    pipeline: PipelineSpec, faults: list[Fault], went: list[str]
) -> None:
    done = go(pipeline, world(*faults), offers(*PLACES))
    (attempt,) = row(done).attempts
    assert asked(attempt) == went
    assert done.finished


WAY = (
    Fault("stockout", "ash/east/1"),  # -> next zone
    Fault("quota", "ash/east"),  # -> next region
    Fault("auth", "ash/west"),  # -> next cloud
    Fault("stockout", "birch"),  # -> next zone, then next cloud
    Fault("auth", "cedar"),
    Fault("quota", "damson/east"),
)


def test_over_five_clouds_to_the_one_that_has_room(pipeline: PipelineSpec) -> None:
    done = go(pipeline, world(*WAY, Fault("stockout", "damson/west")), offers(*PLACES))
    (attempt,) = row(done).attempts
    assert asked(attempt) == [
        *("ash/east/1", "ash/east/2", "ash/west/1"),
        *("birch/east/1", "birch/east/2"),
        *("cedar/north/1",),
        *("damson/east/1", "damson/west/1"),
        "elm/east/1",
    ]
    assert [(one.event.kind, getattr(one.event, "scope", "")) for one in attempt.tries] == [
        *(("capacity", "zone"), ("capacity", "region"), ("denied", "cloud")),
        *(("capacity", "zone"), ("capacity", "zone")),
        *(("denied", "cloud"),),
        *(("capacity", "region"), ("capacity", "zone")),
    ]
    assert done.finished
    assert done.usd == pytest.approx(attempt.usd(done.seconds))


def test_a_bad_request_stops_at_once(pipeline: PipelineSpec) -> None:
    done = go(pipeline, world(*WAY, Fault("invalid", "damson/west")), offers(*PLACES))
    (attempt,) = row(done).attempts
    assert asked(attempt)[-1] == "damson/west/1"
    assert (done.state, done.usd) == (RunState.FAILED, 0.0)
    assert attempt.event is not None and attempt.event.kind == "refused"
    assert "refuses the request" in row(done).reason
    assert "it would be refused again" in row(done).reason


def test_where_every_cloud_refuses_the_login_it_ends(pipeline: PipelineSpec) -> None:
    done = go(pipeline, world(Fault("auth", "")), offers(*PLACES))
    (attempt,) = row(done).attempts
    clouds = [one.offer.cloud for one in attempt.tries]
    assert clouds == ["ash", "birch", "cedar", "damson", "elm"]
    assert not done.finished
    assert "no other cloud is left" in row(done).reason
    assert "give elm valid credentials" in row(done).reason


def test_a_shortage_everywhere_is_waited_out_round_by_round(pipeline: PipelineSpec) -> None:
    denied = Fault("auth", "ash")
    done = go(pipeline, world(denied, Fault("stockout", "", 0.0, 1800.0)), offers(*PLACES))
    (attempt,) = row(done).attempts
    assert asked(attempt).count("ash/east/1") == 1  # it would refuse again
    assert asked(attempt).count("birch/east/1") > 5
    assert done.finished
    assert attempt.lease is not None and attempt.lease.since >= 1800.0


def test_throttling_is_waited_out_in_place(pipeline: PipelineSpec) -> None:
    done = go(pipeline, world(Fault("throttle", "ash", 0.0, 10.0)), offers(*PLACES))
    (attempt,) = row(done).attempts
    assert asked(attempt) == ["ash/east/1"]
    assert done.finished


def test_an_api_that_stays_silent_ends_the_attempt_and_the_next_goes_elsewhere(
    pipeline: PipelineSpec,
) -> None:
    done = go(pipeline, world(Fault("down", "ash/east/1")), offers(*PLACES))
    first, second = row(done).attempts
    assert first.event is not None and first.event.kind == "node_lost"
    assert (first.offer.infra, second.offer.infra) == ("ash/east/1", "ash/east/2")
    assert done.finished


def test_the_history_is_what_people_are_shown(pipeline: PipelineSpec) -> None:
    there = offers(*PLACES)
    scenario = world(*WAY)
    on = market(pipeline, there)
    told = report("p", on, scenario, [go(pipeline, scenario, there)])
    lines = rehearseview.whole(told).splitlines()
    heads = next(n for n, line in enumerate(lines) if line.startswith("STAGE") and "ANSWER" in line)
    shown = [
        ("ash/east/1", "ash/east/1 has no box left", "no room"),
        ("ash/east/2", "the account may have no more machines in ash/east", "no room"),
        ("ash/west/1", "ash refuses the login", "the cloud refused the login"),
        ("birch/east/1", "birch/east/1 has no box left", "no room"),
        ("birch/east/2", "birch/east/2 has no box left", "no room"),
        ("cedar/north/1", "cedar refuses the login", "the cloud refused the login"),
        ("damson/east/1", "the account may have no more machines in damson/east", "no room"),
    ]
    for number, (where, answer, why) in enumerate(shown, 1):
        line = lines[heads + number]
        assert f"{where} box" in line and answer in line
        assert f"{why}: the next offer at once, retry {number}" in line
    assert told["stages"][0]["attempts"][0]["tried"] == len(shown)


def test_a_plan_keeps_an_offer_of_each_cloud(tmp_path: Path) -> None:
    pipeline = read(tmp_path, stage())
    cheap = [Offer("ash", f"r{n}", None, "box", 4, 16.0, price=1 + n / 100) for n in range(60)]
    dear = [Offer(cloud, "r", None, "box", 4, 16.0, price=9.0) for cloud in ("birch", "cedar")]
    plan = place_together(pipeline, [*cheap, *dear]).plan()
    done = go(pipeline, world(Fault("auth", "ash")), [*cheap, *dear])
    assert len(plan.stages["main"].alternatives) == 42
    assert asked(row(done).attempts[0]) == ["ash/r0", "birch/r"]
