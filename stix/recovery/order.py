"""In which order the offers of a plan are tried, given what came of those before; pure.

One of them is asked for at a time. What it answers rules out others (its zone, its region, its
cloud) until all are ruled out and a new round begins. What is ruled out for good stays so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass

from stix.plan.placement import Block, Choice, Placement
from stix.recovery.actions import Action, Decision, GiveUp, NextOffer, RetryHere
from stix.recovery.decide import Market, decide
from stix.recovery.events import Capacity, Denied
from stix.spec.recovery import RecoveryPolicy


@dataclass(frozen=True)
class Past:
    """An offer that was tried, and what recovery chose after it."""

    choice: Choice
    action: Action


class Order:
    """The offers of one placement as they are ruled out.

    Attributes:
        rounds: How often all of them have been tried, the present time included.
    """

    def __init__(self, placement: Placement, past: Iterable[Past] = ()) -> None:
        self._open = [placement.chosen, *placement.alternatives]
        self._left = list(self._open)
        self._first = placement.chosen
        self._last: Past | None = None
        self.rounds = 1
        for tried in past:
            self.tried(tried)

    def tried(self, past: Past) -> None:
        """One more was tried."""
        self._last = past
        action = past.action
        if not isinstance(action, NextOffer):
            return
        if not self._left:
            self._left = list(self._open)
            self.rounds += 1
        block = _block(past.choice, action)
        self._left = _without(self._left, block)
        if action.for_good:
            self._open = _without(self._open, block)

    def next(self) -> Choice:
        """After ``RetryHere`` the same one; after ``NextOffer`` the best that nothing rules out
        since the last full round."""
        if self._last is not None and isinstance(self._last.action, RetryHere):
            return self._last.choice
        return next(iter(self._left or self._open), self._first)

    @property
    def market(self) -> Market:
        """What is left to be tried."""
        return Market(untried=len(self._left), rounds=self.rounds, open=len(self._open))


def choose(placement: Placement, past: Sequence[Past]) -> Choice:
    """The offer for the next attempt, given those before."""
    return Order(placement, past).next()


def untried(placement: Placement, past: Iterable[Past]) -> int:
    """How many offers of the plan nothing rules out in this round."""
    return Order(placement, past).market.untried


class Search:
    """The search of one attempt for a place that has room.

    Attributes:
        choice: What is asked for now.
        past: What had no room, oldest first.
    """

    def __init__(
        self,
        placement: Placement,
        policy: RecoveryPolicy,
        choice: Choice,
        past: Iterable[Past] = (),
    ) -> None:
        self._policy, self.choice = policy, choice
        self.past = list(past)
        self._order = Order(placement, self.past)

    def refused(self, event: Capacity | Denied, seed: str = "") -> Decision:
        """``choice`` cannot be had: what to do, with the next ``choice`` where the search goes on.

        Args:
            event: Why it cannot be had.
            seed: As for ``decide``.
        """
        elsewhere = copy(self._order)
        denied = isinstance(event, Denied)
        elsewhere.tried(Past(self.choice, NextOffer(skip_scope=event.scope, for_good=denied)))
        before = [Capacity() for _ in self.past]
        decision = decide(self._policy, event, before, market=elsewhere.market, seed=seed)
        if not isinstance(decision.action, GiveUp):
            self.past.append(Past(self.choice, decision.action))
            self._order.tried(self.past[-1])
            self.choice = self._order.next()
        return decision


def _block(choice: Choice, action: NextOffer) -> Block:
    if action.for_good:  # a login holds for both markets
        return Block(cloud=choice.offer.cloud)
    return Block.of(choice.offer, action.skip_scope or "type")


def _without(choices: Sequence[Choice], block: Block) -> list[Choice]:
    return [choice for choice in choices if not block.covers(choice.offer)]
