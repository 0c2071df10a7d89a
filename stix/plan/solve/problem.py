"""What the solver is asked and what it answers: numbers only.

Money is in USD, time in seconds, data in GiB. A place is a number from 0; a stage is its position
in ``Problem.stages``, an option its position within the stage.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from stix.errors import StixError


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run a stage.

    Attributes:
        location: The place it runs in.
        usd: Of its whole expected use, boot included.
        seconds: From the arrival of its inputs to its end, boot included.
        tier: Rank among the wishes of the stage; 0 is wanted most.
        key: What machine it is. A cluster is handed on only between options of equal keys, so it
            names the place too; None is never handed on.
        boot_usd: The part of ``usd`` that a warm cluster saves.
        boot_seconds: The part of ``seconds`` that a warm cluster saves.
    """

    location: int
    usd: float
    seconds: float
    tier: int = 0
    key: Hashable = None
    boot_usd: float = 0.0
    boot_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Flow:
    """One stage waits for another; ``gib`` of data go along, 0 for none."""

    source: int
    target: int
    gib: float = 0.0


@dataclass(frozen=True, slots=True)
class Reuse:
    """The cluster of ``source`` may serve ``target``, which one of its flows leads to.

    A cluster has at most one heir, and a stage takes over at most one cluster; which ones, the
    solver decides. What a cluster costs while it waits for its heir is not counted.
    """

    source: int
    target: int


class Moving(Protocol):
    """What it takes to move some data from one place to another."""

    def usd_for(self, gib: float) -> float: ...

    def seconds_for(self, gib: float) -> float: ...


@dataclass(frozen=True)
class Rate:
    """What it takes to move data from one place to another.

    Attributes:
        steps: (up to this many GiB, USD per GiB of that part), the last one up to infinity.
        gib_per_second: Bandwidth.
        seconds: Before the first byte; nothing where nothing moves.
    """

    steps: tuple[tuple[float, float], ...] = ()
    gib_per_second: float = math.inf
    seconds: float = 0.0

    def usd_for(self, gib: float) -> float:
        """The price of one move of ``gib``."""
        total = below = 0.0
        for upto, price in self.steps:
            total += (min(gib, upto) - below) * price
            if gib <= upto:
                break
            below = upto
        return total

    def seconds_for(self, gib: float) -> float:
        """The time of one move of ``gib``."""
        return self.seconds + gib / self.gib_per_second if gib > 0 else 0.0


@dataclass(frozen=True)
class Movement:
    """Movement between places: ``rates[ways[a][b]]`` holds from place ``a`` to place ``b``.

    Each rate is asked once per amount, so that
    thousands of stages and hundreds of places cost a table look-up each.
    """

    rates: Sequence[Moving] = (Rate(),)
    ways: Sequence[Sequence[int]] = ()


class Minimize(Enum):
    """What is made least; of equal plans the one that is less in the other."""

    USD = "usd"
    SECONDS = "seconds"


@dataclass(frozen=True)
class Problem:
    """A DAG of stages, to be placed.

    Attributes:
        stages: The options of each stage.
        flows: Edges; they form no circle.
        reuse: Where a cluster may be handed on.
        together: Groups of stages that share one area.
        areas: Area of each place; empty where each place is an area of its own.
        pinned: Stage to the option it has already, whatever its tier.
        deadline: No later may the last stage end, s.
        budget: Not more may all of it cost, USD.
    """

    stages: Sequence[Sequence[Option]]
    flows: Sequence[Flow] = ()
    movement: Movement = field(default_factory=Movement)
    reuse: Sequence[Reuse] = ()
    together: Sequence[Sequence[int]] = ()
    areas: Sequence[int] = ()
    pinned: Mapping[int, int] = field(default_factory=dict)
    minimize: Minimize = Minimize.USD
    deadline: float | None = None
    budget: float | None = None


@dataclass(frozen=True)
class Limits:
    """When to stop short of a proof. All count steps, not time: answers are repeatable.

    Attributes:
        entries: Table entries of one elimination; above it the search branches.
        branches: Branches of one search.
        labels: Partial plans kept side by side where time counts.
    """

    entries: int = 2_000_000
    branches: int = 200
    labels: int = 1_000


@dataclass(frozen=True)
class Solution:
    """A plan, and how good it is known to be.

    Attributes:
        choice: The option of each stage.
        usd: All stages and movements.
        seconds: From the start to the end of the last stage, movements included.
        lower_bound: No plan has less of what was minimised.
        gap: How far above it this plan is, as a share of it; 0 for a proof.
        method: ``elimination``, ``branch and bound`` or ``labels``.
        explored: Table entries or partial plans looked at.
        warm: The (source, target) pairs of stages that share a cluster.
    """

    choice: tuple[int, ...]
    usd: float
    seconds: float
    lower_bound: float
    gap: float
    method: str
    explored: int
    warm: tuple[tuple[int, int], ...] = ()


class Infeasible(StixError):
    """No plan meets all that is asked.

    Attributes:
        stages: The stages that cannot be placed (together), by number.
        least: The least deadline (s) or budget (USD) that would do, where that is the trouble.
    """

    def __init__(
        self, message: str, *, stages: tuple[int, ...] = (), least: float | None = None
    ) -> None:
        super().__init__(message, fix=_FIXES["stages" if stages else "limits"])
        self.stages = stages
        self.least = least


_FIXES = {
    "stages": "give these stages resources that are offered in one place",
    "limits": "raise the limit, or allow more resources",
}
