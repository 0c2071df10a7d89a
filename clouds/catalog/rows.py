"""One row of the catalog: a machine in a place, its prices, and where each fact is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from stix.plan.offers import Offer

ANYWHERE = "*"
"""The region of a price that holds in every region of its cloud."""
LISTED, COMPUTED, MARKET, ESTIMATE = "listed", "computed", "market", "estimate"
CONFIDENCE = (LISTED, COMPUTED, MARKET, ESTIMATE)
MACHINE, SLICE, ACCELERATOR = "machine", "slice", "accelerator"
SCOPES = (MACHINE, SLICE, ACCELERATOR)


class Kind(NamedTuple):
    """A type of machine of one cloud; the same in every region.

    Attributes:
        cloud: Name of the cloud.
        instance_type: The provider's name; empty for a part that is no machine by itself.
        arch: ``x86_64`` or ``arm64``.
        cpus: vCPUs; 0 where unknown (only where ``scope`` is not ``machine``).
        memory_gib: Memory, GiB; 0 where unknown, likewise.
        accelerator: Canonical name; empty where it has none.
        accelerator_count: How many of them; a fraction where a part of one is rented.
        accelerator_memory_gib: Memory of one whole accelerator, GiB; 0 where unknown.
        local_disk_gib: Disk inside the machine, GiB; None where unknown, 0 where it has none.
        network: Network of the machine in the provider's words; empty where unknown.
        scope: What the price buys: ``machine``, ``slice`` (a TPU slice with its hosts), or
            ``accelerator`` (accelerators to attach: a machine has to be added).
    """

    cloud: str
    instance_type: str
    arch: str
    cpus: float
    memory_gib: float
    accelerator: str
    accelerator_count: float
    accelerator_memory_gib: float
    local_disk_gib: float | None
    network: str
    scope: str


class Source(NamedTuple):
    """Where a price is from.

    Attributes:
        name: The document, with its version.
        as_of: Day, month or year of the fact: ``2026-08-03``, ``2026-08``, ``2026``. Where a span
            of time is all that is known, its begin.
        confidence: ``listed`` (the provider's list), ``computed`` (from list prices, exactly),
            ``market`` (an offer seen that day), ``estimate`` (derived, converted or unresolved).
        currency: Currency of the source, before it was converted to USD.
    """

    name: str
    as_of: str
    confidence: str = LISTED
    currency: str = "USD"

    @property
    def is_estimate(self) -> bool:
        return self.confidence == ESTIMATE


class Row(NamedTuple):
    """A kind of machine in one place, with what it costs there.

    Attributes:
        kind: The machine.
        region: Region; ``*`` where the price holds in all of them.
        zone: Zone, or None where the price holds in all of the region.
        on_demand: USD per hour; None where it is not sold so, or not known.
        spot: USD per hour while nobody else wants it; None likewise.
        source: Where ``on_demand`` is from.
        spot_source: Where ``spot`` is from.
    """

    kind: Kind
    region: str
    zone: str | None
    on_demand: float | None
    spot: float | None
    source: Source | None
    spot_source: Source | None

    def price(self, *, spot: bool) -> float | None:
        return self.spot if spot else self.on_demand

    def origin(self, *, spot: bool) -> Source | None:
        return self.spot_source if spot else self.source

    def offer(self, *, spot: bool) -> Offer | None:
        """As something to place a stage on; None where it is not sold so."""
        price, origin, kind = self.price(spot=spot), self.origin(spot=spot), self.kind
        if price is None or origin is None:
            return None
        from stix.plan.offers import Offer

        return Offer(
            cloud=kind.cloud,
            region=self.region,
            zone=self.zone,
            instance_type=kind.instance_type,
            cpus=kind.cpus,
            memory_gib=kind.memory_gib,
            accelerators={kind.accelerator: kind.accelerator_count} if kind.accelerator else {},
            price=price,
            spot=spot,
            arch=kind.arch,
            local_disk_gib=kind.local_disk_gib,
            accelerator_memory_gib=kind.accelerator_memory_gib,
            price_is_estimate=origin.is_estimate,
            as_of=origin.as_of,
            source=origin.name,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe; every field of the schema under a name of its own."""
        return {
            **self.kind._asdict(),
            "region": self.region,
            "zone": self.zone,
            "on_demand_usd_per_hour": self.on_demand,
            "spot_usd_per_hour": self.spot,
            **_origin("", self.source),
            **_origin("spot_", self.spot_source),
        }


def _origin(prefix: str, source: Source | None) -> dict[str, Any]:
    return {
        f"{prefix}source": source.name if source else None,
        f"{prefix}as_of": source.as_of if source else None,
        f"{prefix}confidence": source.confidence if source else None,
        f"{prefix}currency": source.currency if source else None,
    }
