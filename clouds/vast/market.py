"""How a row of the catalog is looked for on Vast's market. Source: its API document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stix.clouds.errors import InvalidRequest
from stix.plan.offers import Offer

RELIABLE = 0.95
"""Of hosts, from 0 to 1."""
MOST = 1000
"""Offers per search."""


@dataclass(frozen=True)
class Kind:
    """What the name of a type says: ``1x-RTX_3090-32-65536``.

    Attributes:
        gpu: Vast's name, with spaces.
        gpus: How many.
        cpus: At least so many.
        memory_mib: Likewise.
    """

    gpu: str
    gpus: int
    cpus: int
    memory_mib: int

    @classmethod
    def of(cls, offer: Offer) -> Kind:
        found = re.fullmatch(r"(\d+)x-(.+)-(\d+)-(\d+)", offer.instance_type)
        if found is None:
            raise InvalidRequest(f"vast: {offer.instance_type} is not a type that can be rented")
        return cls(found[2].replace("_", " "), int(found[1]), int(found[3]), int(found[4]))

    def takes(self, ask: Mapping[str, Any]) -> bool:
        """Whether a machine on offer is of this kind."""
        return (
            str(ask["gpu_name"]).replace("_", " ") == self.gpu
            and ask["num_gpus"] == self.gpus
            and (ask.get("cpu_cores_effective") or 0) >= self.cpus
            and (ask.get("cpu_ram") or 0) >= self.memory_mib
        )


def search_of(offer: Offer, kind: Kind, disk_gib: int, ports: int) -> dict[str, Any]:
    """The body of a search, the cheapest first."""
    price = "min_bid" if offer.spot else "dph_total"
    return {
        **_common(offer.spot),
        "gpu_name": {"in": _spellings([kind.gpu])},
        "num_gpus": {"eq": kind.gpus},
        "cpu_cores_effective": {"gte": kind.cpus},
        "cpu_ram": {"gte": kind.memory_mib},
        "geolocation": {"in": [offer.region]},
        "disk_space": {"gte": disk_gib},
        "allocated_storage": disk_gib,
        "direct_port_count": {"gte": ports},
        "order": [[price, "asc"]],
        "limit": 20,
    }


def bids_search(offers: Sequence[Offer]) -> dict[str, Any]:
    """The body of one search for the bids of all ``offers``."""
    kinds = [Kind.of(offer) for offer in offers]
    return {
        **_common(True),
        "gpu_name": {"in": _spellings([kind.gpu for kind in kinds])},
        "num_gpus": {"in": sorted({kind.gpus for kind in kinds})},
        "geolocation": {"in": sorted({offer.region for offer in offers})},
        "order": [["min_bid", "asc"]],
        "limit": MOST,
    }


def with_bids(offers: Sequence[Offer], asks: Sequence[Mapping[str, Any]]) -> list[Offer]:
    """``offers`` as interruptible ones, at the lowest bid of a machine of their kind and place."""
    found = []
    for offer in offers:
        kind = Kind.of(offer)
        bids = [ask["min_bid"] for ask in asks if kind.takes(ask) and _place(ask) == offer.region]
        if bids and not offer.spot:
            found.append(replace(offer, spot=True, price=min(bids), as_of=""))
    return found


def _common(spot: bool) -> dict[str, Any]:
    return {
        "type": "bid" if spot else "ondemand",
        "verified": {"eq": True},
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "reliability": {"gte": RELIABLE},
    }


def _spellings(gpus: Sequence[str]) -> list[str]:
    """The document writes ``RTX_4090``, the guides and the answers ``RTX 4090``."""
    return sorted({name for gpu in gpus for name in (gpu, gpu.replace(" ", "_"))})


def _place(ask: Mapping[str, Any]) -> str:
    """The country's two letters: the end of ``Atlantis, AT``."""
    return str(ask.get("geolocation") or "").rpartition(",")[2].strip()
