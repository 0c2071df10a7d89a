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

from stix.clouds.base import CanChaos
from stix.clouds.testing import creating, living
from stix.clouds.testing.bench import Bench, Desk, desk


@dataclass(frozen=True)
class Check:
    """One demand. ``needs``: the optional ability without which it says nothing."""

    act: Callable[[Desk], Awaitable[None]]
    needs: Any = None

    @property
    def name(self) -> str:
        return self.act.__name__


CHECKS: tuple[Check, ...] = (
    Check(living.says_who_we_are),
    Check(living.makes_sound_offers),
    Check(creating.gives_what_was_asked),
    Check(creating.gives_the_same_for_the_same_token),
    Check(creating.gives_the_same_after_a_lost_answer),
    Check(creating.gives_the_same_to_calls_at_one_time),
    Check(creating.keeps_tokens_apart),
    Check(creating.makes_all_or_nothing),
    Check(creating.says_when_there_is_no_room),
    Check(creating.never_gives_two_what_only_one_can_have),
    Check(creating.refuses_what_never_fits),
    Check(creating.refuses_an_offer_it_never_made),
    Check(creating.lists_what_a_cancelled_call_made),
    Check(creating.keeps_odd_tags),
    Check(creating.takes_any_name),
    Check(living.lists_by_tags),
    Check(living.shows_the_same_to_every_engine),
    Check(living.keeps_nodes_when_an_engine_ends),
    Check(living.terminates_wholly),
    Check(living.terminates_silently),
    Check(living.runs_commands_on_its_nodes),
    Check(living.closes_twice),
    Check(living.shows_a_preempted_node, needs=CanChaos),
    Check(living.shows_a_dead_node, needs=CanChaos),
)


async def run_check(check: Check, bench: Bench) -> bool:
    """Run one check; False where the adapter lacks the ability it is about.

    Raises:
        Broken: the adapter does not do what it must.
    """
    async with desk(bench) as at:
        if check.needs is not None and not isinstance(at.cloud, check.needs):
            return False
        await check.act(at)
        return True


class CloudConformance:
    """Inherit, and give a fixture ``bench``."""

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
    def test_cloud(self, check: Check, bench: Bench) -> None:
        if not asyncio.run(run_check(check, bench)):
            pytest.skip(f"the adapter is not {check.needs.__name__}")
