"""What can be rented: the offer, and the demand it is matched with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Offer:
    """One thing that can be rented in one place.

    Attributes:
        cloud: Name of the adapter (``local``, ``ssh``, ``aws`` ...).
        region: Region, or the name of the pool for ``ssh``; ``-`` where the cloud has none, ``*``
            where the offer holds in all of them.
        zone: Zone, or the host for ``ssh``; None where any will do.
        instance_type: The provider's name of the machine.
        cpus: vCPUs of one node.
        memory_gib: Memory of one node, GiB.
        accelerators: Canonical accelerator name to count per node.
        price: USD per hour and node.
        spot: True for a price at which the node can be taken away.
        capacity: Machines of this offer that exist at all; None where unknown.
        shared: True where several nodes may share a machine (``local``, ``ssh``): ``cpus``,
            ``memory_gib`` and ``accelerators`` are then what they share.
        arch: ``x86_64`` or ``arm64``; empty where unknown.
        local_disk_gib: Disk inside the machine, GiB; None where unknown.
        accelerator_memory_gib: Memory of one accelerator, GiB; 0 where unknown or none.
        price_is_estimate: True where the price was derived and not read from a list.
        as_of: Day, month or year of the price; empty where it is not of the catalog.
        source: Where the price is from, likewise.
        lacks: What nodes of it cannot have, by the words of ``stix.plan.extras.WANTS``.
    """

    cloud: str
    region: str
    zone: str | None
    instance_type: str
    cpus: float
    memory_gib: float
    accelerators: dict[str, float] = field(default_factory=dict)
    price: float = 0.0
    spot: bool = False
    capacity: int | None = None
    shared: bool = False
    arch: str = ""
    local_disk_gib: float | None = None
    accelerator_memory_gib: float = 0.0
    price_is_estimate: bool = False
    as_of: str = ""
    source: str = ""
    lacks: tuple[str, ...] = ()

    @property
    def infra(self) -> str:
        """``cloud/region/zone`` without trailing blanks."""
        parts = (self.cloud, self.region, self.zone)
        return "/".join(part for part in parts if part and part not in ("-", "*"))

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Offer:
        return cls(**{**data, "lacks": tuple(data.get("lacks", ()))})


@dataclass(frozen=True)
class Demand:
    """What one node of a stage needs, in numbers; 0 means no reservation."""

    cpus: float = 0.0
    memory_gib: float = 0.0
    accelerators: dict[str, float] = field(default_factory=dict)
