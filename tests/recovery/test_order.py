"""The search for a place that has room: which offer is asked for next, and when it ends."""

from __future__ import annotations

from typing import Any

import pytest

from stix.plan.offers import Demand, Offer
from stix.plan.placement import Choice, Placement
from stix.recovery import Capacity, Denied, GiveUp, NextOffer, Order, Past, RetryHere, Search
from stix.spec.recovery import RecoveryPolicy

DEFAULT = RecoveryPolicy()


def choice(text: str) -> Choice:
    """``cloud-region-zone``, with ``*`` at the end for spot."""
    cloud, region, zone = text.rstrip("*").split("-")
    offer = Offer(cloud, region, zone, "box", 4, 8.0, spot=text.endswith("*"))
    return Choice(offer, Demand())


NAMES = ("a-r-1*", "a-r-1", "a-r-2", "a-s-1", "b-r-1", "c-r-1")
CHOICES = {name: choice(name) for name in NAMES}
PLAN = Placement("s", 1, CHOICES[NAMES[0]], tuple(CHOICES[name] for name in NAMES[1:]))


def name_of(search: Search) -> str:
    return next(name for name, one in CHOICES.items() if one is search.choice)


def walk(policy: RecoveryPolicy, *events: Capacity | Denied) -> tuple[list[str], Any]:
    """Where each answer leads, and the last decision."""
    search = Search(PLAN, policy, PLAN.chosen)
    went, decision = [name_of(search)], None
    for event in events:
        decision = search.refused(event, "seed")
        if isinstance(decision.action, GiveUp):
            break
        went.append(name_of(search))
    return went, decision


def test_a_refused_login_leads_to_the_next_cloud_in_both_markets() -> None:
    went, decision = walk(DEFAULT, Denied(detail="no"))
    assert went == ["a-r-1*", "b-r-1"]
    assert decision.action == NextOffer(after_s=0.0, skip_scope="cloud", for_good=True)
    assert decision.reason == "the cloud refused the login: the next offer at once, retry 1"


def test_it_is_not_asked_again_in_later_rounds() -> None:
    went, decision = walk(DEFAULT, Denied(), *[Capacity("cloud")] * 5)
    assert went == ["a-r-1*", "b-r-1", "c-r-1", "b-r-1", "c-r-1", "b-r-1", "c-r-1"]
    assert isinstance(decision.action, NextOffer)


def test_where_no_other_cloud_is_left_it_ends() -> None:
    went, decision = walk(DEFAULT, Denied(), Denied(), Denied())
    assert went == ["a-r-1*", "b-r-1", "c-r-1"]
    assert isinstance(decision.action, GiveUp)
    assert decision.reason == "the cloud refused the login, and no other cloud is left"


def test_a_cloud_without_room_is_waited_for_where_the_others_refuse() -> None:
    short = [Capacity("cloud"), Capacity("cloud")]  # first spot, then on demand
    went, decision = walk(DEFAULT, *short, Denied(), Denied(), *short)
    assert went == ["a-r-1*", "a-r-1", "b-r-1", "c-r-1", "a-r-1*", "a-r-1", "a-r-1*"]
    assert isinstance(decision.action, NextOffer)
    assert decision.action.after_s > 0  # all that is left was tried in this round


def test_none_means_none_also_for_a_refused_login() -> None:
    went, decision = walk(RecoveryPolicy.none(), Denied())
    assert went == ["a-r-1*"]
    assert isinstance(decision.action, GiveUp)
    assert decision.reason == "the cloud refused the login: the policy allows no retry"


def test_the_budget_is_that_of_capacity() -> None:
    policy = RecoveryPolicy(capacity=1)
    went, decision = walk(policy, Capacity("zone"), Denied())
    assert went == ["a-r-1*", "a-r-1"]
    assert (decision.rule, decision.used, decision.allowed) == ("capacity", 1, 1)


def test_a_policy_that_stays_still_leaves_a_cloud_that_refuses() -> None:
    policy = RecoveryPolicy(capacity={"next": "same"})
    went, decision = walk(policy, Capacity("zone"), Denied())
    assert went == ["a-r-1*", "a-r-1*", "b-r-1"]
    assert isinstance(decision.action, NextOffer)


def test_waiting_in_one_place_has_pauses_that_grow() -> None:
    policy = RecoveryPolicy(capacity={"next": "same", "backoff": 4})
    search = Search(PLAN, policy, PLAN.chosen)
    pauses = [search.refused(Capacity("zone")).action for _ in range(4)]
    assert pauses == [RetryHere(after_s=s) for s in (4.0, 8.0, 16.0, 32.0)]


@pytest.mark.parametrize("scope", ["type", "zone", "region", "cloud"])
def test_pauses_come_between_rounds_only(scope: Any) -> None:
    search = Search(PLAN, RecoveryPolicy(capacity={"backoff": 5}), PLAN.chosen)
    seen: list[list[str]] = [[]]
    for _ in range(40):
        seen[-1].append(name_of(search))
        action = search.refused(Capacity(scope)).action
        assert isinstance(action, NextOffer)
        if action.after_s:
            assert action.after_s == min(60.0, 5.0 * 2 ** (len(seen) - 1))
            seen.append([])
    rounds = seen[:-1]
    assert len(rounds) > 3
    assert all(tried == rounds[0] for tried in rounds)
    assert len(set(rounds[0])) == len(rounds[0])


def test_a_search_goes_on_where_another_engine_left_it() -> None:
    short = Capacity("cloud")
    events: list[Capacity | Denied] = [Capacity("zone"), Denied(), short, short, short]
    whole = Search(PLAN, DEFAULT, PLAN.chosen)
    for event in events:
        whole.refused(event, "x")
        again = Search(PLAN, DEFAULT, whole.choice, whole.past)
        assert Order(PLAN, whole.past).next() == again.choice == whole.choice


def test_an_order_starts_again_with_what_is_not_ruled_out_for_good() -> None:
    order = Order(PLAN, [Past(CHOICES["b-r-1"], NextOffer(skip_scope="cloud", for_good=True))])
    assert (order.market.untried, order.market.open, order.rounds) == (5, 5, 1)
    for name in ("a-r-1*", "a-r-1", "c-r-1"):
        order.tried(Past(CHOICES[name], NextOffer(skip_scope="cloud")))
    assert (order.market.untried, order.rounds) == (0, 1)
    assert order.next() is CHOICES["a-r-1*"]
    order.tried(Past(CHOICES["a-r-1*"], NextOffer(skip_scope="zone")))
    assert (order.market.untried, order.rounds) == (4, 2)
