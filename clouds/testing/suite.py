"""The conformance suite of clouds: what every adapter must do, for ours and for those of others.

An adapter joins with a fixture::

    class TestComet(CloudConformance):
        @pytest.fixture
        def bench(self, tmp_path):
            config = CloudConfig(home=tmp_path, socket_dir=tmp_path)
            offer = Offer("comet", "eu", None, "small", cpus=4, memory_gib=8, capacity=4)
            return Bench(lambda: CometCloud(config), offer, Demand(cpus=4), room=4)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from stix.clouds.base import (
    CanChaos,
    CanListResources,
    CanOpenPorts,
    CanSpot,
    CanStop,
    CanTellQuotas,
    HasCredentials,
    HasVolumes,
)
from stix.clouds.testing import creating, keeping, lives, living, wires
from stix.clouds.testing.bench import Bench, Desk, desk
from stix.clouds.testing.wires import NotKnown


@dataclass(frozen=True)
class Check:
    """One demand.

    Attributes:
        needs: The optional ability without which it says nothing.
        faults: It breaks the provider on purpose.
        reachable: It runs commands on nodes.
        gang: Whether it is about several nodes of one wish (true), or about their absence (false).
    """

    act: Callable[[Desk], Awaitable[None]]
    needs: Any = None
    faults: bool = False
    reachable: bool = False
    gang: bool | None = None

    @property
    def name(self) -> str:
        return self.act.__name__


def _broken(
    *acts: Callable[[Desk], Awaitable[None]], needs: Any = None, gang: bool | None = None
) -> tuple[Check, ...]:
    return tuple(Check(act, needs, faults=True, gang=gang) for act in acts)


CHECKS: tuple[Check, ...] = (
    Check(living.says_who_we_are),
    Check(lives.says_where_its_credentials_are, needs=HasCredentials),
    Check(living.makes_sound_offers),
    Check(creating.gives_what_was_asked),
    Check(creating.gives_the_same_for_the_same_token),
    Check(creating.gives_the_same_after_a_lost_answer),
    Check(creating.gives_the_same_to_calls_at_one_time),
    Check(creating.keeps_tokens_apart),
    Check(creating.makes_all_or_nothing, gang=True),
    Check(creating.refuses_a_gang_that_cannot_meet, gang=False),
    Check(creating.says_when_there_is_no_room),
    Check(creating.never_gives_two_what_only_one_can_have),
    Check(creating.refuses_what_never_fits),
    Check(creating.refuses_an_offer_it_never_made),
    Check(creating.lists_what_a_cancelled_call_made),
    Check(creating.keeps_odd_tags),
    Check(lives.takes_many_labels),
    Check(creating.takes_any_name),
    Check(living.lists_by_tags),
    Check(living.shows_the_same_to_every_engine),
    Check(living.keeps_nodes_when_an_engine_ends),
    Check(living.terminates_wholly, reachable=True),
    Check(living.terminates_silently),
    Check(living.runs_commands_on_its_nodes, reachable=True),
    Check(living.closes_twice),
    Check(living.shows_a_preempted_node, needs=CanChaos, reachable=True),
    Check(living.shows_a_dead_node, needs=CanChaos, reachable=True),
    *_broken(
        wires.survives_requests_that_never_arrive,
        wires.survives_answers_that_are_lost,
        wires.survives_a_provider_that_says_nothing,
        wires.survives_answers_that_come_too_late,
        wires.survives_server_errors,
        wires.survives_answers_that_make_no_sense,
        wires.says_when_it_asked_too_often,
        wires.ends_nodes_over_a_broken_wire,
        wires.says_when_there_is_no_answer,
        wires.says_when_it_is_locked_out,
        wires.says_when_the_provider_has_none,
        wires.says_when_a_quota_is_reached,
        wires.says_when_a_right_is_missing,
        wires.says_when_the_order_is_wrong,
        wires.bears_a_listing_that_lags,
        wires.leaves_strangers_alone,
        wires.lists_through_all_pages,
        lives.knows_every_state,
        lives.boots_before_it_runs,
        lives.has_a_way_in,
        lives.takes_everything_with_it,
    ),
    *_broken(
        wires.takes_back_a_gang_that_came_in_part,
        wires.tells_what_it_could_not_take_back,
        gang=True,
    ),
    *_broken(lives.stops_and_starts, needs=CanStop),
    *_broken(lives.rents_spot, lives.tells_a_preemption, needs=CanSpot),
    *_broken(lives.makes_a_new_one_of_a_preempted_wish, needs=CanSpot),
    *_broken(lives.opens_ports, needs=CanOpenPorts),
    *_broken(lives.lists_its_other_resources, needs=CanListResources),
    *_broken(lives.tells_quotas, needs=CanTellQuotas),
    Check(keeping.makes_a_volume_once, needs=HasVolumes),
    Check(keeping.makes_a_volume_of_calls_at_one_time, needs=HasVolumes),
    Check(keeping.lists_every_volume, needs=HasVolumes),
    Check(keeping.deletes_a_volume_silently, needs=HasVolumes),
    Check(keeping.keeps_a_volume_in_use, needs=HasVolumes),
    Check(keeping.keeps_what_a_volume_holds, needs=HasVolumes, reachable=True),
    Check(keeping.refuses_a_volume_that_is_not_there, needs=HasVolumes),
    *_broken(keeping.makes_a_volume_over_a_broken_wire, needs=HasVolumes),
)


async def run_check(check: Check, bench: Bench) -> str:
    """Run one check; why it does not apply, or nothing where it passed.

    Raises:
        Broken: the adapter does not do what it must.
    """
    if reason := bench.reasons.get(check.name):
        return reason
    if check.gang is not None and check.gang is not bench.gangs:
        has = "reach" if bench.gangs else "do not reach"
        return f"machines of one wish {has} each other"
    if check.faults and bench.faults is None:
        return bench.reasons.get("faults", "nothing behind it can be broken on purpose")
    if check.reachable and not bench.reachable:
        return bench.reasons.get("reachable", "the double has no machines behind it")
    async with desk(bench) as at:
        if check.needs is not None and not isinstance(at.cloud, check.needs):
            return f"the cloud is not {check.needs.__name__}"
        try:
            await check.act(at)
        except NotKnown as why:
            return f"the provider has no refusal for {why}"
    return ""


class CloudConformance:
    """Inherit, and give a fixture ``bench``."""

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
    def test_cloud(
        self, check: Check, bench: Bench, record_property: Callable[[str, object], None]
    ) -> None:
        record_property("stix-cloud", bench.offer.cloud)
        record_property("stix-check", check.name)
        reason = asyncio.run(run_check(check, bench))
        if reason:
            pytest.skip(f"does not apply: {reason}")
