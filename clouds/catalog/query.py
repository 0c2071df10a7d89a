"""What to look for in the catalog: conditions on a machine, a place and a price."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, TypedDict

from stix.clouds.catalog.rows import ANYWHERE, MACHINE, SLICE, Kind, Source
from stix.spec.words import accelerators


class Wanted(TypedDict, total=False):
    """The conditions by name; what is not given does not matter. See ``Query``."""

    cloud: str | None
    region: str | None
    zone: str | None
    instance_type: str | None
    accelerator: str | None
    accelerator_count: float | None
    accelerator_memory_at_least: float
    cpus_at_least: float
    memory_at_least: float
    arch: str | None
    spot: bool | None
    price_at_most: float | None
    estimates: bool
    scopes: Collection[str] | None


class Query(NamedTuple):
    """Conditions; all have to hold.

    Attributes:
        cloud, region, zone, instance_type: Exactly this one.
        accelerator: Any spelling of its name (``A100:80GB``); its forms of other names do not
            count.
        accelerator_count: How many, exactly; None for any number.
        accelerator_memory_at_least: GiB of each of them.
        cpus_at_least: vCPUs.
        memory_at_least: GiB.
        arch: ``x86_64`` or ``arm64``.
        spot: True for spot, False for on demand, None for both.
        price_at_most: USD per hour.
        estimates: False leaves out prices that are estimates.
        scopes: What a price may buy. Usually a machine; a slice only if it is asked for by name.
    """

    cloud: str | None = None
    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None
    accelerator: str | None = None
    accelerator_count: float | None = None
    accelerator_memory_at_least: float = 0.0
    cpus_at_least: float = 0.0
    memory_at_least: float = 0.0
    arch: str | None = None
    spot: bool | None = None
    price_at_most: float | None = None
    estimates: bool = True
    scopes: Collection[str] | None = None

    @classmethod
    def of(cls, wanted: Wanted) -> Query:
        """With the accelerator's name in its canonical spelling."""
        query = cls(**wanted)
        name = query.accelerator
        if name is None:
            return query
        scopes = (MACHINE, SLICE) if query.scopes is None else query.scopes
        return query._replace(accelerator=accelerators.spelled(name), scopes=scopes)

    @property
    def markets(self) -> tuple[bool, ...]:
        """Spot or not, or both."""
        return (False, True) if self.spot is None else (self.spot,)

    def fits(self, kind: Kind) -> bool:
        """Whether the machine is one of those looked for."""
        count = self.accelerator_count
        return (
            (self.accelerator is None or kind.accelerator == self.accelerator)
            and kind.cpus >= self.cpus_at_least
            and kind.memory_gib >= self.memory_at_least
            and kind.accelerator_memory_gib >= self.accelerator_memory_at_least
            and (count is None or kind.accelerator_count == count)
            and self.instance_type in (None, kind.instance_type)
            and self.arch in (None, kind.arch)
            and kind.scope in (self.scopes or (MACHINE,))
        )

    def holds(self, region: str, zone: str | None) -> bool:
        """Whether the place is one of those looked for; a wider one holds what lies in it."""
        if self.region is not None and region not in (self.region, ANYWHERE):
            return False
        return self.zone is None or zone in (self.zone, None)

    def pays(self, price: float | None, source: Source | None) -> bool:
        """Whether a price is one of those looked for."""
        if price is None or source is None:
            return False
        if self.price_at_most is not None and price > self.price_at_most:
            return False
        return self.estimates or not source.is_estimate
