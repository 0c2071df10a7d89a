"""Runs over simulated clouds, with real nodes: where refusals and preemptions lead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from stix.clouds.base import Cloud, Selector
from stix.clouds.config import CloudConfig
from stix.clouds.registry import open_cloud
from stix.clouds.sim import SimCloud
from stix.clouds.wrappers import wrap
from stix.engine.runtime import CloudSet
from tests.support.workshop import Workshop
from tests.support.yard import Yard


class Ash(SimCloud):
    name = "ash"


class Birch(SimCloud):
    name = "birch"


class Fleet(CloudSet):
    """Two simulated clouds."""

    def __init__(self, *clouds: Cloud) -> None:
        super().__init__({}, {cloud.name: True for cloud in clouds})
        self._clouds = {cloud.name: cloud for cloud in clouds}

    def get(self, name: str) -> Cloud:
        return self._clouds[name]


@pytest.fixture
async def clean(yard: Yard) -> AsyncIterator[list[Cloud]]:
    """Clouds to be emptied at the end."""
    before, made = yard.workshop.runtime.clouds, list[Cloud]()
    yield made
    await yard.close()
    yard.workshop.runtime = replace(yard.workshop.runtime, clouds=before)
    for cloud in made:
        await cloud.terminate([node.ref for node in await cloud.list(Selector())])
        await cloud.close()


def fleet(
    workshop: Workshop, made: list[Cloud], ash: dict[str, Any], birch: dict[str, Any]
) -> None:
    """Give the workshop two clouds, of which ash is the cheaper."""
    config = workshop.runtime.config
    for adapter, more, price in ((Ash, ash, 0.1), (Birch, birch, 0.2)):
        box = {"cpus": 1, "memory": 1, "price": price, "spot": price / 2}
        zones = ["north/a", "north/b", "south/a"]
        calm = {"types": {"box": box}, "zones": zones, "preempt_rate": 0, "boot": 0}
        home, sockets = config.home / "fleet", config.socket_dir()
        made.append(wrap(adapter(CloudConfig(home, sockets, {**calm, **more}))))
    workshop.runtime = replace(workshop.runtime, clouds=Fleet(*made))


ONE = "name: one\nstages:\n  main: {run: 'echo hi', estimate: {time: 1m}}\n"
FAULTS = [
    {"kind": "stockout", "place": "north/a"},
    {"kind": "quota", "place": "north"},
    {"kind": "auth", "place": "south"},
]


async def test_capacity_quota_and_login_lead_to_zone_region_and_cloud(
    yard: Yard, clean: list[Cloud]
) -> None:
    fleet(yard.workshop, clean, {"faults": FAULTS}, {})
    ended = await yard.run(ONE)
    assert ended.state == "succeeded"
    [attempt] = ended.attempts
    assert attempt.offer["offer"]["cloud"] == "birch"
    told = attempt.steps["shortages"]["result"]
    tried = [(t["infra"], t["event"]["kind"], t["event"]["scope"]) for t in told["tried"]]
    assert tried == [
        ("ash/north/a", "capacity", "zone"),
        ("ash/north/b", "capacity", "region"),
        ("ash/south/a", "denied", "cloud"),
    ]
    assert "no other cloud" not in told["tried"][-1]["decision"]
    assert [seen["scope"] for seen in told["seen"]] == ["zone", "region"]
    assert not await yard.ledger.open_intents()


async def test_a_bad_request_stops(yard: Yard, clean: list[Cloud]) -> None:
    bad = {"faults": [FAULTS[0], {"kind": "invalid", "place": "north/b"}]}
    fleet(yard.workshop, clean, bad, {})
    ended = await yard.run(ONE)
    assert ended.state == "failed"
    [attempt] = ended.attempts
    assert attempt.event is not None and attempt.event["kind"] == "refused"
    assert "refuses the request" in (ended.stages["main"].reason or "")


async def test_where_no_cloud_lets_us_in_the_run_ends_and_says_so(
    yard: Yard, clean: list[Cloud]
) -> None:
    shut = {"faults": [{"kind": "auth"}]}
    fleet(yard.workshop, clean, shut, shut)
    ended = await yard.run(ONE)
    assert ended.state == "failed"
    [attempt] = ended.attempts
    assert attempt.event is not None and attempt.event["kind"] == "denied"
    assert "birch refuses the login" in (ended.stages["main"].reason or "")
    assert "no other cloud is left" in attempt.action["reason"]


async def test_a_budget_of_shortages_is_used_once(yard: Yard, clean: list[Cloud]) -> None:
    full = {"faults": [{"kind": "stockout"}]}
    fleet(yard.workshop, clean, full, full)
    text = ONE.replace("{run:", "{recovery: {capacity: {retries: 2, backoff: 0}}, run:")
    ended = await yard.run(text)
    assert ended.state == "failed"
    [attempt] = ended.attempts
    assert attempt.steps["shortages"]["result"]["count"] == 2
    assert "all 2 retries are used" in attempt.action["reason"]


async def test_a_preempted_stage_goes_on_elsewhere(yard: Yard, clean: list[Cloud]) -> None:
    """Spot nodes of ash live for a virtual hour, which is a second here; those of birch stay."""
    fleet(yard.workshop, clean, {"preempt_rate": 1, "speed": 3600}, {})
    text = """
name: spot
stages:
  main:
    run: 'if [ "$STIX_ATTEMPT" = 1 ]; then sleep 100; fi; echo done'
    resources: {use_spot: true}
    recovery: {preempted: {retries: 30, backoff: 0}}
    estimate: {time: 1s}
"""
    ended = await yard.run(text)
    assert ended.state == "succeeded"
    first = ended.attempts[0]
    assert first.event is not None and first.event["kind"] == "preempted"
    assert first.offer["offer"]["cloud"] == "ash"
    assert all(row.event is None or row.event["kind"] == "preempted" for row in ended.attempts)


async def test_the_simulated_cloud_is_found_by_its_entry_point(yard: Yard) -> None:
    config = yard.workshop.runtime.config
    cloud = open_cloud("sim", CloudConfig(config.home, config.socket_dir(), {"seed": 1}))
    assert {offer.cloud for offer in await cloud.offers()} == {"sim"}
    await cloud.close()
