"""DigitalOcean. Source: its public API document (github digitalocean/openapi, 2026-08).

Tags are words, case-blind, of ``[A-Za-z0-9:_-]``; an order can make none unique, so what was made
is found by its tags. A droplet that is off costs as much as one that runs.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Quota, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.do.errors import ERRORS
from stix.clouds.do.firewalls import Walls, pages
from stix.clouds.errors import CloudError, InvalidRequest
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.credentials import Key, line
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import WISH_TAG, TagRule, flat, unflat

KEY = Key(
    ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"),
    (("~/.config/doctl/config.yaml", line("access-token:")),),
)
STATES: Mapping[str, NodeState] = {
    "new": NodeState.STARTING,
    "active": NodeState.RUNNING,
    "off": NodeState.STOPPED,
    "archive": NodeState.STOPPED,
}
IMAGE = "ubuntu-24-04-x64"


class DigitalOceanCloud(RentedCloud):
    """Droplets."""

    name = "do"
    # Lower case only: of a tag that exists as `Train`, `train` is but another spelling.
    traits = Traits(
        tags=TagRule(count=40, key=r"[a-z0-9_-]{1,60}", value=r"[a-z0-9_:-]{1,180}", chunk=180),
        user_data_bytes=65_536,
        poll_s=5.0,
    )
    rates: ClassVar[Mapping[str, float]] = {"*": 4.0}
    custom_image: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._api = self.api("https://api.digitalocean.com/v2", self._headers, ERRORS)
        self._walls = Walls(self._api, config.home_id)
        self._turn = asyncio.Lock()
        self._last: tuple[str, int, tuple[str, ...]] | None = None

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        account = (await self._api.call("GET", "/account"))["account"]
        team = (account.get("team") or {}).get("name") or account["uuid"]
        return Identity(str(team), f"{account['status']}, {account['droplet_limit']} droplets")

    async def launch(self, order: Order) -> Machine:
        if order.disk_gib is not None:
            raise InvalidRequest(
                "do: the disk of a droplet has the size of its type", fix="remove `disk_size`"
            )
        key, walls = await self._around(order)
        body = {
            "name": order.name,
            "region": order.offer.region,
            "size": order.offer.instance_type,
            "image": _image(order),
            # Without a key here root gets a password that is to be changed at the first login.
            "ssh_keys": [key],
            "user_data": order.user_data,
            "tags": [*flat(order.tags), *walls],
        }
        try:
            return _machine((await self._api.call("POST", "/droplets", json=body))["droplet"])
        except CloudError:
            self._last = None
            raise

    async def machines(self, search: Search) -> list[Machine]:
        query: dict[str, str] = {}
        if search.wish:
            query = {"tag_name": f"{WISH_TAG}:{search.wish}"}
        elif self.traits.tags and self.traits.tags.takes(HOME_TAG, search.home):
            query = {"tag_name": f"{HOME_TAG}:{search.home}"}
        # The document leaves open whether a listing by tag has the droplets with GPUs, which the
        # plain listing has not.
        found = await pages(self._api, "/droplets", "droplets", **query)
        found += await pages(self._api, "/droplets", "droplets", type="gpus")
        return [*{machine.id: machine for machine in map(_machine, found)}.values()]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            await self._gone(f"/droplets/{node.id}")

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. What is off costs as much."""
        await self._power(nodes, "power_off", "active")

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        await self._power(nodes, "power_on", "off")

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``."""
        tag = await self._walls.tag(ports)
        droplets = [{"resource_id": node.id, "resource_type": "droplet"} for node in nodes]
        await self._api.call("POST", f"/tags/{tag}/resources", json={"resources": droplets})

    async def resources(self) -> list[Resource]:
        """Our SSH key and our firewalls, which cost nothing."""
        keys = [key for key in await self._keys() if _body(key) == _body(self.keys.public())]
        found: list[tuple[str, str, float | None]] = [("key", str(key["id"]), None) for key in keys]
        found += [
            ("security group", wall["id"], _seconds(wall.get("created_at")))
            for wall in await self._walls.listed()
        ]
        return [
            Resource(
                cloud=self.name,
                kind=kind,
                id=thing,
                tags={HOME_TAG: self.config.home_id},
                created=created,
                shared=True,
                billed=False,
            )
            for kind, thing, created in found
        ]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            path = "/account/keys" if resource.kind == "key" else "/firewalls"
            await self._gone(f"{path}/{resource.id}")

    async def quotas(self, region: str) -> list[Quota]:
        """How many droplets the account may have, in all regions together."""
        account = (await self._api.call("GET", "/account"))["account"]
        return [Quota("droplets", "-", float(account["droplet_limit"]))]

    async def hang_up(self) -> None:
        await self._api.close()

    async def _around(self, order: Order) -> tuple[int, tuple[str, ...]]:
        """Our key and the tags of the firewalls, looked up once for the droplets of a wish."""
        async with self._turn:
            if self._last is None or self._last[0] != order.wish:
                walls = [await self._walls.tag()]
                if order.ports:
                    walls.append(await self._walls.tag(order.ports))
                key = (await self._key(order.public_key))["id"]
                self._last = order.wish, key, tuple(walls)
            return self._last[1:]

    async def _power(self, nodes: Sequence[NodeRef], action: str, status: str) -> None:
        """Only for those that are in ``status``: for others the action is an error."""
        for node in nodes:
            path = f"/droplets/{node.id}"
            if (await self._api.call("GET", path))["droplet"]["status"] == status:
                await self._api.call("POST", f"{path}/actions", json={"type": action})

    async def _keys(self) -> list[Mapping[str, Any]]:
        return await pages(self._api, "/account/keys", "ssh_keys")

    async def _key(self, public_key: str) -> Mapping[str, Any]:
        """Our key in the account, put there if it is not there yet."""
        for _ in range(2):
            for key in await self._keys():
                if _body(key) == _body(public_key):
                    return key
            name = f"stix-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"
            try:
                body = {"name": name, "public_key": public_key}
                made = await self._api.call("POST", "/account/keys", json=body)
            except Exists:
                continue  # another call was faster
            new: Mapping[str, Any] = made["ssh_key"]
            return new
        raise InvalidRequest("do: our SSH key is in use, and the account does not list it")

    async def _gone(self, path: str) -> None:
        try:
            await self._api.call("DELETE", path)
        except NotThere:
            return

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


def _image(order: Order) -> str | int:
    """The image that was asked for, else Ubuntu, with the drivers of the GPUs there are."""
    if order.image:
        return int(order.image) if order.image.isdigit() else order.image
    if not order.offer.accelerators:
        return IMAGE
    if any(name.upper().startswith("MI") for name in order.offer.accelerators):
        return "gpu-amd-base"
    many = sum(order.offer.accelerators.values()) >= 8
    return "gpu-h100x8-base" if many else "gpu-h100x1-base"


def _machine(entry: Mapping[str, Any]) -> Machine:
    places = {net["type"]: net["ip_address"] for net in entry["networks"].get("v4") or ()}
    return Machine(
        id=str(entry["id"]),
        name=entry["name"],
        state=STATES.get(entry["status"], NodeState.STARTING),
        region=entry["region"]["slug"],
        tags=unflat(entry["tags"]),
        public_ip=places.get("public", ""),
        private_ip=places.get("private", ""),
        created=_seconds(entry["created_at"]),
        reason=entry["status"],
    )


def _body(key: Mapping[str, Any] | str) -> list[str]:
    """A key without its comment."""
    text = key if isinstance(key, str) else key["public_key"]
    return [*text.split()[:2]]


def _seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
