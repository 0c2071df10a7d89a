"""What the ledger knows of earlier runs, in the planner's words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from stix.ledger import Ledger
from stix.ledger.history import SightingRow, StageRunRow
from stix.plan.blocklist import Blocklist, Sighting
from stix.plan.history import Exposure, History, Seen, Shape
from stix.spec.words.accelerators import spelled

GIB = 2**30


@dataclass(frozen=True)
class Learned:
    """For ``stix.plan.joint.Given``.

    Attributes:
        history: Times and sizes of the same pipeline, preemptions of all.
        zones: Shortages and boots of all pipelines.
    """

    history: History = field(default_factory=History)
    zones: Blocklist = field(default_factory=Blocklist)


async def learned(ledger: Ledger, name: str) -> Learned:
    """What earlier runs of the pipeline of this name showed, and where nodes came or did not.

    Two queries of a bounded size.
    """
    runs = await ledger.stage_runs(name)
    sightings = await ledger.sightings()
    history = History(tuple(map(_seen, runs)), tuple(_exposures(sightings)))
    return Learned(history, Blocklist(tuple(map(_sighting, sightings))))


def _seen(row: StageRunRow) -> Seen:
    outputs = {name: count / GIB for name, count in (row.outputs or {}).items()}
    return Seen(row.stage, _shape(row), row.seconds, row.setup_seconds, outputs)


def _shape(row: StageRunRow) -> Shape:
    for name, count in (row.accelerators or {}).items():
        return Shape(spelled(name), count, 0.0, row.nodes)
    return Shape("", 0.0, row.cpus, row.nodes)


def _sighting(row: SightingRow) -> Sighting:
    return Sighting(*row[:8])


def _exposures(rows: Iterable[SightingRow]) -> Iterable[Exposure]:
    """One for each machine in each region."""
    found: dict[tuple[str, str, str], list[SightingRow]] = defaultdict(list)
    for row in rows:
        if row.spot_hours is not None:
            found[row.cloud, row.region, row.instance_type].append(row)
    for (cloud, region, machine), there in found.items():
        hours = sum(row.spot_hours or 0.0 for row in there)
        yield Exposure(cloud, region, machine, hours, sum(row.preempted for row in there))
