"""What it costs to move data from place to place, and how long it takes.

Within a zone nothing is paid. Across zones, regions and clouds the facts of ``data/egress.json``
count, each with source and date; the sender's list sets the price between clouds. A GB is 2^30
bytes, as clouds bill it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from stix.plan.regions import ANY, Place, continent
from stix.plan.solve.problem import Rate

SAME, ZONE, REGION, INTERNET = "same", "zone", "region", "internet"
SCOPES = (SAME, ZONE, REGION, INTERNET)
INGRESS = "ingress"
OTHERS = "*"
"""The entry of clouds without one."""
UNKNOWN = "?"
"""What a fact calls a region that is not known."""
_GBIT = 1e9 / 8 / 2**30


@dataclass(frozen=True)
class Fact:
    """A price of a list, with where it is from.

    Attributes:
        scope: ``zone`` (other zone of the region), ``region`` (other region of the cloud),
            ``internet`` (another cloud), ``ingress`` (paid by who receives) or ``storage``.
        steps: (GB of the month up to, USD per GB of that part), the last without an end.
        low, high: USD per GB that it may be as well; equal to the price where it is certain.
        unconfirmed: No source at hand says it.
        source, as_of, note: Where it is from, of when, and what to know about it.
    """

    scope: str
    steps: tuple[tuple[float, float], ...]
    low: float
    high: float
    source: str = ""
    as_of: str = ""
    unconfirmed: bool = False
    note: str = ""
    src: tuple[str, ...] = ()
    dst: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    within: tuple[str, ...] = ()

    @property
    def peak(self) -> float:
        """The price of the dearest step, USD per GB."""
        return max(price for _, price in self.steps)

    def usd(self, gb: float, used: float = 0.0) -> float:
        """The price of ``gb`` in a month in which ``used`` GB were moved before."""
        return self._sum(used + gb) - self._sum(used) if gb > 0 else 0.0

    def rate(self, gb: float, used: float = 0.0) -> float:
        """USD per GB, so that no amount up to ``gb`` costs more than amount times rate."""
        if len(self.steps) == 1:
            return self.steps[0][1]
        ends = [end - used for end, _ in self.steps if used < end < used + gb] + [gb]
        return max((self.usd(end, used) / end for end in ends if end > 0), default=0.0)

    def bounds(self, usd: float, gb: float) -> tuple[float, float]:
        """The least and the most that ``gb`` may cost where ``usd`` is thought."""
        if self.peak <= 0:
            return 0.0, gb * self.high
        return usd * min(1.0, self.low / self.peak), usd * max(1.0, self.high / self.peak)

    def fits(self, src: Place, dst: Place) -> bool:
        """Whether it speaks of a move between these two."""
        one, other = _names(src), _names(dst)
        return (
            (not self.src or not one.isdisjoint(self.src))
            and (not self.dst or not other.isdisjoint(self.dst))
            and (not self.either or not (one | other).isdisjoint(self.either))
            and (not self.within or any(name in one & other for name in self.within))
        )

    def _sum(self, gb: float) -> float:
        total = below = 0.0
        for end, price in self.steps:
            total += (min(gb, end) - below) * price
            if gb <= end:
                break
            below = end
        return total

    def to_dict(self) -> dict[str, Any]:
        """What explains the price; JSON-safe."""
        shown = {"scope": self.scope, "usd_per_gb": self.peak, "source": self.source}
        shown |= {"as_of": self.as_of, "unconfirmed": self.unconfirmed, "note": self.note}
        return shown


class Speed(NamedTuple):
    """A bandwidth, GB per second."""

    gb_s: float
    low: float
    high: float
    measured: bool = False


class Load(float):
    """GB of an edge in all, which know how much of it one point waits for.

    Money counts all of it; points read side by side, so that the time counts what each of them
    waits for.
    """

    waited: float

    @classmethod
    def of(cls, total: float, waited: float) -> Load:
        load = cls(total)
        load.waited = waited
        return load

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Load) and (float(self), self.waited) == (
            float(other),
            other.waited,
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((float(self), self.waited))


@dataclass(frozen=True)
class Way(Rate):
    """Movement between two places, as the solver asks for it.

    Attributes:
        usd_per_gb: For any amount of this run, the allowance counted in.
    """

    usd_per_gb: float = 0.0

    def usd_for(self, gib: float) -> float:
        return gib * self.usd_per_gb

    def seconds_for(self, gib: float) -> float:
        waited = gib.waited if isinstance(gib, Load) else gib
        return waited / self.gib_per_second if waited > 0 else 0.0


class Move(NamedTuple):
    """So many GB from one place to another."""

    gb: float
    src: Place
    dst: Place


class Egress:
    """The prices of movement of every cloud.

    Args:
        facts: Cloud to scope to its facts, of which the first that fits counts.
        speeds: Scope to the bandwidth that is assumed.
        storage: Cloud to the price of keeping a GB for a month.
        measured: (source, target) to a bandwidth that was seen, GB/s.
    """

    def __init__(
        self,
        facts: Mapping[str, Mapping[str, Sequence[Fact]]],
        speeds: Mapping[str, Speed],
        storage: Mapping[str, Fact],
        measured: Mapping[tuple[Place, Place], float] | None = None,
    ) -> None:
        self._facts, self._speeds, self._storage = facts, speeds, storage
        self._measured = dict(measured or {})
        self._found: dict[tuple[Place, Place], tuple[Fact, ...]] = {}

    @classmethod
    def bundled(cls) -> Egress:
        """The facts that come with this release."""
        return _bundled()

    def with_facts(self, cloud: str, scope: str, usd: float) -> Egress:
        """The same with a price of one's own, such as what a site pays for its uplink."""
        own = Fact(scope, ((float("inf"), usd),), usd, usd, "set by the user")
        facts = {**self._facts, cloud: {**self._of(cloud), scope: (own,)}}
        return Egress(facts, self._speeds, self._storage, self._measured)

    def with_measured(self, measured: Mapping[tuple[Place, Place], float]) -> Egress:
        """The same with bandwidths that were seen, GB/s."""
        return Egress(self._facts, self._speeds, self._storage, {**self._measured, **measured})

    def facts(self, src: Place, dst: Place) -> tuple[Fact, ...]:
        """The prices that a move pays: the sender's, and the receiver's where it has one."""
        key = src, dst
        if key not in self._found:
            self._found[key] = self._lookup(src, dst)
        return self._found[key]

    def _lookup(self, src: Place, dst: Place, scope: str = "") -> tuple[Fact, ...]:
        scope = scope or scope_of(src, dst)
        if scope == SAME:
            return ()
        sent = next(f for f in self._of(src.cloud)[scope] if f.fits(src, dst))
        received = self._of(dst.cloud).get(INGRESS, ())
        return sent, *(f for f in received if f.fits(src, dst))

    def _of(self, cloud: str) -> Mapping[str, Sequence[Fact]]:
        return self._facts.get(cloud) or self._facts[OTHERS]

    def usd(self, gb: float, src: Place, dst: Place, used: float = 0.0) -> float:
        """The price of one move in a month in which ``used`` GB were sent before."""
        return sum(fact.usd(gb, used) for fact in self.facts(src, dst))

    def bill(self, moves: Iterable[Move], used: Mapping[str, float] | None = None) -> float:
        """The price of all moves of a run: those of one cloud share its steps and allowance.

        Args:
            moves: In any order; the dearest count first against an allowance.
            used: Cloud to the GB it sent elsewhere this month, before.
        """
        sent: dict[str, float] = dict(used or {})
        total = 0.0
        flat: list[tuple[float, str, float, Fact]] = []
        for move in moves:
            for fact in self.facts(move.src, move.dst):
                if len(fact.steps) == 1:
                    total += fact.usd(move.gb)
                else:
                    flat.append((-fact.peak, move.src.cloud, move.gb, fact))
        for _, cloud, gb, fact in sorted(flat, key=lambda entry: entry[:3]):
            total += fact.usd(gb, sent.get(cloud, 0.0))
            sent[cloud] = sent.get(cloud, 0.0) + gb
        return total

    def way(self, src: Place, dst: Place, volume: float, used: float = 0.0) -> Way:
        """The move as the solver needs it: the same price for each GB.

        Args:
            volume: GB that the run moves at most. All of them share the steps of the price and
                the free allowance, so that many small moves are not all free; with less than
                that the price is never too low.
            used: GB sent before in this month.
        """
        usd = sum(fact.rate(volume, used) for fact in self.facts(src, dst))
        return Way(usd_per_gb=usd, gib_per_second=self.speed(src, dst).gb_s)

    def ways(
        self, places: Sequence[Place], volume: float, used: Mapping[str, float] | None = None
    ) -> tuple[list[Way], list[list[int]]]:
        """Every way between places, each once, and which of them leads from where to where.

        The same as ``way`` of each pair. Places that no price tells apart are looked up once.
        """
        used, found = used or {}, dict[Way, int]()
        kinds = [self._kind(place) for place in places]
        known = dict(zip(kinds, places, strict=True))
        regions: dict[tuple[str, str | None], list[int]] = {}
        for number, place in enumerate(places):
            regions.setdefault((place.cloud, place.region), []).append(number)
        rows: dict[object, list[int]] = {}
        for kind, src in known.items():
            sent = used.get(src.cloud, 0.0)
            row = {}
            for other, dst in known.items():
                scope = REGION if src.cloud == dst.cloud else INTERNET
                usd = sum(f.rate(volume, sent) for f in self._lookup(src, dst, scope))
                way = Way(usd_per_gb=usd, gib_per_second=self._speeds[scope].gb_s)
                row[other] = found.setdefault(way, len(found))
            rows[kind] = [row[other] for other in kinds]
        table = [list(rows[kind]) for kind in kinds]
        near = self._near(places, regions)
        for a, b in near:
            src, dst = places[a], places[b]
            way = self.way(src, dst, volume, used.get(src.cloud, 0.0))
            table[a][b] = found.setdefault(way, len(found))
        return list(found), table

    def _near(
        self, places: Sequence[Place], regions: Mapping[tuple[str, str | None], list[int]]
    ) -> Iterable[tuple[int, int]]:
        """Pairs that have more in common than their cloud, or whose bandwidth was seen."""
        for number, place in enumerate(places):
            around = (place.region, *ANY)
            for (cloud, region), members in regions.items():
                if cloud == place.cloud and (place.region in ANY or region in around):
                    yield from ((number, other) for other in members)
        if self._measured:
            numbers = {place: number for number, place in enumerate(places)}
            for src, dst in self._measured:
                if src in numbers and dst in numbers:
                    yield numbers[src], numbers[dst]

    def _kind(self, place: Place) -> tuple[str, str, str]:
        """What facts can tell a place from others by."""
        region = place.region or UNKNOWN
        return place.cloud, region if region in self._named else "", continent(region)

    @cached_property
    def _named(self) -> frozenset[str]:
        """Every region that a fact names."""
        facts = [f for of in self._facts.values() for found in of.values() for f in found]
        lists = [names for f in facts for names in (f.src, f.dst, f.either, f.within)]
        return frozenset(name for names in lists for name in names)

    def speed(self, src: Place, dst: Place) -> Speed:
        """The bandwidth that was seen between two places, else what is assumed."""
        seen = self._measured.get((src, dst))
        if seen is not None:
            return Speed(seen, seen / 1.5, seen * 1.5, measured=True)
        return self._speeds[scope_of(src, dst)]

    def storage(self, cloud: str) -> Fact:
        """The price of keeping a GB for a month."""
        return self._storage.get(cloud) or self._storage[OTHERS]


