"""The few offers of the catalog that a plan can need, out of thousands: found before any is made.

Of rows in one place that serve a stage equally fast the cheapest count, so that the others are
told as numbers. What serves nothing is counted by the reason, and the nearest of it are kept, for
the explanation.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import nsmallest
from typing import NamedTuple

from stix.clouds.catalog.catalog import Catalog
from stix.clouds.catalog.rows import ACCELERATOR, ANYWHERE, MACHINE, SLICE, Kind
from stix.clouds.catalog.tables import MICRO, Table
from stix.plan.choose import Wish
from stix.plan.match import Need
from stix.plan.offers import Offer
from stix.spec.words.accelerators import spelled

PER_PLACE = 2
"""Offers kept of one place: the best, and the next."""
_NEAR, _NEAR_OF_KIND = 12, 2
_GROUPED = ("spot", "accelerators")
_Row = tuple[int, int]
"""A kind on one market (by its position), and its row."""
_Spare = tuple[float, float, float, str]
_Classes = defaultdict[object, list[tuple[int, _Spare, _Row]]]
_Refused = defaultdict[object, list[tuple[int, int, int]]]


class Market(NamedTuple):
    """A kind of machine on demand, or at spot prices.

    Attributes:
        prices: Of all rows of the cloud, in millionths of a USD; 0 for none.
        start, end: Its rows.
        priced: How many of them have a price.
        cheapest: The row with the least one.
    """

    table: Table
    kind: Kind
    spot: bool
    prices: array[int]
    start: int
    end: int
    priced: int
    cheapest: int


@dataclass
class Sifted:
    """What the catalog has for one wish.

    Attributes:
        serve: Rows that may serve and may be chosen.
        beaten: Rows that may serve, and are dearer than others of their place.
        excluded: Code of a reason (see ``match.Reason``) to how many prices it rules out.
        near: Rows that do not serve, the nearest among them.
    """

    serve: list[_Row] = field(default_factory=list)
    beaten: list[_Row] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)
    near: list[_Row] = field(default_factory=list)


@dataclass(frozen=True)
class Shortlist:
    """Offers for the stages of a pipeline.

    Attributes:
        offers: For all of them.
        excluded: Stage, code of a reason: how many offers of the whole catalog it rules out.
        beaten: Stage to how many offers serve it and are not among ``offers``.
    """

    offers: Sequence[Offer]
    excluded: Mapping[str, Mapping[str, int]]
    beaten: Mapping[str, int]


def shortlist(
    catalog: Catalog, wishes: Iterable[Wish], *, paced: bool = False, without: Iterable[str] = ()
) -> Shortlist:
    """The offers of the catalog that a plan of these stages can need.

    Args:
        paced: Whether the time of a stage depends on the machine; else only its price counts.
        without: Clouds to leave out.
    """
    left_out = set(without)
    sieve = _Sieve([t for t in catalog.tables() if t.cloud not in left_out], paced=paced)
    found: dict[str, Sifted] = {}
    stages: dict[str, Sifted] = {}
    for wish in wishes:
        asked = repr(wish.tiers)
        if asked not in found:
            found[asked] = sieve.sift(wish)
        stages[wish.stage] = found[asked]
    rows = {row for sifted in found.values() for row in (*sifted.serve, *sifted.near)}
    dropped = {id(s): sum(row not in rows for row in s.beaten) for s in found.values()}
    return Shortlist(
        [sieve.offer(row) for row in sorted(rows)],
        {name: sifted.excluded for name, sifted in stages.items()},
        {name: dropped[id(sifted)] for name, sifted in stages.items()},
    )


def every_offer(catalog: Catalog, without: Iterable[str] = ()) -> list[Offer]:
    """All there is, as far as it can be rented by itself."""
    left_out = set(without)
    sieve = _Sieve([t for t in catalog.tables() if t.cloud not in left_out], paced=False)
    return [sieve.offer(row) for row in sieve.rows()]


class _Sieve:
    def __init__(self, tables: Sequence[Table], *, paced: bool) -> None:
        self._markets = [market for table in tables for market in _markets(table)]
        self._paced = paced

    def rows(self) -> Iterator[_Row]:
        for number, market in enumerate(self._markets):
            for index in range(market.start, market.end):
                if market.prices[index]:
                    yield number, index

    def offer(self, row: _Row) -> Offer:
        market = self._markets[row[0]]
        offer = market.table.row(row[1]).offer(spot=market.spot)
        assert offer is not None  # it has a price
        return offer

    def sift(self, wish: Wish) -> Sifted:
        """What there is for one wish; an offer that serves no need counts by the last one."""
        needs = [(tier, need) for tier, some in enumerate(wish.tiers) for need in some]
        out = Sifted()
        classes: _Classes = defaultdict(list)
        refused: _Refused = defaultdict(list)
        for number, market in enumerate(self._markets):
            codes = [_against(need, market) for _, need in needs]
            live = [tiered for tiered, code in zip(needs, codes, strict=True) if not code]
            if live:
                self._each(number, live, codes[-1], out, (classes, refused))
                continue
            code, kind = codes[-1], market.kind
            out.excluded[code] += market.priced
            if code == SLICE:
                continue
            group = (code, kind.accelerator, kind.accelerator_count, market.spot)
            key: object = group if code in _GROUPED else code
            price = market.prices[market.cheapest]
            refused[key].append((price, number, market.cheapest))
        for asked, found in refused.items():
            most = _NEAR_OF_KIND if isinstance(asked, tuple) else _NEAR
            out.near += [(number, index) for _, number, index in nsmallest(most, found)]
        out.serve += [row for ranked in classes.values() for *_, row in ranked]
        return out

    def _each(
        self,
        number: int,
        live: Sequence[tuple[int, Need]],
        last: str,
        out: Sifted,
        lists: tuple[_Classes, _Refused],
    ) -> None:
        """The rows of a kind that serves: in each place, if the price is right."""
        classes, refused = lists
        market = self._markets[number]
        table, kind, prices = market.table, market.kind, market.prices
        regions, zones = table.numbers["region"], table.numbers["zone"]
        pace = _pace(kind) if self._paced else ""
        spare = kind.accelerator_count, kind.cpus, kind.memory_gib, kind.instance_type
        free = all(_anywhere(need) for _, need in live)
        for index in range(market.start, market.end):
            price = prices[index]
            if not price:
                continue
            tier, code = live[0][0], ""
            if not free:
                region, zone = table.regions[regions[index]], zones[index]
                place = region, table.zones[zone - 1] if zone else None
                answers = [(t, _there(need, place, price)) for t, need in live]
                tier = min((t for t, code in answers if not code), default=-1)
                code = answers[-1][1]
            if tier < 0:
                out.excluded[last or code] += 1
                refused[last or code].append((price, number, index))
                continue
            where = table.cloud, regions[index], zones[index], market.spot, tier, pace
            ranked = classes[where]
            if len(ranked) == PER_PLACE and price > ranked[-1][0]:
                out.beaten.append((number, index))
                continue
            ranked.append((price, spare, (number, index)))
            ranked.sort()
            if len(ranked) > PER_PLACE:
                out.beaten.append(ranked.pop()[-1])


def _markets(table: Table) -> Iterator[Market]:
    for number, kind in enumerate(table.kinds):
        if kind.scope == ACCELERATOR:
            continue
        start, end = table.starts[number], table.starts[number + 1]
        for spot, name in ((False, "on_demand"), (True, "spot")):
            prices = table.numbers[name]
            there = [(price, start + i) for i, price in enumerate(prices[start:end]) if price]
            if there:
                least = min(there)[1]
                yield Market(table, kind, spot, prices, start, end, len(there), least)


def _against(need: Need, market: Market) -> str:
    """What speaks against a kind in any place: the code of a reason; empty for nothing."""
    kind = market.kind
    if need.use_spot != market.spot:
        return "spot"
    if need.accelerators:
        there = _key(kind.accelerator)
        for name, count in need.accelerators.items():
            if count > 0 and (_key(name) != there or kind.accelerator_count != count):
                return "accelerators"
    elif kind.scope != MACHINE:
        return SLICE  # it is rented by its name alone
    if need.cloud not in (None, kind.cloud):
        return "infra"
    if need.instance_type not in (None, kind.instance_type):
        return "instance_type"
    if need.arch and kind.arch and kind.arch != need.arch:
        return "arch"
    if _off(kind.cpus, need.cpus, exact=need.cpus_exact):
        return "cpus"
    if _off(kind.memory_gib, need.memory_gib, exact=need.memory_exact):
        return "memory"
    disk = kind.local_disk_gib or 0.0
    return "local_disk" if _off(disk, need.local_disk_gib, exact=need.local_disk_exact) else ""


def _off(have: float, wanted: float, *, exact: bool) -> bool:
    return have < wanted or (exact and have > wanted > 0)


def _anywhere(need: Need) -> bool:
    return need.region is None and need.zone is None and need.max_hourly_cost is None


def _there(need: Need, place: tuple[str, str | None], price: int) -> str:
    """What speaks against a row of a kind that serves."""
    region, zone = place
    if need.region is not None and region not in (need.region, ANYWHERE):
        return "infra"
    if need.zone is not None and zone not in (need.zone, None):
        return "infra"
    most = need.max_hourly_cost
    return "price" if most is not None and price / MICRO > most else ""


def _pace(kind: Kind) -> object:
    """What the time of a stage depends on."""
    if kind.accelerator:
        return kind.accelerator, kind.accelerator_count
    return kind.cpus


@lru_cache(maxsize=4096)
def _key(name: str) -> str:
    return spelled(name).lower() if name else ""
