"""Accelerators for people: which machines have them, and where they are cheapest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from stix.clouds.catalog.catalog import Catalog
from stix.clouds.catalog.rows import ACCELERATOR, ANYWHERE, Kind, Source
from stix.clouds.catalog.tables import MICRO, Table
from stix.errors import UsageError
from stix.spec.words import accelerators


class Deal(NamedTuple):
    """The lowest price of a machine in one market, and where it is."""

    usd_per_hour: float
    region: str
    zone: str | None
    source: Source

    def to_dict(self, count: float) -> dict[str, Any]:
        return {
            "usd_per_hour": self.usd_per_hour,
            "usd_per_hour_each": round(self.usd_per_hour / count, 6),
            "region": self.region,
            "zone": self.zone,
            "source": self.source.name,
            "as_of": self.source.as_of,
            "confidence": self.source.confidence,
            "currency": self.source.currency,
        }


class Gpu(NamedTuple):
    """A machine with accelerators, in all of its regions or in one.

    Attributes:
        kind: The machine.
        on_demand: The cheapest place of it; None where it is not sold so.
        spot: Likewise.
        regions: In how many regions there is a price.
    """

    kind: Kind
    on_demand: Deal | None
    spot: Deal | None
    regions: int

    def each(self, *, spot: bool) -> float:
        """USD per hour and accelerator; infinite where it is not sold so."""
        deal = self.spot if spot else self.on_demand
        if deal is None:
            return math.inf
        return round(deal.usd_per_hour / self.kind.accelerator_count, 6)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe."""
        count = self.kind.accelerator_count
        return {
            **self.kind._asdict(),
            "regions": self.regions,
            "on_demand": self.on_demand.to_dict(count) if self.on_demand else None,
            "spot": self.spot.to_dict(count) if self.spot else None,
        }


class Place(NamedTuple):
    """Where to look, and at which prices.

    Attributes:
        cloud, region, zone: Exactly this one; None for any.
        all_regions: One entry for each region instead of one for all.
        estimates: False leaves out prices that are estimates.
    """

    cloud: str | None = None
    region: str | None = None
    zone: str | None = None
    all_regions: bool = False
    estimates: bool = True


def find(catalog: Catalog, name: str | None = None, place: Place | None = None) -> list[Gpu]:
    """The machines with accelerators, the cheapest per accelerator first.

    Args:
        catalog: Where to look.
        name: Any spelling; its forms are found too (``H100`` has ``H100-SXM``). ``A100:8`` wants
            machines with eight. None for all.
        place: Where to look.

    Raises:
        UsageError: nothing has this name; it says which names are near.
    """
    place = place or Place()
    names, count = _wanted(catalog, name) if name else (None, None)
    found = [
        gpu
        for table in catalog.tables(place.cloud)
        for number, kind in enumerate(table.kinds)
        if kind.accelerator
        and kind.scope != ACCELERATOR
        and (names is None or kind.accelerator in names)
        and count in (None, kind.accelerator_count)
        for gpu in _gpus(table, number, place)
    ]
    return sorted(found, key=_by_price)


def _wanted(catalog: Catalog, name: str) -> tuple[set[str], float | None]:
    """The names that are meant, and how many."""
    known = catalog.accelerators()
    head, _, tail = name.rpartition(":")
    count = float(tail) if head and tail.replace(".", "", 1).isdigit() else None
    asked = head if count is not None else name
    names = accelerators.family(asked, known)
    if names:
        return set(names), count
    near = accelerators.nearest(asked, known)
    fix = f"did you mean {' or '.join(near)}?" if near else "see `stix gpus` for all names"
    if accelerators.canonical(asked):
        fix = f"no cloud of the catalog has a price for it; {fix}"
    raise UsageError(f"no accelerator {asked!r} in the catalog", fix=fix)


def _gpus(table: Table, number: int, place: Place) -> Iterator[Gpu]:
    """The entries of one machine."""
    start, end = table.starts[number], table.starts[number + 1]
    regions = table.numbers["region"]
    picked = [i for i in range(start, end) if _lies_in(table, i, place)]
    if not place.all_regions:
        groups = [picked] if picked else []
    else:
        there = sorted({regions[i] for i in picked})
        groups = [[i for i in picked if regions[i] == region] for region in there]
    for rows in groups:
        deals = [_lowest(table, rows, name, place) for name in ("on_demand", "spot")]
        if deals[0] or deals[1]:
            yield Gpu(table.kinds[number], deals[0], deals[1], len({regions[i] for i in rows}))


def _lies_in(table: Table, row: int, place: Place) -> bool:
    if place.region is not None:
        region = table.regions[table.numbers["region"][row]]
        if region not in (place.region, ANYWHERE):
            return False
    zone = table.numbers["zone"][row]
    return place.zone is None or not zone or table.zones[zone - 1] == place.zone


def _lowest(table: Table, rows: list[int], market: str, place: Place) -> Deal | None:
    prices = table.numbers[market]
    origins = table.numbers["source" if market == "on_demand" else "spot_source"]
    best = -1
    for row in rows:
        if not prices[row] or (best >= 0 and prices[row] >= prices[best]):
            continue
        if place.estimates or not table.sources[origins[row] - 1].is_estimate:
            best = row
    if best < 0:
        return None
    zone = table.numbers["zone"][best]
    return Deal(
        prices[best] / MICRO,
        table.regions[table.numbers["region"][best]],
        table.zones[zone - 1] if zone else None,
        table.sources[origins[best] - 1],
    )


def _by_price(gpu: Gpu) -> tuple[float, float, float, str, str, str]:
    kind = gpu.kind
    deal = gpu.on_demand or gpu.spot
    region = deal.region if deal else ""
    each = gpu.each(spot=False), gpu.each(spot=True)
    return *each, kind.accelerator_count, kind.cloud, kind.instance_type, region
