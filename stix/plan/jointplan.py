"""A plan of a whole pipeline as data: what each stage gets, what moves, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stix.plan.amount import Amount
from stix.plan.costs import StageCost
from stix.plan.egress import Fact
from stix.plan.offers import Offer
from stix.plan.placement import Choice, Placement, Plan, Rejected

LOSERS_KEPT = 10
ALTERNATIVES_KEPT = 40


@dataclass(frozen=True)
class Loser:
    """An offer that serves and was not chosen.

    Attributes:
        choice: The offer.
        tier: Rank of the wish it serves.
        usd, seconds: How much dearer and slower the whole plan would be with it, all other stages
            staying where they are.
        code: ``beaten`` (another in its place is not dearer and not slower), ``tier`` (less
            wanted), ``data`` (cheaper by itself, dearer with what has to move), ``dearer``,
            ``slower``, ``late`` (breaks the deadline or the budget), ``equal``.
        why: The same in words.
    """

    choice: Choice
    tier: int
    usd: float
    seconds: float
    code: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "choice": self.choice.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Loser:
        return cls(**{**data, "choice": Choice.from_dict(data["choice"])})


@dataclass(frozen=True)
class StagePlan:
    """What one stage gets.

    Attributes:
        stage: Its name.
        choice: The offer, and what a node reserves of it.
        num_nodes: Nodes of it.
        points: Points of its matrix, each with its nodes.
        cost: Money and time with bars and parts, without what other stages send.
        start, end: Seconds from the start of the plan; from the arrival of its inputs.
        pinned: It was there before.
        next_best: The best of the losers; None where there is no other.
        losers: The best of them, at most ``LOSERS_KEPT``.
        lost: Code to how many offers lost by it.
        excluded: Code of a reason to how many offers it rules out.
        nearest: The excluded offers that are nearest to serving.
        alternatives: What else serves, best first, ``ALTERNATIVES_KEPT`` and the best of each
            cloud beyond them: where to go until a new plan is made.
    """

    stage: str
    choice: Choice
    num_nodes: int
    points: int
    cost: StageCost
    start: float
    end: float
    pinned: bool = False
    next_best: Loser | None = None
    losers: tuple[Loser, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, int] = field(default_factory=dict)
    nearest: tuple[Rejected, ...] = ()
    alternatives: tuple[Choice, ...] = ()

    @property
    def offer(self) -> Offer:
        return self.choice.offer

    def placement(self) -> Placement:
        """As the flows know it."""
        return Placement(
            stage=self.stage,
            num_nodes=self.num_nodes,
            chosen=self.choice,
            alternatives=self.alternatives,
            usd_per_hour=self.offer.price * self.num_nodes,
            rejected=self.nearest,
            rejected_count=sum(self.excluded.values()),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "choice": self.choice.to_dict(),
            "cost": self.cost.to_dict(),
            "next_best": self.next_best.to_dict() if self.next_best else None,
            "losers": [loser.to_dict() for loser in self.losers],
            "lost": dict(self.lost),
            "excluded": dict(self.excluded),
            "nearest": [rejected.to_dict() for rejected in self.nearest],
            "alternatives": [choice.to_dict() for choice in self.alternatives],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StagePlan:
        best = data["next_best"]
        return cls(
            **{
                **data,
                "choice": Choice.from_dict(data["choice"]),
                "cost": StageCost.from_dict(data["cost"]),
                "next_best": Loser.from_dict(best) if best else None,
                "losers": tuple(Loser.from_dict(loser) for loser in data["losers"]),
                "nearest": tuple(Rejected.from_dict(r) for r in data["nearest"]),
                "alternatives": tuple(Choice.from_dict(c) for c in data["alternatives"]),
            }
        )


@dataclass(frozen=True)
class EdgePlan:
    """What goes from one stage to the next, or to a stage from where it lies.

    Attributes:
        source: Stage, or URL.
        target: Stage.
        origin, place: From where to where.
        gb: Of all points together.
        usd, seconds: With bars.
        scope: ``same``, ``zone``, ``region`` or ``internet``.
        basis: Where the size is from.
        facts: The prices that count, with their sources.
    """

    source: str
    target: str
    origin: str
    place: str
    gb: Amount
    usd: Amount
    seconds: Amount
    scope: str
    basis: str
    facts: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        amounts = {name: getattr(self, name).to_dict() for name in ("gb", "usd", "seconds")}
        return {**self.__dict__, **amounts, "facts": [dict(fact) for fact in self.facts]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EdgePlan:
        amounts = {name: Amount.from_dict(data[name]) for name in ("gb", "usd", "seconds")}
        return cls(**{**data, **amounts, "facts": tuple(data["facts"])})


@dataclass(frozen=True)
class JointPlan:
    """The placement of a pipeline, all stages together.

    Attributes:
        stages: Name to what it gets, in the order of the pipeline; those that have ended are not
            among them.
        edges: What moves.
        usd, seconds: All of it, with bars; time from the start of the plan to its last end.
        minimize: ``cost`` or ``time``.
        method, gap: How it was found, and how far from the best it may be; 0 for a proof.
        warm: (from, to) pairs of stages that share a cluster.
        notes: What the reader should know, such as data of unknown size.
    """

    stages: Mapping[str, StagePlan]
    edges: tuple[EdgePlan, ...]
    usd: Amount
    seconds: Amount
    minimize: str = "cost"
    method: str = ""
    gap: float = 0.0
    warm: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def egress_usd(self) -> float:
        """What movement costs, of data that lies somewhere too."""
        written = sum(stage.cost.parts.written_usd for stage in self.stages.values())
        return written + sum(edge.usd.value for edge in self.edges)

    def plan(self) -> Plan:
        """As the flows know it."""
        return Plan({name: stage.placement() for name, stage in self.stages.items()})

    def to_dict(self) -> dict[str, Any]:
        return {
            "stages": [stage.to_dict() for stage in self.stages.values()],
            "edges": [edge.to_dict() for edge in self.edges],
            "usd": self.usd.to_dict(),
            "seconds": self.seconds.to_dict(),
            "minimize": self.minimize,
            "method": self.method,
            "gap": self.gap,
            "warm": [list(pair) for pair in self.warm],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JointPlan:
        stages = [StagePlan.from_dict(entry) for entry in data["stages"]]
        return cls(
            stages={stage.stage: stage for stage in stages},
            edges=tuple(EdgePlan.from_dict(edge) for edge in data["edges"]),
            usd=Amount.from_dict(data["usd"]),
            seconds=Amount.from_dict(data["seconds"]),
            minimize=data["minimize"],
            method=data["method"],
            gap=data["gap"],
            warm=tuple((source, target) for source, target in data["warm"]),
            notes=tuple(data["notes"]),
        )


def shown(facts: tuple[Fact, ...]) -> tuple[Mapping[str, Any], ...]:
    """The facts of a price as data."""
    return tuple(fact.to_dict() for fact in facts)
