"""Offers of a provider whose price list is public, read by the driver's own connection.

The catalog has the same rows after ``stix catalog refresh``; without them a cloud that nobody
refreshed would have nothing to offer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stix.clouds.catalog.refresh.answers import Answer
from stix.clouds.catalog.refresh.base import Item, Known, Refresher
from stix.clouds.catalog.rows import Row, Source
from stix.plan.offers import Offer


def live(refresher: type[Refresher], driver: Any) -> list[Offer]:
    """What the provider sells now, on demand."""
    prices = refresher(Known(), {})
    pages, items = deque(prices.first()), list[Item]()
    while pages:
        page = pages.popleft()
        said = driver.connection.request(page.path, params=dict(page.query)).object
        found = prices.read(page, _Said(Path(), page.key, said))
        items += found.items
        pages += found.more
    return list(_offers(prices, items))


def _offers(prices: Refresher, items: list[Item]) -> Iterator[Offer]:
    source = Source(prices.source, datetime.now(UTC).date().isoformat(), prices.confidence)
    for quote in prices.quotes(items):
        row = Row(quote.kind, quote.region, quote.zone, quote.on_demand, None, source, None)
        if offer := row.offer(spot=False):
            yield offer


@dataclass(frozen=True)
class _Said(Answer):
    """An answer in memory."""

    said: Mapping[str, Any]

    def json(self) -> Any:
        return self.said
