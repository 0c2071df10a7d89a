"""What a double sells: a table of machines, and what a test does to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stix.clouds.catalog.rows import Kind, Row, Source


@dataclass(frozen=True)
class Machine:
    """One entry of a price list.

    Attributes:
        name: The provider's.
        price: Per hour, in the provider's currency.
        spot: Likewise; None where it is not sold so.
        more: What else the entry says.
    """

    name: str
    price: float
    spot: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.more[name]


@dataclass
class World:
    """The list as it is now.

    Attributes:
        factor: The first machine costs so many times as much.
        shown: How many machines the list has; None for all.
        twice: Whether each stands in it twice.
    """

    factor: float = 1.0
    shown: int | None = None
    twice: bool = False

    def machines(self, table: Sequence[Machine]) -> list[Machine]:
        """The entries that the list has now."""
        first, *others = table
        spot = None if first.spot is None else first.spot * self.factor
        moved = replace(first, price=first.price * self.factor, spot=spot)
        every = [moved, *others][: self.shown]
        return every + every if self.twice else every


@dataclass(frozen=True)
class Asked:
    """A request as the double sees it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def identity(self) -> tuple[str, str, tuple[tuple[str, str], ...], bytes]:
        """The same for two requests for the same page."""
        return self.method, self.path, tuple(sorted(self.query.items())), self.body


Double = Callable[[World, Asked, str], Any]
"""What a provider answers: an object (sent as JSON), or a text. The last argument is the address
of the server, for links."""


def row(cloud: str, name: str, region: str, price: float, **more: Any) -> Row:
    """A row that the catalog had before; ``more`` are fields of ``Kind``, ``zone`` and ``spot``."""
    zone, spot = more.pop("zone", None), more.pop("spot", None)
    usual = {"arch": "x86_64", "cpus": 4.0, "memory_gib": 16.0, "accelerator": ""}
    sizes = {"accelerator_count": 0.0, "accelerator_memory_gib": 0.0, "local_disk_gib": None}
    fields = {**usual, **sizes, "network": "", "scope": "machine", **more}
    source = Source("before", "2026-01-01")
    kind = Kind(cloud=cloud, instance_type=name, **fields)
    return Row(kind, region, zone, price, spot, source, source if spot else None)
