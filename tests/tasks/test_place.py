"""Which offer an attempt takes after what happened before."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stix.plan.offers import Demand, Offer
from stix.plan.placement import Choice, Placement
from stix.recovery.actions import Action, GiveUp, NextOffer, RetryHere
from stix.recovery.order import Past, choose, untried


def offer(name: str, *, spot: bool = False) -> Choice:
    """``region-zone-type``, all in one cloud."""
    region, zone, kind = name.split("-")
    made = Offer(
        cloud="c",
        region=region,
        zone=zone,
        instance_type=kind,
        cpus=4,
        memory_gib=8,
        accelerators={},
        price=1.0,
        spot=spot,
    )
    return Choice(made, Demand(cpus=1))


NAMES = ("r1-a-big", "r1-a-small", "r1-b-big", "r2-a-big")
CHOICES = tuple(offer(name) for name in NAMES)
PLAN = Placement("train", 1, CHOICES[0], CHOICES[1:])


def past(*steps: tuple[int, Action]) -> list[Past]:
    return [Past(CHOICES[i], action) for i, action in steps]


def walk(scopes: Sequence[str]) -> list[int]:
    """The offers taken when each is followed by a shortage of that scope."""
    before: list[Past] = []
    taken = []
    for scope in scopes:
        choice = choose(PLAN, before)
        taken.append(CHOICES.index(choice))
        before.append(Past(choice, NextOffer(skip_scope=scope)))
    return taken


def test_the_first_attempt_takes_the_best() -> None:
    assert choose(PLAN, []) is CHOICES[0]
    assert untried(PLAN, []) == 4


@pytest.mark.parametrize("here", range(4))
def test_a_retry_stays_where_it_was(here: int) -> None:
    assert choose(PLAN, past((0, NextOffer()), (here, RetryHere()))) is CHOICES[here]


@pytest.mark.parametrize(
    ("scopes", "taken"),
    [
        (["type"] * 4, [0, 1, 2, 3]),
        (["zone"] * 3, [0, 2, 3]),
        (["region"] * 2, [0, 3]),
        (["type", "region", "type"], [0, 1, 3]),
    ],
)
def test_a_shortage_rules_out_what_shares_its_scope(scopes: list[str], taken: list[int]) -> None:
    assert walk(scopes) == taken


@pytest.mark.parametrize(
    ("scope", "round_"), [("type", 4), ("zone", 3), ("region", 2), ("cloud", 1)]
)
def test_when_all_are_ruled_out_a_new_round_begins(scope: str, round_: int) -> None:
    taken = walk([scope] * (3 * round_))
    assert taken == taken[:round_] * 3
    assert taken[0] == 0


def test_the_untried_of_a_round_are_counted() -> None:
    before: list[Past] = []
    left = []
    for _ in range(5):
        before.append(Past(choose(PLAN, before), NextOffer(skip_scope="type")))
        left.append(untried(PLAN, before))
    assert left == [3, 2, 1, 0, 3]


def test_a_shortage_of_spot_says_nothing_of_on_demand() -> None:
    spot, fixed = offer("r1-a-big", spot=True), offer("r1-a-big")
    plan = Placement("train", 1, spot, (fixed,))
    assert choose(plan, [Past(spot, NextOffer(skip_scope="cloud"))]) is fixed


def test_attempts_that_ended_otherwise_rule_nothing_out() -> None:
    assert choose(PLAN, past((0, RetryHere()), (0, GiveUp("x")))) is CHOICES[0]
    assert untried(PLAN, past((0, RetryHere()), (0, GiveUp("x")))) == 4
