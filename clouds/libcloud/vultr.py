"""Vultr, by way of Libcloud. Source: its API v2 (vultr.com/api), and apache-libcloud 3.9.1.

No firewall is made: a machine without one is open to the world, so all ports are. A machine that
is halted costs as much as one that runs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState
from stix.clouds.errors import InvalidRequest
from stix.clouds.libcloud.cloud import EVERYWHERE, WORDS, LibcloudCloud
from stix.clouds.rented.credentials import Key
from stix.clouds.rented.machines import Machine, Order, Traits
from stix.clouds.rented.tags import flat, unflat
from stix.plan.offers import Offer

KEY = Key(("VULTR_API_KEY",))
IMAGE = "2284"
"""Ubuntu 24.04 LTS x64, in Vultr's list of systems."""


class VultrCloud(LibcloudCloud):
    """Machines of Vultr."""

    name = "vultr"
    traits = Traits(tags=WORDS, user_data_bytes=65_536, poll_s=5.0)
    rates: ClassVar[Mapping[str, float]] = {"*": 10.0}
    states: ClassVar[Mapping[str, NodeState]] = {
        "pending": NodeState.STARTING,
        "resizing": NodeState.STARTING,
        "installing": NodeState.STARTING,
        "running": NodeState.RUNNING,
        "halted": NodeState.STOPPED,
        "suspended": NodeState.STOPPED,
    }

    def driver(self, place: str) -> Any:
        return self.library.Vultr(KEY.need(self.name).value, **self.wire())

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        said = await self.call(EVERYWHERE, lambda d: d.connection.request("/v2/account").object)
        account = said["account"]
        return Identity(str(account["email"]), ", ".join(account.get("acls") or ()))

    async def offers(self) -> Sequence[Offer]:
        """Prices of the catalog, else those of the API. Bare metal is left out: its calls are
        others."""
        found = await super().offers()
        if not found:
            from stix.clouds.catalog.refresh.providers.vultr import Vultr
            from stix.clouds.libcloud.prices import live

            found = await self.call(EVERYWHERE, lambda driver: live(Vultr, driver))
        regions = self.config.settings.get("regions")
        kept = [o for o in found if not regions or o.region in regions]
        return [o for o in kept if not o.spot and not o.instance_type.startswith("vbm")]

    def order(self, driver: Any, order: Order) -> Any:
        self.no_disk(order)
        if order.offer.instance_type.startswith("vbm"):
            raise InvalidRequest("vultr: bare metal is not rented", fix="use another type")
        body: dict[str, Any] = {
            "region": order.offer.region,
            "plan": order.offer.instance_type,
            "label": order.name,
            "hostname": order.name,
            "tags": flat(order.tags),
            "user_data": base64.b64encode(order.user_data.encode()).decode(),
            "enable_ipv6": False,
            "activation_email": False,
            "backups": "disabled",
        }
        image = order.image or str(self.config.settings.get("image") or IMAGE)
        # Numbers are systems of Vultr, other names are snapshots of the account.
        body |= {"os_id": int(image)} if image.isdigit() else {"snapshot_id": image}
        return driver.make(body)

    def machine(self, node: Any, place: str) -> Machine:
        word = _word(node.extra)
        public = [ip for ip in node.public_ips if ip not in ("0.0.0.0", "::")]
        return Machine(
            id=node.id,
            name=node.name,
            state=self.state(word),
            region=node.extra["location"],
            tags=unflat(node.extra["tags"]),
            public_ip=next(iter(public), ""),
            private_ip=next(iter(node.private_ips or ()), ""),
            created=datetime.fromisoformat(node.created_at).timestamp(),
            reason=word,
        )

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``. They are open: see the module."""


def _word(extra: Mapping[str, Any]) -> str:
    """Three words of Vultr as one."""
    if extra["status"] != "active":
        return str(extra["status"])
    if extra["power_status"] != "running":
        return "halted"
    return "running" if extra["server_status"] == "ok" else "installing"
