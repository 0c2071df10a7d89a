"""In which order the offers of a plan are tried, given what came of those before; pure.

One of them is asked for at a time. What it answers rules out others (its zone, its region, its
cloud) until all are ruled out and a new round begins. What is ruled out for good stays so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace

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
        self._choices = (placement.chosen, *placement.alternatives)
        self._open = list(range(len(self._choices)))
        self._left = self._open
        self._covered: dict[Block, frozenset[int]] = {}
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
            self._left = self._open
            self.rounds += 1
        out = self._ruled_out(_block(past.choice, action))
        self._left = [number for number in self._left if number not in out]
        if action.for_good:
            self._open = [number for number in self._open if number not in out]

    def next(self) -> Choice:
        """After ``RetryHere`` the same one; after ``NextOffer`` the best that nothing rules out
        since the last full round."""
        if self._last is not None and isinstance(self._last.action, RetryHere):
            return self._last.choice
        return self._choices[next(iter(self._left or self._open), 0)]

    @property
    def market(self) -> Market:
        """What is left to be tried."""
        return Market(len(self._left), self.rounds, len(self._open))

    def _ruled_out(self, block: Block) -> frozenset[int]:
        """Which offers a block covers; a search may go round for days."""
        if block not in self._covered:
            numbered = enumerate(self._choices)
            found = (number for number, choice in numbered if block.covers(choice.offer))
            self._covered[block] = frozenset(found)
        return self._covered[block]


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
        market = replace(elsewhere.market, asked=len(self.past))
        decision = decide(self._policy, event, (), market=market, seed=seed)
        if not isinstance(decision.action, GiveUp):
            self.past.append(Past(self.choice, decision.action))
            if isinstance(decision.action, NextOffer):
                self._order = elsewhere
            else:
                self._order.tried(self.past[-1])
            self.choice = self._order.next()
        return decision


def _block(choice: Choice, action: NextOffer) -> Block:
    if action.for_good:  # a login holds for both markets
        return Block(cloud=choice.offer.cloud)
    return Block.of(choice.offer, action.skip_scope or "type")
