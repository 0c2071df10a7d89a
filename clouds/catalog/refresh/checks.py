"""From quotes to rows that may replace those of before: what is refused, dropped and held back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stix.clouds.catalog.refresh.base import Quote
from stix.clouds.catalog.refresh.errors import ChangedSchema, Doubtful
from stix.clouds.catalog.refresh.settings import Bounds
from stix.clouds.catalog.rows import ESTIMATE, MACHINE, MARKET, Row, Source

Place = tuple[str, str, float, str, str]
SMALLEST = 0.5e-6
FEW = 4
"""With fewer prices than this "most of them moved" says nothing."""


class Held(NamedTuple):
    """A price that moved more than is believed at once; the one of before stays.

    Attributes:
        cloud, region, zone, instance_type: The row.
        accelerator, accelerator_count: Likewise.
        market: ``on_demand`` or ``spot``.
        before: USD per hour; it stays.
        after: USD per hour; what the provider says now.
    """

    cloud: str
    region: str
    zone: str | None
    instance_type: str
    accelerator: str
    accelerator_count: float
    market: str
    before: float
    after: float


@dataclass(frozen=True)
class Policy:
    """What is believed.

    Attributes:
        bounds: How far prices may move, how short a list may be.
        rates: USD for one unit of another currency.
        accept: True takes prices and lists that would be held back.
    """

    bounds: Bounds
    rates: Mapping[str, float]
    accept: bool = False


@dataclass
class Checked:
    """Rows that may be written, and what was done to them.

    Attributes:
        rows: One per machine and place.
        held: Prices that were held back.
        notes: Why something was dropped or merged, to how often.
    """

    rows: list[Row]
    held: list[Held] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)


class Origin(NamedTuple):
    """Where prices are from: ``Source`` without the currency."""

    name: str
    as_of: str
    confidence: str


def priced(quotes: Iterable[Quote], origin: Origin, policy: Policy) -> Checked:
    """Rows in USD, each machine once per place.

    Raises:
        ChangedSchema: a currency for which no rate is set.
        Doubtful: nothing is left, or most of it has no price.
    """
    notes: Counter[str] = Counter()
    rows: dict[Place, Row] = {}
    seen = unpriced = 0
    for quote in quotes:
        seen += 1
        row = _row(quote, origin, policy.rates, notes)
        if row is None:
            unpriced += 1
            continue
        place = place_of(row)
        if place in rows:
            notes["listed more than once: merged, the cheapest counts"] += 1
            row = _cheapest(rows[place], row)
        rows[place] = row
    if not rows:
        raise Doubtful(f"the list has no machine with a price ({seen} without one)")
    if unpriced > seen * policy.bounds.unpriced and not policy.accept:
        raise Doubtful(f"{unpriced} of {seen} machines in the list have no price above 0")
    return Checked(list(rows.values()), notes=notes)


def _row(
    quote: Quote, origin: Origin, rates: Mapping[str, float], notes: Counter[str]
) -> Row | None:
    rate = 1.0 if quote.currency == "USD" else rates.get(quote.currency)
    if rate is None:
        raise ChangedSchema(
            f"prices are in {quote.currency}, for which there is no rate",
            fix=f"set catalog.rates.{quote.currency} in config.yaml: USD for one of it",
        )
    kind = quote.kind
    if kind.scope == MACHINE and not (kind.cpus > 0 and kind.memory_gib > 0):
        notes["no vCPUs or no memory: left out"] += 1
        return None
    on_demand = _usd(quote.on_demand, rate, notes)
    spot = _usd(quote.spot, rate, notes)
    if on_demand is not None and spot is not None and spot >= on_demand:
        notes["spot price not below on demand (the price alone)"] += 1
        spot = None
    if on_demand is None and spot is None:
        return None
    told = quote.confidence or origin.confidence
    source = _source(origin, told, quote.currency)
    other = _source(origin, quote.spot_confidence or told, quote.currency)
    return Row(
        kind,
        quote.region,
        quote.zone,
        on_demand,
        spot,
        source if on_demand is not None else None,
        other if spot is not None else None,
    )


def _usd(price: float | None, rate: float, notes: Counter[str]) -> float | None:
    if price is None:
        return None
    if price * rate < SMALLEST:
        notes["price not above 0 (the price alone)"] += 1
        return None
    return round(price * rate, 6)


def _source(origin: Origin, confidence: str, currency: str) -> Source:
    sure = confidence if currency == "USD" else ESTIMATE
    return Source(origin.name, origin.as_of, sure, currency)


def place_of(row: Row) -> Place:
    """By which a row is found again; its sizes do not count."""
    kind = row.kind
    machine = kind.instance_type, kind.accelerator, kind.accelerator_count
    return *machine, row.region, row.zone or ""


def _cheapest(one: Row, other: Row) -> Row:
    best = one
    if other.on_demand is not None and (one.on_demand is None or other.on_demand < one.on_demand):
        best = best._replace(kind=other.kind, on_demand=other.on_demand, source=other.source)
    if other.spot is not None and (one.spot is None or other.spot < one.spot):
        best = best._replace(spot=other.spot, spot_source=other.spot_source)
    if best.on_demand is not None and best.spot is not None and best.spot >= best.on_demand:
        best = best._replace(spot=None, spot_source=None)
    return best


def with_spot(rows: Sequence[Row], old: Sequence[Row]) -> list[Row]:
    """The rows, with the spot prices of before: the list says nothing about spot."""
    before = {place_of(row): row for row in old if row.spot is not None}
    return [_spot(row, before.get(place_of(row))) for row in rows]


def _spot(row: Row, old: Row | None) -> Row:
    if old is None or old.spot is None or (row.on_demand is not None and old.spot >= row.on_demand):
        return row
    return row._replace(spot=old.spot, spot_source=old.spot_source)


def compared(found: Checked, old: Sequence[Row], policy: Policy) -> Checked:
    """The rows beside those of before: what moved too far keeps its old price.

    Raises:
        Doubtful: the list is too short, or most prices moved too far.
    """
    bounds = policy.bounds
    now, then = _places(found.rows), _places(old)
    if not policy.accept and len(now) < len(then) * bounds.least:
        raise Doubtful(
            f"the list has {len(now)} machines and regions; before there were {len(then)}",
            fix="`stix catalog refresh CLOUD --accept` takes it all the same",
        )
    if policy.accept:
        return found
    before = {place_of(row): row for row in old}
    rows, held, looked = [], list[Held](), 0
    for row in found.rows:
        last = before.get(place_of(row))
        kept, own, count = _believed(row, last, bounds) if last else (row, [], 0)
        rows.append(kept)
        held += own
        looked += count
    if looked >= FEW and len(held) > looked * bounds.doubtful:
        raise Doubtful(
            f"{len(held)} of {looked} prices moved more than is believed: a change of units?",
            fix="`stix catalog refresh CLOUD --accept` takes them all the same",
        )
    return Checked(rows, held, found.notes)


def _places(rows: Iterable[Row]) -> set[tuple[str, str, float, str]]:
    return {place_of(row)[:4] for row in rows}


def _believed(row: Row, last: Row, bounds: Bounds) -> tuple[Row, list[Held], int]:
    """The row, what was held back of it, and how many prices could be compared."""
    held, looked, kept = [], 0, row
    for market, origin in (("on_demand", "source"), ("spot", "spot_source")):
        new, old = getattr(row, market), getattr(last, market)
        sources: tuple[Source | None, Source | None]
        sources = getattr(row, origin), getattr(last, origin)
        if new is None or old is None or any(map(_unsure, sources)):
            continue
        looked += 1
        if max(new / old, old / new) <= 1 + _bound(market, sources[0], bounds):
            continue
        held.append(_held(row, market, old, new))
        kept = kept._replace(**{market: old, origin: sources[1]})
    if kept.on_demand is not None and kept.spot is not None and kept.spot >= kept.on_demand:
        kept = kept._replace(spot=None, spot_source=None)
    return kept, held, looked


def _unsure(source: Source | None) -> bool:
    """A price to compare with nothing; one that was only converted is as sure as its list."""
    return source is None or (source.is_estimate and source.currency == "USD")


def _bound(market: str, source: Source | None, bounds: Bounds) -> float:
    moves = market == "spot" or (source is not None and source.confidence == MARKET)
    return max(bounds.market_move, bounds.move) if moves else bounds.move


def _held(row: Row, market: str, before: float, after: float) -> Held:
    kind = row.kind
    gpu = kind.accelerator, kind.accelerator_count
    place = row.region, row.zone, kind.instance_type
    return Held(kind.cloud, *place, *gpu, market, before, after)
