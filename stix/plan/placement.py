"""A plan as data: what each stage gets, what else would do, and what would not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stix.plan.match import Reason
from stix.plan.offers import Demand, Offer


@dataclass(frozen=True)
class Block:
    """Offers to pass over: all that agree with every field which is not None."""

    cloud: str | None = None
    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None
    spot: bool | None = None

    @classmethod
    def of(cls, offer: Offer, scope: str) -> Block:
        """What a shortage of ``scope`` (``type``, ``zone``, ``region``, ``cloud``) rules out.

        A shortage says nothing about the other market: spot blocks spot only. ``type`` is this
        machine in this zone; any other word stands for it too.
        """
        exact = {
            "cloud": offer.cloud,
            "region": offer.region,
            "zone": offer.zone,
            "instance_type": offer.instance_type,
        }
        kept = {"zone": ("cloud", "region", "zone"), "region": ("cloud", "region")}
        names = ("cloud",) if scope == "cloud" else kept.get(scope, tuple(exact))
        return cls(spot=offer.spot, **{name: exact[name] for name in names})

    def covers(self, offer: Offer) -> bool:
        return all(
            wanted is None or wanted == getattr(offer, name)
            for name, wanted in self.__dict__.items()
        )


@dataclass(frozen=True)
class Choice:
    """An offer that serves, with what one node reserves of it."""

    offer: Offer
    demand: Demand

    def to_dict(self) -> dict[str, Any]:
        return {"offer": self.offer.to_dict(), "demand": asdict(self.demand)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Choice:
        return cls(Offer.from_dict(data["offer"]), Demand(**data["demand"]))


@dataclass(frozen=True)
class Rejected:
    """An offer that does not serve, and why."""

    offer: Offer
    reasons: tuple[Reason, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"offer": self.offer.to_dict(), "reasons": [asdict(r) for r in self.reasons]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Rejected:
        return cls(Offer.from_dict(data["offer"]), tuple(Reason(**r) for r in data["reasons"]))


@dataclass(frozen=True)
class Placement:
    """What one stage run gets.

    Attributes:
        stage: Key of the stage run.
        num_nodes: Nodes of it.
        chosen: The best choice.
        alternatives: The others, best first: the path of a fail-over.
        usd_per_hour: Of all its nodes on the best choice.
        rejected: The offers nearest to serving, at most ``REJECTED_KEPT``.
        rejected_count: How many offers do not serve.
    """

    stage: str
    num_nodes: int
    chosen: Choice
    alternatives: tuple[Choice, ...] = ()
    usd_per_hour: float = 0.0
    rejected: tuple[Rejected, ...] = ()
    rejected_count: int = 0

    @property
    def offer(self) -> Offer:
        return self.chosen.offer

    def pick(self, blocked: Iterable[Block] = ()) -> Choice | None:
        """The best choice that nothing blocks; None where all are blocked."""
        blocks = list(blocked)
        for choice in (self.chosen, *self.alternatives):
            if not any(block.covers(choice.offer) for block in blocks):
                return choice
        return None

    def to_dict(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "num_nodes": self.num_nodes,
            "chosen": self.chosen.to_dict(),
            "alternatives": [choice.to_dict() for choice in self.alternatives],
            "usd_per_hour": self.usd_per_hour,
            "rejected": [rejected.to_dict() for rejected in self.rejected],
            "rejected_count": self.rejected_count,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Placement:
        return cls(
            stage=data["stage"],
            num_nodes=data["num_nodes"],
            chosen=Choice.from_dict(data["chosen"]),
            alternatives=tuple(Choice.from_dict(c) for c in data["alternatives"]),
            usd_per_hour=data["usd_per_hour"],
            rejected=tuple(Rejected.from_dict(r) for r in data["rejected"]),
            rejected_count=data["rejected_count"],
        )


REJECTED_KEPT = 10


@dataclass(frozen=True)
class Plan:
    """The placement of a pipeline: stage key to what it gets, in the order of the pipeline."""

    stages: Mapping[str, Placement] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"stages": [placement.to_dict() for placement in self.stages.values()]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        placements = [Placement.from_dict(entry) for entry in data["stages"]]
        return cls({placement.stage: placement for placement in placements})
