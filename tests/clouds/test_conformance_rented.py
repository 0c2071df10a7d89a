"""The suite against rented clouds with seeded defects: each fails its checks, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.base import NodeRef, NodeState
from stix.clouds.do.cloud import DigitalOceanCloud
from stix.clouds.do.firewalls import pages
from stix.clouds.errors import CapacityError, CloudError
from stix.clouds.rented.failures import ErrorTable
from stix.clouds.rented.machines import Machine, Search
from stix.clouds.testing.bench import Bench, Broken
from stix.clouds.testing.suite import CHECKS, run_check
from tests.support.clouds.benches import bench
from tests.support.clouds.do import KEY, DigitalOcean


class SilentTerminate(DigitalOceanCloud):
    """Says that nodes are gone whatever the provider answered."""

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        try:
            await super().remove_machines(nodes)
        except CloudError:
            return


class FirstPage(DigitalOceanCloud):
    """Reads the first page of a listing only."""

    async def machines(self, search: Search) -> list[Machine]:
        answer = await self._api.call("GET", "/droplets", params={"per_page": 2})
        found = await super().machines(search)
        first = {str(entry["id"]) for entry in answer["droplets"]}
        return [machine for machine in found if machine.id in first]


class OffIsGone(DigitalOceanCloud):
    """Takes a machine that is off, and costs money, for one that is gone."""

    async def machines(self, search: Search) -> list[Machine]:
        found = await super().machines(search)
        stopped = NodeState.STOPPED
        return [m if m.state is not stopped else replace(m, billed=False) for m in found]


class AnyMachine(DigitalOceanCloud):
    """Takes every machine with our prefix for ours."""

    async def machines(self, search: Search) -> list[Machine]:
        entries = await pages(self._api, "/droplets", "droplets")
        ours = {"stix-home": search.home}
        strangers = [
            Machine(str(entry["id"]), entry["name"], NodeState.RUNNING, tags=ours)
            for entry in entries
            if entry["name"].startswith("stix") and not entry["tags"]
        ]
        return await super().machines(search) + strangers


class ShowsItsKey(DigitalOceanCloud):
    """The key stands in the message of an error."""

    def api(self, base: str, headers: Any, errors: ErrorTable, **more: Any) -> Any:
        def reading(status: int, body: Any) -> tuple[str, str]:
            return str(body.get("id", "")), f"{body.get('message', '')} (key {KEY})"

        return super().api(base, headers, errors, reading=reading)


class LeavesHalfAGang(DigitalOceanCloud):
    """Does not take back what was made of a wish before it was refused."""

    async def _undo(self, error: CloudError, *_: object) -> None:
        return None


class NoStock(DigitalOceanCloud):
    """Takes a lack of room for a wrong order."""

    def api(self, base: str, headers: Any, errors: ErrorTable, **more: Any) -> Any:
        rules = [r for r in errors.rules if not issubclass(r.error, CapacityError)]
        return super().api(base, headers, ErrorTable("do", rules), **more)


NO_ROOM = {
    "makes_all_or_nothing",
    "says_when_there_is_no_room",
    "never_gives_two_what_only_one_can_have",
    "says_when_the_provider_has_none",
    "says_when_a_quota_is_reached",
    "takes_back_a_gang_that_came_in_part",
}
DEFECTS: Mapping[type[DigitalOceanCloud], set[str]] = {
    SilentTerminate: {"says_when_it_is_locked_out", "says_when_there_is_no_answer"},
    FirstPage: {
        "lists_through_all_pages",
        "lists_what_a_cancelled_call_made",
        "says_when_there_is_no_room",
        "takes_back_a_gang_that_came_in_part",
        "tells_what_it_could_not_take_back",
    },
    OffIsGone: {"knows_every_state", "stops_and_starts"},
    AnyMachine: {"leaves_strangers_alone"},
    ShowsItsKey: {
        "says_when_a_quota_is_reached",
        "says_when_a_right_is_missing",
        "says_when_it_is_locked_out",
        "says_when_the_order_is_wrong",
        "says_when_the_provider_has_none",
    },
    LeavesHalfAGang: {
        "makes_all_or_nothing",
        "never_gives_two_what_only_one_can_have",
        "says_when_a_quota_is_reached",
        "says_when_a_right_is_missing",
        "says_when_the_order_is_wrong",
        "says_when_the_provider_has_none",
        "takes_back_a_gang_that_came_in_part",
    },
    NoStock: NO_ROOM,
}


RACES: Mapping[type[DigitalOceanCloud], set[str]] = {
    FirstPage: {"never_gives_two_what_only_one_can_have"}
}
"""Two gangs race there: how many machines lie on the second page then is chance."""


def failing(adapter: type[DigitalOceanCloud], home: Path) -> set[str]:
    """The checks that it fails."""
    failed = set()
    for check in CHECKS:
        place = home / check.name
        place.mkdir()
        with DigitalOcean().running() as double:
            offer = ("nyc1", "s-4vcpu-8gb")
            hasty = {"timeout": 0.15}
            desk: Bench = bench(adapter, double, place, offer, hasty, secrets=[KEY])
            try:
                asyncio.run(run_check(check, desk))
            except (Broken, CloudError):
                failed.add(check.name)
    return failed


@pytest.mark.parametrize("adapter", DEFECTS, ids=lambda adapter: adapter.__name__)
def test_a_defect_fails_its_checks_and_no_other(
    adapter: type[DigitalOceanCloud], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", KEY)
    found = failing(adapter, tmp_path)
    assert found - RACES.get(adapter, set()) == DEFECTS[adapter]
