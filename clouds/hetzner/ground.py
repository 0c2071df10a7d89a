"""What servers at Hetzner stand on: our key, firewalls and networks. All of it costs nothing.

Without a firewall a server is open to the world. Firewalls know addresses only, no groups: the
servers of a gang talk over a private network, which no firewall filters.
Source: api-evangelist/hetzner, ``/firewalls``, ``/networks``, ``/ssh_keys``, ``/locations``.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stix.clouds.base import Resource
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import TransientError
from stix.clouds.rented.failures import Exists
from stix.clouds.rented.http import Api
from stix.clouds.rented.machines import Order
from stix.clouds.rented.names import home_word

WORLD = ["0.0.0.0/0", "::/0"]
RANGE = "10.77.0.0/16"
KINDS = {"ssh_keys": "key", "firewalls": "security group", "networks": "network"}


@dataclass(frozen=True)
class Around:
    """Ids of what a server is made with."""

    key: int
    firewalls: tuple[int, ...]
    networks: tuple[int, ...]


class Ground:
    """The ground of one home in a project.

    Args:
        api: The project.
        home: Id of the home.
    """

    def __init__(self, api: Api, home: str) -> None:
        self._api = api
        self._home = home
        self._base = f"stix-{home_word(home)}"
        self._labels = {HOME_TAG: home_word(home)}
        self._turn = asyncio.Lock()
        self._last: tuple[str, Around] | None = None

    async def of(self, order: Order) -> Around:
        """What the servers of this wish need; looked up once for all of them."""
        async with self._turn:
            if self._last is None or self._last[0] != order.wish:
                key = await self._key(order.public_key)
                walls = [await self.firewall()]
                if order.ports:
                    walls.append(await self.firewall(order.ports))
                nets = [await self._network(order.offer.region)] if order.count > 1 else []
                self._last = order.wish, Around(key, tuple(walls), tuple(nets))
            return self._last[1]

    def forget(self) -> None:
        """Look everything up again: an order was refused."""
        self._last = None

    async def firewall(self, ports: Sequence[str] = ()) -> int:
        """The firewall that lets the world in at ``ports``; without any, at SSH."""
        name = self._base
        if ports:
            digest = hashlib.sha256(",".join(sorted(ports)).encode()).hexdigest()
            name = f"{self._base}-{digest[:12]}"
        rules = [
            {"direction": "in", "protocol": "tcp", "port": port, "source_ips": WORLD}
            for port in sorted(ports) or ["22"]
        ]
        return await self._one("firewalls", {"name": name}, {"name": name, "rules": rules})

    async def resources(self, cloud: str) -> list[Resource]:
        """All of it."""
        found = []
        for path, kind in KINDS.items():
            query = {"label_selector": f"{HOME_TAG}=={home_word(self._home)}"}
            for entry in await pages(self._api, path, **query):
                found.append(
                    Resource(
                        cloud=cloud,
                        kind=kind,
                        id=str(entry["id"]),
                        tags={HOME_TAG: self._home},
                        shared=True,
                        billed=False,
                    )
                )
        return found

    async def _key(self, public_key: str) -> int:
        body = base64.b64decode(public_key.split()[1])
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        mark = ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
        name = f"stix-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"
        wanted = {"name": name, "public_key": public_key}
        return await self._one("ssh_keys", {"fingerprint": mark}, wanted)

    async def _network(self, location: str) -> int:
        """The network of the zone that the location is in."""
        places = await self._api.call("GET", "/locations", params={"name": location})
        if not places["locations"]:
            return await self._network_of("eu-central")  # the order will be refused
        return await self._network_of(places["locations"][0]["network_zone"])

    async def _network_of(self, zone: str) -> int:
        name = f"{self._base}-{zone}"
        subnet = {"type": "cloud", "network_zone": zone, "ip_range": RANGE}
        wanted = {"name": name, "ip_range": RANGE, "subnets": [subnet]}
        return await self._one("networks", {"name": name}, wanted)

    async def _one(self, path: str, query: Mapping[str, str], wanted: Mapping[str, Any]) -> int:
        """The id of the one that the query finds, made if there is none."""
        for _ in range(2):
            found = (await self._api.call("GET", f"/{path}", params=query))[path]
            if found:
                return int(found[0]["id"])
            body = {**wanted, "labels": self._labels}
            try:
                made = await self._api.call("POST", f"/{path}", json=body)
            except Exists:
                continue  # another engine was faster
            return int(made[path.removesuffix("s")]["id"])
        raise TransientError(f"hetzner: {wanted['name']} exists, and is not listed")


async def pages(api: Api, path: str, **query: Any) -> list[Mapping[str, Any]]:
    """All entries of a listing."""
    found: list[Mapping[str, Any]] = []
    number: int | None = 1
    while number:
        params = {"page": number, "per_page": 50, **query}
        answer = await api.call("GET", f"/{path}", params=params)
        found += answer[path]
        number = answer["meta"]["pagination"]["next_page"]
    return found
