"""Benches of rented clouds: an adapter, its double, and an offer of the catalog."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stix.clouds.catalog import locations
from stix.clouds.catalog.catalog import Catalog
from stix.clouds.config import CloudConfig
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.double import Double
from stix.plan.offers import Demand, Offer

TIMEOUT_S, PATIENT_S = 0.4, 20.0


def bench(
    adapter: type[RentedCloud],
    double: Double,
    home: Path,
    place: tuple[str, str] | Offer,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Bench:
    """A bench without machines behind it.

    Only what is to meet silence waits as shortly as ``settings["timeout"]`` or ``TIMEOUT_S`` says.

    Args:
        place: Region and instance type of the offer to rent, from the catalog, or the offer.
        more: Fields of ``Bench``.
    """

    given = {"endpoint_url": double.url, "timeout": TIMEOUT_S, **(settings or {})}

    def opened(**more: Any) -> RentedCloud:
        return adapter(CloudConfig(home, home, {**given, **more}, "0a1b2c3d4e5f"))

    offer = place if isinstance(place, Offer) else offer_of(adapter.name, *place)
    gangs = adapter.traits.multi_node
    fields: dict[str, Any] = {"faults": double, "reachable": False, "gangs": gangs, **more}
    fields["hasty"] = opened
    return Bench(lambda: opened(timeout=PATIENT_S), offer, Demand(cpus=1.0), double.stock, **fields)


def offer_of(cloud: str, region: str, instance_type: str, *, spot: bool = False) -> Offer:
    """The offer of the catalog that comes with STIX."""
    found: Sequence[Offer] = Catalog.load([cloud], [locations.BUNDLED]).offers(
        cloud=cloud, region=region, instance_type=instance_type, spot=spot
    )
    return found[0]


def offers_of(
    adapter: type[RentedCloud],
    double: Double,
    home: Path,
    settings: Mapping[str, Any] | None = None,
) -> Sequence[Offer]:
    """What a cloud offers whose prices are those of its own API."""

    async def ask() -> Sequence[Offer]:
        known = {"endpoint_url": double.url, **(settings or {})}
        cloud = adapter(CloudConfig(home=home, socket_dir=home, settings=known))
        try:
            return await cloud.offers()
        finally:
            await cloud.close()

    return asyncio.run(ask())
