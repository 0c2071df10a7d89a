"""Shortages: what they block, for how long, and what they teach."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stix.plan.blocklist import BLOCKED_S, HALF_LIFE_S, LONGEST_S, PRIOR, Blocklist
from stix.plan.offers import Offer

HERE = Offer("aws", "us-east-1", "us-east-1a", "p4d", 96, 1152, {"A100": 8}, price=22, spot=True)
SAME_ZONE = replace(HERE, instance_type="g5")
OTHER_ZONE = replace(HERE, zone="us-east-1b")
OTHER_REGION = replace(HERE, region="us-west-2", zone="us-west-2a")
OTHER_CLOUD = replace(HERE, cloud="gcp", region="us-central1", zone="us-central1-a")
ON_DEMAND = replace(HERE, spot=False)
ALL = [HERE, SAME_ZONE, OTHER_ZONE, OTHER_REGION, OTHER_CLOUD, ON_DEMAND]


def blocked(blocklist: Blocklist, now: float) -> list[Offer]:
    return [o for o in ALL if any(block.covers(o) for block in blocklist.blocks(now))]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("type", [HERE]),
        ("zone", [HERE, SAME_ZONE]),
        ("region", [HERE, SAME_ZONE, OTHER_ZONE]),
        ("cloud", [HERE, SAME_ZONE, OTHER_ZONE, OTHER_REGION]),
        ("something new", [HERE]),
    ],
)
def test_a_shortage_blocks_what_it_speaks_of_for_its_market(
    scope: str, expected: list[Offer]
) -> None:
    blocklist = Blocklist().with_shortage(HERE, scope, at=1000)
    assert blocked(blocklist, 1000) == expected
    assert blocked(blocklist, 1000 + BLOCKED_S.get(scope, BLOCKED_S["type"])) == []


def test_each_further_shortage_blocks_for_longer() -> None:
    blocklist, now, spans = Blocklist(), 0.0, []
    for _ in range(12):
        blocklist = blocklist.with_shortage(HERE, "zone", now)
        start = now
        while blocked(blocklist, now):
            now += 60
        spans.append(now - start)
    assert spans == sorted(spans)
    assert spans[0] == BLOCKED_S["zone"]
    assert spans[1] == 2 * BLOCKED_S["zone"]
    assert spans[-1] == LONGEST_S


def test_a_shortage_after_a_long_time_is_a_first_one() -> None:
    blocklist = Blocklist().with_shortage(HERE, "type", 0).with_shortage(HERE, "type", 100_000)
    assert blocked(blocklist, 100_000 + BLOCKED_S["type"]) == []


def test_nodes_that_came_lift_the_block_of_their_place_only() -> None:
    blocklist = Blocklist().with_shortage(HERE, "zone", 0).with_shortage(OTHER_REGION, "zone", 0)
    assert blocked(blocklist, 60) == [HERE, SAME_ZONE, OTHER_REGION]
    assert blocked(blocklist.with_nodes(SAME_ZONE, 30), 60) == [OTHER_REGION]
    assert blocked(blocklist.with_nodes(ON_DEMAND, 30), 60) == [
        HERE,
        SAME_ZONE,
        OTHER_REGION,
    ]


def test_learned_shortages_come_near_what_is_seen_and_fade() -> None:
    blocklist = Blocklist()
    assert blocklist.shortage(HERE, 0) == PRIOR[True]
    assert blocklist.shortage(ON_DEMAND, 0) == PRIOR[False]
    for number in range(40):
        blocklist = blocklist.with_shortage(HERE, "type", number)
    assert blocklist.shortage(HERE, 40) > 0.9
    assert PRIOR[True] < blocklist.shortage(SAME_ZONE, 40) < blocklist.shortage(HERE, 40)
    assert blocklist.shortage(OTHER_ZONE, 40) == PRIOR[True]
    assert blocklist.shortage(ON_DEMAND, 40) == PRIOR[False]
    later = blocklist.shortage(HERE, 40 + 10 * HALF_LIFE_S)
    assert later == pytest.approx(PRIOR[True], abs=0.02)
    for number in range(200):
        blocklist = blocklist.with_nodes(HERE, 40 + number)
    assert blocklist.shortage(HERE, 240) < 0.25


def test_wider_shortages_speak_of_more() -> None:
    region = Blocklist().with_shortage(HERE, "region", 0)
    assert region.shortage(OTHER_ZONE, 0) > PRIOR[True]
    assert region.shortage(OTHER_REGION, 0) == PRIOR[True]
    cloud = Blocklist().with_shortage(HERE, "cloud", 0)
    assert cloud.shortage(OTHER_REGION, 0) > PRIOR[True]
    assert cloud.shortage(OTHER_CLOUD, 0) == PRIOR[True]


def test_machines_of_ones_own_have_no_shortages_and_boot_at_once() -> None:
    local = Offer("local", "-", None, "this-machine", 8, 32, shared=True)
    assert Blocklist().shortage(local, 0) == 0
    assert Blocklist().boot(local)[0].value < Blocklist().boot(HERE)[0].value


def test_boots_are_learned_by_zone_then_region_then_cloud() -> None:
    blocklist = Blocklist()
    for _ in range(5):
        blocklist = blocklist.with_nodes(HERE, 0, 40).with_nodes(OTHER_REGION, 0, 200)
    assert blocklist.boot(HERE)[0].value == pytest.approx(40)
    assert blocklist.boot(HERE)[1] == 5
    assert blocklist.boot(OTHER_ZONE)[0].value == pytest.approx(40)
    elsewhere = replace(HERE, region="eu-west-1", zone="eu-west-1a")
    assert 40 < blocklist.boot(elsewhere)[0].value < 200
    assert blocklist.boot(OTHER_CLOUD) == Blocklist().boot(OTHER_CLOUD)


def test_as_data() -> None:
    blocklist = Blocklist().with_shortage(HERE, "zone", 5).with_nodes(OTHER_ZONE, 6, 70)
    assert Blocklist.from_dict(json.loads(json.dumps(blocklist.to_dict()))) == blocklist
