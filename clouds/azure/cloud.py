"""Azure. Source: the API documents in Azure/azure-rest-api-specs (Compute 2024-07-01).

A machine is made by one order, with its network interface, address and disk; the order can be
repeated, since it names what is to be there. Whether there was room is told by the machine itself
some time later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from stix.clouds.azure.errors import ERRORS, reading
from stix.clouds.azure.machines import (
    AWAY,
    Habits,
    body,
    failure,
    machine,
    moment,
    power,
    spot,
)
from stix.clouds.azure.network import Network
from stix.clouds.azure.wire import HOST, Arm, Login, Patience
from stix.clouds.base import Identity, NodeRef, NodeState, Quota, Resource
from stix.clouds.config import HOME_TAG, TOKEN_TAG, CloudConfig
from stix.clouds.errors import CloudError, UnsupportedFeature
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.names import tags_in
from stix.clouds.rented.tags import WISH_TAG, TagRule, unpack
from stix.clouds.settings import Setting, read_settings

SETTINGS = (
    Setting("subscription", default="", doc="id of the subscription to make machines in"),
    Setting("regions", "texts", doc="regions to use; all where nothing is said"),
    Setting("subnet", default="", doc="id of a subnet to use in place of our own network"),
    Setting("disk_gib", "count", default=128, least=30, doc="GiB of the disk of a machine"),
    Setting("disk_type", default="StandardSSD_LRS", doc="its type"),
    Setting("image", default="", doc="publisher:offer:sku:version, or an id"),
    Setting("gpu_image", default="", doc="likewise, for machines with accelerators"),
    Setting("identity", default="", doc="id of the managed identity that machines have"),
    Setting("use_internal_ips", "flag", default=False, doc="machines get no address outside"),
    Setting("ssh_from", default="*", doc="addresses that may log in, such as 10.0.0.0/8"),
    Setting("user", doc="whom to log in as"),
    Setting("poll_s", "number", default=2.0, least=0, doc="seconds between two looks"),
    Setting("wait_s", "number", default=60.0, least=0, doc="seconds an order is watched"),
    Setting("most_s", "number", default=300.0, least=0, doc="seconds a removal is watched"),
    Setting("endpoint_url", doc="address to use in place of Azure's"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
)
HABITS = ("disk_type", "disk_gib", "image", "gpu_image", "identity", "use_internal_ips")
VM = "Microsoft.Compute/virtualMachines"
KINDS = {
    "microsoft.network/networkinterfaces": "network interface",
    "microsoft.network/publicipaddresses": "address",
    "microsoft.compute/disks": "disk",
    "microsoft.network/networksecuritygroups": "security group",
    "microsoft.network/virtualnetworks": "network",
}
"""Types of resources, in the order in which they can be removed."""
KEPT = (TOKEN_TAG, WISH_TAG, "stix-run", "stix-stage", "stix-attempt")
"""Tags that the firewall of a wish keeps."""


class AzureCloud(RentedCloud):
    """Virtual machines of one subscription."""

    name = "azure"
    settings = SETTINGS
    traits = Traits(
        user="stix",
        tags=TagRule(
            count=50,
            key=r"(?i)(?!microsoft|azure|windows)[^<>%&\\?/]{1,512}",
            value=r"(?s:.{0,256})",
        ),
        user_data_bytes=65_535,
        at_once=16,
        lag_s=30.0,
        poll_s=5.0,
    )
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True
    rates: ClassVar[Mapping[str, float]] = {"*": 5.0}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        values = read_settings(self.name, config.settings, SETTINGS)
        self._habits = Habits(**{name: values[name] for name in HABITS})
        self._login = Login(values["timeout"])
        self._api = self.api(HOST, self._login.headers, ERRORS, reading=reading)
        patience = Patience(values["poll_s"], values["wait_s"], values["most_s"])
        self._arm = Arm(self._api, self._login, values["subscription"], patience)
        self._network = Network(self._arm, config.home_id, values["subnet"], values["ssh_from"])

    def credentials(self) -> str:
        return self._login.source()

    async def check(self) -> Identity:
        await self._login.headers()  # no credentials is what to say first
        found = await self._arm.call("GET", self._arm.root)
        return Identity(found["displayName"], f"subscription {found['subscriptionId']}")

    async def hang_up(self) -> None:
        await self._api.close()
        self._login.close()

    # -- machines -------------------------------------------------------------------------------

    async def launch_all(
        self, orders: Sequence[Order]
    ) -> tuple[list[Machine], list[BaseException]]:
        """Machines of a wish share a firewall."""
        first = orders[0]
        tags = {k: v for k, v in unpack(first.tags).items() if k in KEPT}
        region = first.offer.region
        try:
            await self._network.ready(region, first.wish, tags, first.ports)
        except CloudError as error:
            return [], [error]
        made, errors = await super().launch_all(orders)
        if errors and not made and not any(getattr(e, "retryable", False) for e in errors):
            await self._network.close(region, first.wish)
        return made, errors

    async def launch(self, order: Order) -> Machine:
        region = order.offer.region
        path = self._path(region, order.name)
        place = self._network.place(region, order.wish)
        await self._arm.call("PUT", path, body(order, place, self._habits, self.user))
        try:
            await self._until(path, ("starting", "running"))
        except CloudError as error:
            if not error.retryable:
                await self._arm.delete(path, forceDeletion="true")
            raise
        return Machine(
            id=order.name,
            name=order.name,
            state=NodeState.STARTING,
            region=region,
            zone=order.offer.zone,
            tags=order.tags,
            spot=order.offer.spot,
        )

    async def _until(self, path: str, words: Collection[str]) -> None:
        """Watch a machine until it is switched so, for a while.

        "No room" comes some time after the order was taken, and the machine tells it.

        Raises:
            CloudError: Azure has given it up.
        """
        until = time.monotonic() + self._arm.patience.order_s
        while True:
            entry = await self._arm.call("GET", path, **{"$expand": "instanceView"})
            code, message = failure(entry)
            if code:
                raise self._arm.refusal(code, message)
            if power(entry) in words or time.monotonic() > until:
                return
            await asyncio.sleep(self._arm.patience.pause_s)

    def _path(self, region: str, name: str) -> str:
        return self._arm.path(self._network.group(region), VM, name)

    async def machines(self, search: Search) -> list[Machine]:
        """Of all groups: the tags tell which are ours.

        Which machines are on is another listing, and the addresses are two more.
        """
        provider = f"{self._arm.root}/providers"
        wanted = {HOME_TAG: search.home} | ({WISH_TAG: search.wish} if search.wish else {})
        ours = [
            entry
            for entry in await self._arm.pages(f"{provider}/{VM}")
            if wanted.items() <= (entry.get("tags") or {}).items()
            and search.region in (None, entry["location"])
        ]
        if not ours:
            return []
        views, cards, addresses = await asyncio.gather(
            self._arm.pages(f"{provider}/{VM}", statusOnly="true"),
            self._arm.pages(f"{provider}/Microsoft.Network/networkInterfaces"),
            self._arm.pages(f"{provider}/Microsoft.Network/publicIPAddresses"),
        )
        on = {v["id"].lower(): v["properties"].get("instanceView") for v in views}
        known = {card["id"].lower(): card for card in cards}
        seen = {a["id"].lower(): a["properties"].get("ipAddress") or "" for a in addresses}
        found = [machine(_with_view(entry, on), known, seen) for entry in ours]
        if self._habits.use_internal_ips:
            found = [replace(each, public_ip=each.private_ip) for each in found]
        return found

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        mine = [node for node in nodes if tags_in(node.id, self.config.home_id)]
        await _together(
            self._arm.delete(self._path(node.region, node.id), forceDeletion="true")
            for node in mine
        )
        wishes = {(n.region, tags_in(n.id, self.config.home_id)[WISH_TAG]) for n in mine}
        ended = [node.id for node in mine]
        await _together(self._network.close(region, wish, ended) for region, wish in sorted(wishes))

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. They are deallocated, so that the disk and the address alone are paid.

        Raises:
            UnsupportedFeature: a spot machine, of which it would look as if it was evicted.
        """
        await _together(self._stop(node) for node in nodes)

    async def _stop(self, node: NodeRef) -> None:
        path = self._path(node.region, node.id)
        if spot(await self._arm.call("GET", path)):
            raise UnsupportedFeature(
                f"azure: {node.id} is a spot machine", fix="end it; a new one is made when needed"
            )
        await self._arm.call("POST", f"{path}/deallocate")
        await self._until(path, ("deallocated",))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. There may be no room any more."""
        await _together(self._start(node) for node in nodes)

    async def _start(self, node: NodeRef) -> None:
        path = self._path(node.region, node.id)
        await self._arm.call("POST", f"{path}/start")
        await self._until(path, ("starting", "running"))

    async def preemption(self, node: NodeRef) -> str | None:
        """See ``CanSpot``. Nobody but Azure deallocates a spot machine of ours."""
        path = self._path(node.region, node.id)
        try:
            entry = await self._arm.call("GET", path, **{"$expand": "instanceView"})
        except NotThere:
            return None
        word = power(entry)
        return f"evicted by Azure: {word}" if spot(entry) and word in AWAY else None

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``. They are open at all machines of a wish."""
        home = self.config.home_id
        wishes = {(n.region, tags_in(n.id, home).get(WISH_TAG, "")) for n in nodes}
        for region, wish in sorted(wishes):
            if wish:
                await self._network.open(region, wish, ports)

    # -- the rest -------------------------------------------------------------------------------

    async def resources(self) -> list[Resource]:
        """What is in our groups besides machines, tagged or not."""
        machines = await self.machines(Search(self.config.home_id))
        mine = f"tagName eq '{HOME_TAG}' and tagValue eq '{self.config.home_id}'"
        groups = await self._arm.pages(f"{self._arm.root}/resourcegroups", **{"$filter": mine})
        found: list[Resource] = []
        for group in groups:
            path = f"{self._arm.root}/resourceGroups/{group['name']}/resources"
            entries = await self._arm.pages(path, **{"$expand": "createdTime"})
            found += [
                self._resource(entry, machines)
                for entry in entries
                if entry["type"].lower() in KINDS
            ]
        return found

    def _resource(self, entry: Mapping[str, Any], machines: Sequence[Machine]) -> Resource:
        """A resource of a machine has a name that begins as the machine's, and that of a wish is
        what the names of its machines begin with."""
        kind, name = KINDS[entry["type"].lower()], str(entry["name"])
        users = [
            m
            for m in machines
            if (kind == "network" and m.region == entry["location"])
            or name.startswith(m.name)
            or m.name.startswith(f"{name}-")
        ]
        tags = dict(unpack(entry.get("tags") or {}))
        for user in users if kind != "network" else ():
            tags |= {k: v for k, v in unpack(user.tags).items() if k in KEPT}
        return Resource(
            cloud=self.name,
            kind=kind,
            id=entry["id"],
            region=entry["location"],
            tags={**tags, HOME_TAG: self.config.home_id},
            created=moment(entry.get("createdTime")),
            used_by=tuple(user.id for user in users),
            shared=kind == "network",
            billed=kind in ("disk", "address"),
        )

    async def remove(self, resources: Sequence[Resource]) -> None:
        order = [*KINDS.values()]
        for resource in sorted(resources, key=lambda each: order.index(each.kind)):
            await self._arm.delete(resource.id)

    async def quotas(self, region: str) -> list[Quota]:
        path = f"{self._arm.root}/providers/Microsoft.Compute/locations/{region}/usages"
        return [
            Quota(each["name"]["value"], region, each["limit"], each["currentValue"])
            for each in await self._arm.pages(path)
        ]


def _with_view(entry: Mapping[str, Any], views: Mapping[str, Any]) -> dict[str, Any]:
    view = views.get(entry["id"].lower()) or {}
    return {**entry, "properties": {**entry["properties"], "instanceView": view}}


async def _together(acts: Iterable[Any]) -> None:
    """All to their end; then the first error, if any."""
    for answer in await asyncio.gather(*acts, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
