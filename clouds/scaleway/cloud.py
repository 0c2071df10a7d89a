"""Scaleway. Source: its public API document (api-evangelist/scaleway, 2026-08).

An Instance is made in steps: it is created stopped, gets its user data, and is powered on. Whoever
finds it stopped when the same wish is asked for again goes on with the steps. One that is stopped
frees its machine and still costs its disk.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, Node, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import AuthError, CapacityError, CloudError, InvalidRequest, TransientError
from stix.clouds.rented.cloud import COMMON, RentedCloud, understood
from stix.clouds.rented.credentials import Key, line
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import WISH_TAG, TagRule, flat, unflat, unpack
from stix.clouds.scaleway.errors import ERRORS
from stix.clouds.scaleway.parts import BLOCK, NODE_TAG, Parts, pages
from stix.clouds.settings import Setting

FILE = "~/.config/scw/config.yaml"
KEY = Key(("SCW_SECRET_KEY",), ((FILE, line("secret_key:")),))
PROJECT = Key(("SCW_DEFAULT_PROJECT_ID",), ((FILE, line("default_project_id:")),))
ZONES = (
    *("fr-par-1", "fr-par-2", "fr-par-3", "nl-ams-1", "nl-ams-2", "nl-ams-3"),
    *("pl-waw-1", "pl-waw-2", "pl-waw-3", "it-mil-1"),
)
STATES: Mapping[str, NodeState] = {
    "running": NodeState.RUNNING,
    "starting": NodeState.STARTING,
    "stopping": NodeState.STOPPED,
    "stopped": NodeState.STOPPED,
    "stopped in place": NodeState.STOPPED,
    "locked": NodeState.FAILED,
}
IMAGE, GPU_IMAGE = "ubuntu_noble", "ubuntu_noble_gpu_os_12"
WORD = r"[A-Za-z0-9_.-]{1,60}"
DISK_GIB = 100
LOOKS = 60


class ScalewayCloud(RentedCloud):
    """Instances of one project.

    Args:
        config: ``settings["poll"]`` is the pause between two looks at an Instance that ends, in
            seconds.
    """

    name = "scaleway"
    settings = (
        *COMMON,
        Setting("poll", "number", default=3.0, least=0, doc="seconds between looks"),
        Setting("project", doc="id of the project; else that of the credentials"),
    )
    traits = Traits(
        tags=TagRule(count=40, key=WORD, value=WORD, chunk=60),
        poll_s=5.0,
        multi_node=False,  # they have public addresses only, and the firewall knows no groups
    )
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._api = self.api("https://api.scaleway.com", self._headers, ERRORS)
        self._parts = Parts(self._api, config.home_id, self._project)
        self._poll_s = float(config.settings.get("poll", 3.0))

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        query = {"per_page": 1, "project": self._project()}
        await self._api.call("GET", _servers(ZONES[0]), params=query)
        return Identity(f"project {self._project()}", f"key of {KEY.need(self.name).source}")

    async def launch(self, order: Order) -> Machine:
        zone = order.offer.zone or f"{order.offer.region}-1"
        kind = order.offer.instance_type
        stock = await self._stock(zone)
        if stock.get(kind, {}).get("availability") == "shortage":
            raise CapacityError(f"scaleway: {kind} is out of stock in {zone}", scope="zone")
        size = math.ceil((order.disk_gib or DISK_GIB) * 2**30 / 1e9) * 10**9
        body = {
            "name": order.name,
            "project": self._project(),
            "commercial_type": kind,
            "image": order.image or (GPU_IMAGE if order.offer.accelerators else IMAGE),
            "volumes": {"0": {"volume_type": BLOCK, "size": size}},
            "dynamic_ip_required": True,
            "security_group": await self._parts.group(zone, order.ports),
            "tags": flat(order.tags),
        }
        server = (await self._api.call("POST", _servers(zone), json=body))["server"]
        await self._finish(zone, server, order.user_data)
        return replace(_machine(server), state=NodeState.STARTING)

    async def machines(self, search: Search) -> list[Machine]:
        query = {"project": self._project()}
        if search.wish:
            query["tags"] = f"{WISH_TAG}:{search.wish}"
        elif self.traits.tags and self.traits.tags.takes(HOME_TAG, search.home):
            query["tags"] = f"{HOME_TAG}:{search.home}"
        found = []
        for zone in ZONES:
            if search.region in (None, zone.rpartition("-")[0]):
                found += await pages(self._api, _servers(zone), "servers", **query)
        return [_machine(entry) for entry in found]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        zones: dict[str, list[str]] = {}
        for node in nodes:
            zones.setdefault(_zone(node), []).append(node.id)
        for zone, servers in zones.items():
            disks = {disk["id"]: unflat(disk["tags"]) for disk in await self._parts.disks(zone)}
            await self._ended(zone, servers, disks)
            for disk, tags in disks.items():
                if tags.get(NODE_TAG) in servers:
                    await self._gone(f"/block/v1/zones/{zone}/volumes/{disk}")

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. It gives the machine back, and may not get one again."""
        await self._act(nodes, "poweroff", ("running",))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        await self._act(nodes, "poweron", ("stopped", "stopped in place"))

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``."""
        for node in nodes:
            zone = _zone(node)
            path = f"{_servers(zone)}/{node.id}"
            server = (await self._api.call("GET", path))["server"]
            known = await self._parts.open_at(zone, server["security_group"]["id"])
            group = await self._parts.group(zone, [*known, *ports])
            body = {"security_group": {"id": group, "name": group}}
            await self._api.call("PATCH", path, json=body)

    async def resources(self) -> list[Resource]:
        """Disks, also those whose Instance is gone, and security groups, which cost nothing."""
        found = []
        for zone in ZONES:
            for disk in await self._parts.disks(zone):
                tags = unflat(disk["tags"])
                used = (tags[NODE_TAG],) if disk["status"] == "in_use" else ()
                found.append(self._resource("disk", zone, disk["id"], unpack(tags), used))
            for group in await self._parts.groups(zone):
                found.append(self._resource("security group", zone, group["id"], {}, ()))
        return found

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            zone, _, thing = resource.id.partition("/")
            if resource.kind == "disk":
                await self._gone(f"/block/v1/zones/{zone}/volumes/{thing}")
            else:
                await self._gone(f"/instance/v1/zones/{zone}/security_groups/{thing}")

    async def hang_up(self) -> None:
        await self._api.close()

    async def _ranked(self, wish: str, region: str) -> dict[int, Node]:
        """Those that are stopped are begun or were stopped: a wish is for ones that run."""
        there = await super()._ranked(wish, region)
        data = self._user_data(await asyncio.to_thread(self.keys.public))
        try:
            for rank, node in there.items():
                if node.reason in ("stopped", "stopped in place"):
                    with understood(self.name):
                        zone = _zone(node.ref)
                        path = f"{_servers(zone)}/{node.ref.id}"
                        server = (await self._api.call("GET", path))["server"]
                        await self._finish(zone, server, data)
                    there[rank] = replace(node, state=NodeState.STARTING)
        except CloudError as error:
            await self._failed([error], there, Search(self.config.home_id, region, wish))
        return there

    async def _finish(self, zone: str, server: Mapping[str, Any], user_data: str) -> None:
        """The steps after the creation; each can be done twice."""
        path = f"{_servers(zone)}/{server['id']}"
        plain = {"Content-Type": "text/plain"}
        data = user_data.encode()
        await self._api.call("PATCH", f"{path}/user_data/cloud-init", content=data, headers=plain)
        await self._parts.mark(zone, server)
        await self._api.call("POST", f"{path}/action", json={"action": "poweron"})

    async def _stock(self, zone: str) -> Mapping[str, Any]:
        """Instance type to its availability now: available, scarce or shortage."""
        path = f"/instance/v1/zones/{zone}/products/servers/availability"
        found: dict[str, Any] = {}
        number = 1
        while True:
            query = {"per_page": 100, "page": number}
            some = (await self._api.call("GET", path, params=query))["servers"]
            if not some or some.keys() <= found.keys():
                return found
            found |= some
            number += 1

    async def _ended(
        self, zone: str, servers: Sequence[str], disks: dict[str, dict[str, str]]
    ) -> None:
        """End Instances, and wait until they are gone: a disk cannot be removed before.

        Raises:
            TransientError: it takes too long.
        """
        left = [*servers]
        for _ in range(LOOKS):
            left = [server for server in left if not await self._gone_after(zone, server, disks)]
            if not left:
                return
            await asyncio.sleep(self._poll_s)
        raise TransientError(f"scaleway: {', '.join(left)} still end")

    async def _gone_after(self, zone: str, server: str, disks: dict[str, dict[str, str]]) -> bool:
        """Do what brings an Instance nearer to its end; whether there is nothing left to do.

        Its disks go into ``disks``. They have their tags before anything else is done, so that
        they are found even if nobody comes to remove them.
        """
        path = f"{_servers(zone)}/{server}"
        try:
            entry = (await self._api.call("GET", path))["server"]
            if not {volume["id"] for volume in entry["volumes"].values()} <= disks.keys():
                for disk in await self._parts.mark(zone, entry):
                    disks[disk] = {NODE_TAG: server}
            if entry["state"] == "stopped":
                await self._api.call("DELETE", path)
            elif entry["state"] != "stopping":
                await self._api.call("POST", f"{path}/action", json={"action": "terminate"})
        except NotThere:
            return True
        except InvalidRequest:
            pass  # it is on its way to another state, or somebody else ends it: look again
        return False

    async def _act(self, nodes: Sequence[NodeRef], action: str, states: Sequence[str]) -> None:
        for node in nodes:
            path = f"{_servers(_zone(node))}/{node.id}"
            if (await self._api.call("GET", path))["server"]["state"] in states:
                await self._api.call("POST", f"{path}/action", json={"action": action})

    async def _gone(self, path: str) -> None:
        try:
            await self._api.call("DELETE", path)
        except NotThere:
            return

    def _resource(
        self, kind: str, zone: str, thing: str, tags: Mapping[str, str], used: tuple[str, ...]
    ) -> Resource:
        shared = kind == "security group"
        return Resource(
            cloud=self.name,
            kind=kind,
            id=f"{zone}/{thing}",
            region=zone.rpartition("-")[0],
            tags={**tags, HOME_TAG: self.config.home_id},
            used_by=used,
            shared=shared,
            billed=not shared,
        )

    def _project(self) -> str:
        project = self.config.settings.get("project") or PROJECT.find().value
        if not project:
            raise AuthError(
                "scaleway: no project",
                fix="set $SCW_DEFAULT_PROJECT_ID, or `project` of the cloud in config.yaml",
            )
        return str(project)

    async def _headers(self) -> Mapping[str, str]:
        return {"X-Auth-Token": KEY.need(self.name).value}


def _servers(zone: str) -> str:
    return f"/instance/v1/zones/{zone}/servers"


def _zone(node: NodeRef) -> str:
    return node.zone or f"{node.region}-1"


def _machine(entry: Mapping[str, Any]) -> Machine:
    addresses = [ip["address"] for ip in entry.get("public_ips") or () if ip["family"] == "inet"]
    return Machine(
        id=entry["id"],
        name=entry["name"],
        state=STATES.get(entry["state"], NodeState.STARTING),
        region=entry["zone"].rpartition("-")[0],
        zone=entry["zone"],
        tags=unflat(entry["tags"]),
        public_ip=addresses[0] if addresses else "",
        created=datetime.fromisoformat(entry["creation_date"]).timestamp(),
        reason=entry["state"],
    )
