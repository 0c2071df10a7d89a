"""Linode, by way of Libcloud. Source: linode/linode-api-docs (``openapi.yaml``), and
apache-libcloud 3.9.1.

No firewall is made: a machine without one is open to the world, so all ports are. A machine that
is off costs as much as one that runs. Labels are unique in the account.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState
from stix.clouds.libcloud.cloud import EVERYWHERE, WORDS, LibcloudCloud
from stix.clouds.rented.credentials import Key, line
from stix.clouds.rented.failures import Exists
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import flat, unflat
from stix.plan.offers import Offer

KEY = Key(("LINODE_TOKEN", "LINODE_CLI_TOKEN"), (("~/.config/linode-cli", line("token =")),))
IMAGE = "linode/ubuntu24.04"


class LinodeCloud(LibcloudCloud):
    """Machines of Linode."""

    name = "linode"
    traits = Traits(tags=WORDS, user_data_bytes=65_535, poll_s=5.0)
    # The document limits the making of machines to 10 in 30 s.
    rates: ClassVar[Mapping[str, float]] = {"create": 1 / 3, "*": 10.0}
    states: ClassVar[Mapping[str, NodeState]] = {
        "provisioning": NodeState.STARTING,
        "booting": NodeState.STARTING,
        "rebooting": NodeState.STARTING,
        "rebuilding": NodeState.STARTING,
        "restoring": NodeState.STARTING,
        "cloning": NodeState.STARTING,
        "migrating": NodeState.STARTING,
        "resizing": NodeState.STARTING,
        "running": NodeState.RUNNING,
        "shutting_down": NodeState.STOPPED,
        "offline": NodeState.STOPPED,
        "stopped": NodeState.STOPPED,
        "billing_suspension": NodeState.STOPPED,
        "deleting": NodeState.TERMINATED,
    }

    def driver(self, place: str) -> Any:
        return self.library.Linode(KEY.need(self.name).value, **self.wire())

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        said = await self.call(EVERYWHERE, lambda d: d.connection.request("/v4/profile").object)
        return Identity(str(said["username"]), str(said["email"]))

    async def offers(self) -> Sequence[Offer]:
        """Prices of the catalog, else those of the API."""
        found = await super().offers()
        if not found:
            from stix.clouds.catalog.refresh.providers.linode import Linode
            from stix.clouds.libcloud.prices import live

            found = await self.call(EVERYWHERE, lambda driver: live(Linode, driver))
        regions = self.config.settings.get("regions")
        return [offer for offer in found if not regions or offer.region in regions]

    def order(self, driver: Any, order: Order) -> Any:
        self.no_disk(order)
        drivers, settings = self.library, self.config.settings
        return driver.create_node(
            drivers.location(driver, order.offer.region),
            order.name,
            drivers.size(driver, order.offer.instance_type),
            drivers.image(driver, order.image or str(settings.get("image") or IMAGE)),
            root_pass=secrets.token_urlsafe(40),  # Linode asks for one; nobody keeps it
            ex_authorized_keys=[order.public_key],
            ex_tags=flat(order.tags),
            ex_private_ip=True,
            ex_userdata=order.user_data,
        )

    async def launch(self, order: Order) -> Machine:
        try:
            return await super().launch(order)
        except Exists:
            # The answer of an order before was lost, and the listing did not have it yet.
            there = await self.machines(Search(self.config.home_id))
            for machine in there:
                if machine.name == order.name:
                    return machine
            raise

    def machine(self, node: Any, place: str) -> Machine:
        word = node.extra["status"]
        return Machine(
            id=node.id,
            name=node.name,
            state=self.state(word),
            region=node.extra["location"],
            tags=unflat(node.extra["tags"]),
            public_ip=next(iter(node.public_ips), ""),
            private_ip=next(iter(node.private_ips), ""),
            created=node.created_at.replace(tzinfo=UTC).timestamp(),
            billed=word != "deleting",
            reason=word,
        )

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``. They are open: see the module."""
