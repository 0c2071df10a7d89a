"""OVHcloud, as the OpenStack that it is. Source: its guides on OpenStack, and the catalog.

A region of OpenStack is what the catalog calls a zone (``GRA11`` in ``GRA``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from stix.clouds.libcloud.openstack import OpenStackCloud
from stix.plan.offers import Offer


class OvhCloud(OpenStackCloud):
    """Public Cloud of OVHcloud."""

    name = "ovh"
    usual_url = "https://auth.cloud.ovh.net"
    rates: ClassVar[Mapping[str, float]] = {"*": 5.0}

    async def offers(self) -> Sequence[Offer]:
        """Prices of the catalog, in the regions that the account may use."""
        known = await self.places()
        rows = await super(OpenStackCloud, self).offers()
        placed = [replace(row, region=row.zone or row.region, zone=None) for row in rows]
        return [offer for offer in placed if offer.region in known]
