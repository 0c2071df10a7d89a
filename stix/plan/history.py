"""What earlier runs showed: times, sizes, preemptions and bandwidths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from stix.plan.offers import Offer
from stix.plan.regions import Place
from stix.spec.words.accelerators import spelled


@dataclass(frozen=True)
class Shape:
    """What a stage ran on, as far as its time depends on it: not on the cloud, nor the price.

    Attributes:
        accelerator: Canonical name; empty without.
        count: Of them, per node.
        cpus: vCPUs per node; 0 where there is an accelerator, which sets the pace.
        nodes: That worked together.
    """

    accelerator: str = ""
    count: float = 0.0
    cpus: float = 0.0
    nodes: int = 1

    @classmethod
    def of(cls, offer: Offer, nodes: int = 1) -> Shape:
        for name, count in offer.accelerators.items():
            return cls(spelled(name), count, 0.0, nodes)
        return cls("", 0.0, offer.cpus, nodes)

    def __str__(self) -> str:
        one = f"{self.accelerator}:{self.count:g}" if self.accelerator else f"{self.cpus:g} CPUs"
        return one if self.nodes == 1 else f"{self.nodes} x {one}"


@dataclass(frozen=True)
class Seen:
    """A run of a stage (of one point of its matrix) that ended well.

    Attributes:
        stage: Name of the stage.
        shape: What it ran on.
        seconds: Of the command.
        setup_seconds: Of the setup; None where there was none, or it is not known.
        outputs: Name of an output to its GB (2^30 bytes).
        inputs: URL that was read to its GB.
    """

    stage: str
    shape: Shape
    seconds: float
    setup_seconds: float | None = None
    outputs: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Seen:
        return cls(**{**data, "shape": Shape(**data["shape"])})


@dataclass(frozen=True)
class Exposure:
    """How long spot machines of one kind were held, and how often they were taken away.

    Attributes:
        cloud, region: Where.
        instance_type: What.
        hours: Of all nodes together.
        preemptions: In that time.
    """

    cloud: str
    region: str
    instance_type: str
    hours: float
    preemptions: int


@dataclass(frozen=True)
class Transfer:
    """A transfer that was seen."""

    source: Place
    target: Place
    gb: float
    seconds: float


@dataclass(frozen=True)
class History:
    """What is known from earlier runs; the oldest first.

    Attributes:
        runs: Stage runs that ended well.
        exposures: Spot machines that were held.
        transfers: Movements of data.
    """

    runs: tuple[Seen, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    transfers: tuple[Transfer, ...] = ()

    @cached_property
    def _by_stage(self) -> dict[str, list[Seen]]:
        found: dict[str, list[Seen]] = defaultdict(list)
        for seen in self.runs:
            found[seen.stage].append(seen)
        return dict(found)

    def of(self, stage: str) -> list[Seen]:
        """The runs of a stage, the oldest first."""
        return self._by_stage.get(stage, [])

    def preempted(self, offer: Offer) -> tuple[float, int]:
        """(hours, preemptions) of this machine in this region."""
        what = offer.cloud, offer.region, offer.instance_type
        return self._exposed.get(what, (0.0, 0))

    @cached_property
    def _exposed(self) -> dict[tuple[str, str, str], tuple[float, int]]:
        found: dict[tuple[str, str, str], tuple[float, int]] = {}
        for e in self.exposures:
            what = e.cloud, e.region, e.instance_type
            hours, times = found.get(what, (0.0, 0))
            found[what] = hours + e.hours, times + e.preemptions
        return found

    def bandwidths(self) -> dict[tuple[Place, Place], float]:
        """(source, target) to GB/s, over all that was moved between them."""
        sums: dict[tuple[Place, Place], tuple[float, float]] = {}
        for t in self.transfers:
            gb, seconds = sums.get((t.source, t.target), (0.0, 0.0))
            sums[t.source, t.target] = gb + t.gb, seconds + t.seconds
        return {pair: gb / s for pair, (gb, s) in sums.items() if gb > 0 and s > 0}

    def with_runs(self, runs: Iterable[Seen]) -> History:
        return History((*self.runs, *runs), self.exposures, self.transfers)

    def to_dict(self) -> dict[str, Any]:
        return {
            "runs": [asdict(seen) for seen in self.runs],
            "exposures": [asdict(exposure) for exposure in self.exposures],
            "transfers": [asdict(transfer) for transfer in self.transfers],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> History:
        transfers = [
            {**t, "source": Place(*t["source"]), "target": Place(*t["target"])}
            for t in data["transfers"]
        ]
        return cls(
            tuple(Seen.from_dict(seen) for seen in data["runs"]),
            tuple(Exposure(**exposure) for exposure in data["exposures"]),
            tuple(Transfer(**transfer) for transfer in transfers),
        )
