"""Verda. Sources: its API document (api-evangelist/datacrunch, 2026-08) and its own clients
(github DataCrunch-io/datacrunch-python, verda-cloud/verda-cli), which know fields it leaves out.

Machines have no tags: their names, and those of their disks, say whose they are. A key of the
account is put there by the provider, so no script is needed at first boot. A machine that is off
costs as much as one that runs. There are no firewalls and no private networks.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import InvalidRequest, TransientError, UnsupportedFeature
from stix.clouds.rented import names
from stix.clouds.rented.cloud import RentedCloud, understood
from stix.clouds.rented.credentials import Key, Reader
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tokens import Bearer, Token
from stix.clouds.verda.errors import ERRORS


def _field(name: str) -> Reader:
    return lambda text: str(json.loads(text)[name])


FILE = "~/.verda/config.json"
ID = Key(("VERDA_CLIENT_ID", "DATACRUNCH_CLIENT_ID"), ((FILE, _field("client_id")),))
SECRET = Key(
    ("VERDA_CLIENT_SECRET", "DATACRUNCH_CLIENT_SECRET"), ((FILE, _field("client_secret")),)
)
STATES: Mapping[str, NodeState] = {
    "new": NodeState.STARTING,
    "ordered": NodeState.STARTING,
    "pending": NodeState.STARTING,
    "provisioning": NodeState.STARTING,
    "validating": NodeState.STARTING,
    "restoring": NodeState.STARTING,
    "running": NodeState.RUNNING,
    "offline": NodeState.STOPPED,
    "starting_hibernation": NodeState.STOPPED,
    "hibernating": NodeState.STOPPED,
    "error": NodeState.FAILED,
    "installation_failed": NodeState.FAILED,
    "no_capacity": NodeState.FAILED,
    "deleting": NodeState.TERMINATED,
    "discontinued": NodeState.TERMINATED,
    "notfound": NodeState.TERMINATED,
}
FREE = frozenset({"no_capacity", "discontinued", "notfound"})
TAKEN = frozenset({"discontinued", "offline"})
"""What becomes of a spot machine that is taken away; nobody of us switches one off."""
IMAGE, GPU_IMAGE = "ubuntu-24.04", "ubuntu-24.04-cuda-12.8-open-docker"
DISK_GIB = 50
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class VerdaCloud(RentedCloud):
    """Machines of one project."""

    name = "verda"
    traits = Traits(
        user="root", tags=None, user_data_bytes=0, poll_s=5.0, lag_s=10.0, multi_node=False
    )
    rates: ClassVar[Mapping[str, float]] = {"*": 2.0}
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        base = "https://api.verda.com/v1"
        self._bearer = Bearer(self._buy)
        self._api = self.api(base, self._bearer.headers, ERRORS)
        self._entrance = self.api(base, _nothing, ERRORS)
        self._key_turn = asyncio.Lock()

    def credentials(self) -> str:
        found = [key.find() for key in (ID, SECRET)]
        return ", ".join(dict.fromkeys(each.source for each in found)) if all(found) else ""

    async def check(self) -> Identity:
        balance = await self._call("GET", "/balance")
        funds = f"{balance['amount']:.2f} {balance['currency'].upper()} left"
        return Identity(f"client of {ID.need(self.name).source}", funds)

    async def launch(self, order: Order) -> Machine:
        if order.ports:
            raise InvalidRequest(
                "verda: ports cannot be opened or closed, there is no firewall",
                fix="remove `ports`",
            )
        disk: dict[str, Any] = {"name": order.name, "size": order.disk_gib or DISK_GIB}
        if order.offer.spot:
            disk["on_spot_discontinue"] = "delete_permanently"  # else it is kept, and costs money
        body = {
            "instance_type": order.offer.instance_type,
            "image": order.image or (GPU_IMAGE if order.offer.accelerators else IMAGE),
            "ssh_key_ids": [await self._key(order.public_key)],
            "hostname": order.name,
            "description": order.name,
            "location_code": order.offer.region,
            "is_spot": order.offer.spot,
            "os_volume": disk,
        }
        made = _id(await self._call("POST", "/instances", json=body, text=True))
        return Machine(
            made, order.name, NodeState.STARTING, region=order.offer.region, spot=order.offer.spot
        )

    async def machines(self, search: Search) -> list[Machine]:
        found = [_machine(entry) for entry in await self._call("GET", "/instances")]
        return [each for each in found if names.tags_in(each.name, search.home)]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        """With their disks, and not into the trash, where these cost money for days."""
        there = {entry["id"]: entry for entry in await self._call("GET", "/instances")}
        for node in nodes:
            entry = there.get(node.id)
            if entry is None or entry["status"] in ("deleting", "discontinued", "notfound"):
                continue
            disk = entry.get("os_volume_id")
            body = {
                "id": node.id,
                "action": "delete",
                "volume_ids": [disk] if disk else None,
                "delete_permanently": True,
            }
            await self._gone("PUT", "/instances", {k: v for k, v in body.items() if v is not None})

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. What is off costs as much."""
        for node in nodes:
            entry = await self._call("GET", f"/instances/{node.id}")
            if entry.get("is_spot"):
                raise UnsupportedFeature(
                    "verda: a spot machine that is off cannot be told from one that was taken",
                    fix="terminate it",
                )
            if entry["status"] == "running":
                await self._act(node, "shutdown")

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            if (await self._call("GET", f"/instances/{node.id}"))["status"] == "offline":
                await self._act(node, "start")

    async def preemption(self, node: NodeRef) -> str | None:
        """Verda says no more than that the machine is discontinued, or off."""
        try:
            with understood(self.name):
                entry = await self._call("GET", f"/instances/{node.id}")
                taken = entry.get("is_spot") and entry["status"] in TAKEN
        except NotThere:
            return None
        return str(entry["status"]) if taken else None

    async def resources(self) -> list[Resource]:
        """Our SSH key, which costs nothing, and the disks of our machines, which do."""
        mine = _name_of(self.keys.public())
        home = self.config.home_id
        keys = [
            Resource(
                cloud=self.name,
                kind="key",
                id=key["id"],
                tags={HOME_TAG: home},
                shared=True,
                billed=False,
            )
            for key in await self._call("GET", "/sshkeys")
            if key["name"] == mine
        ]
        disks = [
            Resource(
                cloud=self.name,
                kind="disk",
                id=disk["id"],
                region=_place(disk),
                tags=self._tags(Machine(disk["id"], disk["name"], NodeState.STOPPED)),
                created=_time(disk.get("created_at")),
                used_by=(disk["instance_id"],) if disk.get("instance_id") else (),
            )
            for disk in await self._call("GET", "/volumes")
            if names.tags_in(disk["name"], home) and disk["status"] != "deleted"
        ]
        return [*keys, *disks]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            if resource.kind == "key":
                await self._gone("DELETE", f"/sshkeys/{resource.id}")
            else:
                body = {"id": resource.id, "action": "delete", "is_permanent": True}
                await self._gone("PUT", "/volumes", body)

    async def hang_up(self) -> None:
        await self._api.close()
        await self._entrance.close()

    async def _key(self, public_key: str) -> str:
        """The id of our key in the account, put there if it is not there yet."""
        name = _name_of(public_key)
        async with self._key_turn:
            for key in await self._call("GET", "/sshkeys"):
                if key["name"] == name:
                    return str(key["id"])
            body = {"name": name, "key": public_key}
            return _id(await self._call("POST", "/sshkeys", json=body, text=True))

    async def _act(self, node: NodeRef, action: str) -> None:
        await self._call("PUT", "/instances", json={"id": node.id, "action": action}, text=True)

    async def _gone(self, method: str, path: str, body: Any = None) -> None:
        try:
            await self._call(method, path, json=body, text=True)
        except NotThere:
            return

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        return await self._bearer.call(self._api, method, path, **more)

    async def _buy(self) -> Token:
        body = {
            "grant_type": "client_credentials",
            "client_id": ID.need(self.name).value,
            "client_secret": SECRET.need(self.name).value,
        }
        with understood(self.name):
            answer = await self._entrance.call("POST", "/oauth2/token", json=body)
            return Token(answer["access_token"], float(answer["expires_in"]))


async def _nothing() -> Mapping[str, str]:
    return {}


def _name_of(public_key: str) -> str:
    return f"stix-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"


def _id(said: Any) -> str:
    """An id, which comes as plain text or as a text of JSON."""
    text = str(said or "").strip().strip('"')
    if not UUID.fullmatch(text):
        raise TransientError(f"verda: an answer that is no id: {text[:80]!r}")
    return text


def _machine(entry: Mapping[str, Any]) -> Machine:
    status, spot = entry["status"], bool(entry.get("is_spot"))
    state = STATES.get(status, NodeState.STARTING)
    if spot and status in TAKEN:
        state = NodeState.PREEMPTED
    return Machine(
        id=entry["id"],
        name=entry.get("hostname") or "",
        state=state,
        region=_place(entry),
        public_ip=entry.get("ip") or "",
        created=_time(entry.get("created_at")),
        spot=spot,
        billed=status not in FREE,
        reason=status,
    )


def _place(entry: Mapping[str, Any]) -> str:
    """The document names the field otherwise than answers do."""
    return str(entry.get("location") or entry.get("location_code") or "-")


def _time(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
