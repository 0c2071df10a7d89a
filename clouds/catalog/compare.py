"""What differs between two catalogs: rows that came, rows that went, prices that moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from stix.clouds.catalog.catalog import Catalog
from stix.clouds.catalog.rows import Row

Key = tuple[Any, ...]


class Change(NamedTuple):
    """One difference.

    Attributes:
        what: ``added``, ``removed``, ``on_demand`` or ``spot`` (a price that moved).
        cloud, region, zone, instance_type, accelerator, accelerator_count: The row.
        before: USD per hour; None where there was none.
        after: Likewise.
    """

    what: str
    cloud: str
    region: str
    zone: str | None
    instance_type: str
    accelerator: str
    accelerator_count: float
    before: float | None
    after: float | None

    @property
    def moved(self) -> float | None:
        """By which part of the old price; None where there is no such part."""
        return self.after / self.before - 1 if self.before and self.after else None


def changes(old: Catalog, new: Catalog) -> Iterator[Change]:
    """All differences, by cloud and row."""
    for cloud in sorted({*old.clouds, *new.clouds}):
        before, after = _rows(old, cloud), _rows(new, cloud)
        for key in sorted({*before, *after}, key=repr):
            yield from _between(before.get(key), after.get(key))


def _rows(catalog: Catalog, cloud: str) -> dict[Key, Row]:
    if cloud not in catalog.clouds:
        return {}
    table = catalog.table(cloud)
    return {_key(row): row for row in map(table.row, range(table.size))}


def _key(row: Row) -> Key:
    kind = row.kind
    machine = (kind.instance_type, kind.accelerator, kind.accelerator_count)
    return *machine, kind.cpus, kind.memory_gib, row.region, row.zone or ""


def _between(old: Row | None, new: Row | None) -> Iterator[Change]:
    if old is None or new is None:
        row = old or new
        assert row is not None
        price = row.on_demand if row.on_demand is not None else row.spot
        yield (
            _change("added", row, None, price)
            if old is None
            else _change("removed", row, price, None)
        )
        return
    for market in ("on_demand", "spot"):
        before, after = getattr(old, market), getattr(new, market)
        if before != after:
            yield _change(market, new, before, after)


def _change(what: str, row: Row, before: float | None, after: float | None) -> Change:
    kind = row.kind
    return Change(
        what,
        kind.cloud,
        row.region,
        row.zone,
        kind.instance_type,
        kind.accelerator,
        kind.accelerator_count,
        before,
        after,
    )
