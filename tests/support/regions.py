"""This machine as a cloud of several regions, some of which have no room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stix.clouds.base import Cloud, CreateRequest, Node
from stix.clouds.errors import CapacityError
from stix.engine.runtime import CloudSet
from stix.plan.offers import Offer


class Regions:
    """Regions of the local cloud, each with its price.

    Args:
        inside: Where the nodes really are.
        prices: Region to USD per hour.
    """

    def __init__(self, inside: Cloud, prices: Mapping[str, float]) -> None:
        self._inside, self._prices = inside, prices
        self.full: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)

    async def offers(self) -> Sequence[Offer]:
        machine = (await self._inside.offers())[0]
        return [replace(machine, region=r, price=p) for r, p in self._prices.items()]

    async def create(self, request: CreateRequest) -> list[Node]:
        region = request.offer.region
        if region in self.full:
            raise CapacityError(f"no room in {region}", scope="region")
        return await self._inside.create(replace(request, offer=replace(request.offer, region="-")))


class Only(CloudSet):
    """A set of one cloud."""

    def __init__(self, cloud: Any) -> None:
        super().__init__({}, {cloud.name: True})
        self._cloud = cloud

    def get(self, name: str) -> Cloud:
        found: Cloud = self._cloud
        return found