def scope_of(src: Place, dst: Place) -> str:
    """``same``, ``zone``, ``region`` or ``internet``: what the two have in common.

    A region or zone that is free to choose (``*``, no zone) is chosen where the data lies. One
    that is not known is another one.
    """
    if src.cloud != dst.cloud:
        return INTERNET
    free = src.region in ANY or dst.region in ANY
    if not free and (src.region is None or src.region != dst.region):
        return REGION
    return ZONE if src.zone and dst.zone and src.zone != dst.zone else SAME


@lru_cache(maxsize=4096)
def _names(place: Place) -> frozenset[str]:
    """What a fact may call a place: its region and its continent."""
    return frozenset({place.region or UNKNOWN, f"@{continent(place.region)}"})


@lru_cache(maxsize=1)
def _bundled() -> Egress:
    text = (files("stix.plan") / "data" / "egress.json").read_text(encoding="utf-8")
    return parse(json.loads(text))


def parse(data: Mapping[str, Any]) -> Egress:
    """The tables of a file like ``data/egress.json``."""
    sources = data["sources"]
    facts: dict[str, dict[str, tuple[Fact, ...]]] = {}
    for cloud, scopes in data["clouds"].items():
        read = {
            scope: tuple(_fact(scope, entry, sources) for entry in entries)
            for scope, entries in scopes.items()
            if not isinstance(entries, str)
        }
        for scope, other in scopes.items():
            if isinstance(other, str):  # a move to another region is billed like one elsewhere
                read[scope] = tuple(replace(fact, scope=scope) for fact in read[other])
        facts[cloud] = read
    return Egress(
        facts,
        {entry["scope"].removeprefix("zone-"): _speed(entry) for entry in data["bandwidth"]},
        {cloud: _fact("storage", entry, sources) for cloud, entry in data["storage"].items()},
    )


def _fact(scope: str, entry: Mapping[str, Any], sources: Mapping[str, Any]) -> Fact:
    steps = entry.get("steps") or [[None, entry["usd"]]]
    read = tuple((float("inf") if end is None else float(end), float(p)) for end, p in steps)
    peak = max(price for _, price in read)
    source = sources[entry["source"]]
    return Fact(
        scope,
        read,
        low=entry.get("low", peak),
        high=entry.get("high", peak),
        source=source["name"],
        as_of=source["as_of"],
        unconfirmed=entry.get("unconfirmed", False),
        note=entry.get("note", ""),
        src=tuple(entry.get("from", ())),
        dst=tuple(entry.get("to", ())),
        either=tuple(entry.get("either", ())),
        within=tuple(entry.get("within", ())),
    )


def _speed(entry: Mapping[str, Any]) -> Speed:
    return Speed(*(entry[name] * _GBIT for name in ("gbit_s", "low", "high")))
