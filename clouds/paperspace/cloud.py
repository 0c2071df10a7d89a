"""Paperspace, of DigitalOcean. Source: SkyPilot 0.14.1, whose calls are in use, and the API
document of api-evangelist/paperspace (2026-08), which differs from them in details.

The service ends: its old API was removed in 2024, its client is retired since August 2026. What
is here is for machines that people still have; new work goes to ``do``. Machines have a name and
no tags, and no firewall: all ports are open to the world. A gang meets in a private network.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.clouds.paperspace.errors import ERRORS
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.credentials import Key
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.names import home_word

KEY = Key(
    ("PAPERSPACE_API_KEY",),
    (("~/.paperspace/config.json", lambda text: str(json.loads(text)["apiKey"])),),
)
STATES: Mapping[str, NodeState] = {
    "off": NodeState.STOPPED,
    "stopping": NodeState.STOPPED,
    "provisioning": NodeState.STARTING,
    "starting": NodeState.STARTING,
    "restarting": NodeState.STARTING,
    "upgrading": NodeState.STARTING,
    "serviceready": NodeState.STARTING,
    "ready": NodeState.RUNNING,
    "failed": NodeState.FAILED,
}
DISKS_GB = (100, 250, 500, 1000, 2000)
UBUNTU, ML = "t0nspur5", "twnlo3zj"
TEMPLATES = {
    "H100x8": "t7vp562h",
    "H100": "tilqt47t",
    "A100-80Gx8": "tvimtol9",
    "A100-80G": "tqqsxr6b",
}
"""Ids of images by machine type; other types with GPUs take ``ML``, those without ``UBUNTU``."""
NVLINK = ("H100x8", "A100-80Gx8")


class PaperspaceCloud(RentedCloud):
    """Machines, found by their names."""

    name = "paperspace"
    traits = Traits(user="paperspace", tags=None, user_data_bytes=0, poll_s=5.0)
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._api = self.api("https://api.paperspace.com/v1", self._headers, ERRORS)
        self._base = f"stix-{home_word(config.home_id)}"
        self._turn = asyncio.Lock()

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        found = await self._api.call("GET", "/machines", params={"limit": 1})
        team = next((entry.get("teamId") for entry in found["items"]), None)
        source = KEY.need(self.name).source
        return Identity(f"team {team}" if team else f"key of {source}", f"key of {source}")

    async def launch(self, order: Order) -> Machine:
        kind, region = order.offer.instance_type, order.offer.region
        size = _disk(order.disk_gib)
        async with self._turn:  # else each machine of a gang makes a network of its own
            script = await self._script(order.public_key)
            network = await self._network(region)
        usual = TEMPLATES.get(kind, ML if order.offer.accelerators else UBUNTU)
        body = {
            "name": order.name,
            "machineType": kind,
            "region": region,
            "templateId": order.image or usual,
            "diskSize": size,
            "networkId": network,
            "publicIpType": "dynamic",
            "startupScriptId": script,
            "enableNvlink": kind in NVLINK,
            "startOnCreate": True,
        }
        made = await self._api.call("POST", "/machines", json=body)
        return _machine(made.get("data", made))

    async def machines(self, search: Search) -> list[Machine]:
        return [_machine(entry) for entry in await self._all("/machines")]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            await self._gone(f"/machines/{node.id}")

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. The disk goes on to cost money."""
        await self._power(nodes, "stop", (NodeState.RUNNING, NodeState.STARTING))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        await self._power(nodes, "start", (NodeState.STOPPED,))

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``. They are open."""

    async def resources(self) -> list[Resource]:
        """Our startup script and our networks, which cost nothing."""
        scripts = [
            ("script", each["id"], "-")
            for each in await self._all("/startup-scripts")
            if each["name"] == self._script_name(self.keys.public())
        ]
        networks = [
            ("network", each["id"], each["region"])
            for each in await self._all("/private-networks")
            if each["name"].startswith(f"{self._base}-net-")
        ]
        return [
            Resource(
                cloud=self.name,
                kind=kind,
                id=thing,
                region=region,
                tags={HOME_TAG: self.config.home_id},
                shared=True,
                billed=False,
            )
            for kind, thing, region in [*scripts, *networks]
        ]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            path = "startup-scripts" if resource.kind == "script" else "private-networks"
            await self._gone(f"/{path}/{resource.id}")

    async def hang_up(self) -> None:
        await self._api.close()

    def _script_name(self, public_key: str) -> str:
        return f"{self._base}-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"

    async def _script(self, public_key: str) -> str:
        """The script that lets us in at the first boot; an order takes no key."""
        name = self._script_name(public_key)
        home = "/home/paperspace/.ssh"
        lines = (
            f"mkdir -p {home}; chmod 700 {home}",
            f"echo {shlex.quote(public_key)} >> {home}/authorized_keys",
            f"chmod 600 {home}/authorized_keys; chown -R paperspace: {home}",
            "",
        )
        wanted = {"name": name, "script": "\n".join(lines), "isRunOnce": True}
        return await self._one("/startup-scripts", wanted)

    async def _network(self, region: str) -> str:
        place = hashlib.sha256(region.encode()).hexdigest()[:6]
        wanted = {"name": f"{self._base}-net-{place}", "region": region}
        return await self._one("/private-networks", wanted)

    async def _one(self, path: str, wanted: Mapping[str, Any]) -> str:
        """The id of the one of this name, made if there is none."""
        for entry in await self._all(path):
            if entry["name"] == wanted["name"]:
                return str(entry["id"])
        made = await self._api.call("POST", path, json=wanted)
        return str(made.get("data", made)["id"])

    async def _power(
        self, nodes: Sequence[NodeRef], action: str, states: Sequence[NodeState]
    ) -> None:
        for node in nodes:
            seen = _machine(await self._api.call("GET", f"/machines/{node.id}"))
            if seen.state in states:
                await self._api.call("PATCH", f"/machines/{node.id}/{action}")

    async def _all(self, path: str) -> list[Mapping[str, Any]]:
        """All entries of a listing."""
        found: list[Mapping[str, Any]] = []
        after: str | None = None
        while True:
            answer = await self._api.call("GET", path, params={"after": after})
            if isinstance(answer, list):  # so says the document of scripts and networks
                return answer
            found += answer["items"]
            if not answer["hasMore"]:
                return found
            after = answer["nextPage"]

    async def _gone(self, path: str) -> None:
        try:
            await self._api.call("DELETE", path)
        except NotThere:
            return

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


def _disk(gib: int | None) -> int:
    """The smallest disk that is large enough, in GB (10^9 bytes)."""
    wanted = (gib or 0) * 2**30 / 1e9
    size = next((size for size in DISKS_GB if size >= wanted), None)
    if size is None:
        raise InvalidRequest(
            f"paperspace: no disk has {gib} GiB", fix=f"ask for at most {DISKS_GB[-1]} GB"
        )
    return size


def _machine(entry: Mapping[str, Any]) -> Machine:
    created = entry.get("dtCreated")
    return Machine(
        id=entry["id"],
        name=entry["name"],
        state=STATES.get(entry["state"], NodeState.STARTING),
        region=entry["region"],
        public_ip=entry.get("publicIp") or "",
        private_ip=entry.get("privateIp") or "",
        created=datetime.fromisoformat(created).timestamp() if created else None,
        reason=entry["state"],
    )
