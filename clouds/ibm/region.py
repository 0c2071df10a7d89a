"""One region of IBM Cloud: calls, listings, and what machines stand on there.

A region has one VPC of ours, with a security group per set of open ports and a subnet per zone. All
of it costs nothing. Source: ibm-vpc 0.36 (its API of 2026-10-06).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stix.clouds.errors import InvalidRequest, TransientError
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.hosts import Hosts
from stix.clouds.rented.machines import Order
from stix.clouds.rented.tokens import Bearer

VERSION = {"version": "2026-10-06", "generation": 2}
SYSTEM = "ubuntu-24-04-amd64"
ADDRESSES = 1024
LOOKS = 60
WORLD = {"cidr_block": "0.0.0.0/0"}
Thing = Mapping[str, Any]


@dataclass(frozen=True)
class Habits:
    """What holds for all that is made.

    Attributes:
        base: How our shared things are named: a prefix that tells the home.
        group: Id of a resource group; empty for the account's usual one.
        poll_s: Seconds between two looks at what is being made.
    """

    base: str
    group: str
    poll_s: float


@dataclass(frozen=True)
class Around:
    """Ids of what a machine is made with.

    Attributes:
        wish: That for which they were looked up; later ones use them too.
    """

    wish: str
    vpc: str
    subnet: str
    security_groups: tuple[str, ...]
    image: str


class Region:
    """One region.

    Args:
        name: Such as ``us-east``.
    """

    def __init__(self, name: str, hosts: Hosts, bearer: Bearer, habits: Habits) -> None:
        self.name = name
        self._host = f"{name}.iaas.cloud.ibm.com"
        self._hosts = hosts
        self._bearer = bearer
        self._habits = habits
        self._turn = asyncio.Lock()
        self._kept: dict[tuple[Any, ...], Around] = {}

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """A call of the VPC API, ``path`` below ``/v1``."""
        params = {**VERSION, **more.pop("params", {})}
        where = self._hosts.path(self._host, f"/v1{path}")
        api = self._hosts.api(self._host)
        return await self._bearer.call(api, method, where, params=params, **more)

    async def listed(self, what: str, **query: Any) -> list[Thing]:
        """All entries of a collection. Of the link to the next page only the mark is used: it
        might lead the token to another host."""
        found: list[Thing] = []
        start: str | None = None
        while True:
            params = {"limit": 100, "start": start, **query}
            answer = await self.call("GET", f"/{what}", params=params)
            found += answer[what]
            following = (answer.get("next") or {}).get("href")
            if not following:
                return found
            start = parse_qs(urlsplit(following).query)["start"][0]

    async def make(self, what: str, body: Mapping[str, Any]) -> Thing:
        """One more of a collection, in the resource group of the settings."""
        group = {"resource_group": {"id": self._habits.group}} if self._habits.group else {}
        made: Thing = await self.call("POST", f"/{what}", json={**body, **group})
        return made

    async def gone(self, path: str) -> None:
        try:
            await self.call("DELETE", path)
        except NotThere:
            return

    async def of(self, order: Order) -> Around:
        """What the machines of this wish need; looked up once, and kept for others."""
        zone = order.offer.zone or f"{self.name}-1"
        like = zone, order.ports, order.image
        async with self._turn:
            if like not in self._kept:
                vpc = await self._vpc()
                self._kept[like] = Around(
                    order.wish,
                    vpc,
                    await self._subnet(vpc, zone),
                    tuple(await self.security_groups(vpc, order.ports)),
                    await self._image(order.image),
                )
            return self._kept[like]

    def forget(self, around: Around) -> None:
        """Look it up again: an order was refused."""
        self._kept = {k: kept for k, kept in self._kept.items() if kept is not around}

    async def security_groups(self, vpc: str, ports: Sequence[str]) -> list[str]:
        """The group that lets in SSH and the machines of this home, and that of ``ports``."""
        inside = await self._security_group(vpc, self._habits.base, ("22",))
        await self._meeting(inside)
        groups = [inside["id"]]
        if ports:
            digest = hashlib.sha256(",".join(sorted(ports)).encode()).hexdigest()[:12]
            name = f"{self._habits.base}-{digest}"
            groups.append((await self._security_group(vpc, name, sorted(ports)))["id"])
        return groups

    async def ours(self, what: str) -> list[Thing]:
        """Shared things of this home."""
        base = self._habits.base
        return [
            thing
            for thing in await self.listed(what)
            if thing["name"] == base or thing["name"].startswith(f"{base}-")
        ]

    async def _vpc(self) -> str:
        name = self._habits.base
        body = {"name": name, "address_prefix_management": "auto"}
        return await self._ready("vpcs", await self._one("vpcs", name, body))

    async def _subnet(self, vpc: str, zone: str) -> str:
        name = f"{self._habits.base}-{zone}"
        body = {
            "name": name,
            "vpc": {"id": vpc},
            "zone": {"name": zone},
            "total_ipv4_address_count": ADDRESSES,
        }
        return await self._ready("subnets", await self._one("subnets", name, body))

    async def _security_group(self, vpc: str, name: str, ports: Sequence[str]) -> Thing:
        rules = [
            {
                "direction": "inbound",
                "protocol": "tcp",
                "port_min": int(port.partition("-")[0]),
                "port_max": int(port.rpartition("-")[2]),
                "remote": WORLD,
            }
            for port in ports
        ]
        outward = {"direction": "outbound", "protocol": "any", "remote": WORLD}
        body = {"name": name, "vpc": {"id": vpc}, "rules": [*rules, outward]}
        return await self._one("security_groups", name, body)

    async def _meeting(self, group: Thing) -> None:
        """Let the machines of a group reach each other: only once it exists it can name itself."""
        remotes = [(rule.get("remote") or {}).get("id") for rule in group.get("rules") or ()]
        if group["id"] not in remotes:
            body = {"direction": "inbound", "protocol": "any", "remote": {"id": group["id"]}}
            await self.call("POST", f"/security_groups/{group['id']}/rules", json=body)

    async def _image(self, wanted: str) -> str:
        """The id of an image: that of the name, or the newest Ubuntu of IBM."""
        if wanted:
            found = await self.listed("images", name=wanted)
            if not found and "-" in wanted and wanted[1:4].isdigit():
                return wanted  # an id, such as r006-...
        else:
            every = await self.listed("images", visibility="public", status="available")
            found = [i for i in every if i["operating_system"]["name"] == SYSTEM]
        if not found:
            raise InvalidRequest(
                f"ibm: no image {wanted or SYSTEM} in {self.name}", fix="name another `image`"
            )
        return str(max(found, key=lambda image: image["created_at"])["id"])

    async def _one(self, what: str, name: str, body: Mapping[str, Any]) -> Thing:
        """The thing of this name, made if there is none."""
        for _ in range(2):
            for thing in await self.ours(what):
                if thing["name"] == name:
                    return thing
            try:
                return await self.make(what, body)
            except Exists:
                continue  # another engine was faster
        raise TransientError(f"ibm: {name} exists, and is not listed")

    async def _ready(self, what: str, thing: Thing) -> str:
        """Wait until it can be used, for a while: what names it before is refused."""
        for _ in range(LOOKS):
            if thing["status"] == "available":
                return str(thing["id"])
            if thing["status"] == "failed":
                break
            await asyncio.sleep(self._habits.poll_s)
            thing = await self.call("GET", f"/{what}/{thing['id']}")
        raise TransientError(f"ibm: {thing['name']} is {thing['status']}")
