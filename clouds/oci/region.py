"""One region of Oracle's cloud: calls, listings, and what machines stand on there.

A region has one network of ours (a VCN with a gateway and a subnet) and a security group per set of
open ports. All of it costs nothing. Source: API 20160918 (oci 2.189, docs.oracle.com).
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stix.clouds.config import HOME_TAG
from stix.clouds.errors import InvalidRequest, TransientError
from stix.clouds.oci.errors import SpentToken
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.hosts import Hosts
from stix.clouds.rented.machines import Order

VERSION = "/20160918"
RANGE = "10.77.0.0/16"
WORLD = "0.0.0.0/0"
GONE = ("TERMINATING", "TERMINATED")
LOOKS = 60
Thing = Mapping[str, Any]


@dataclass(frozen=True)
class Habits:
    """What holds for all that is made.

    Attributes:
        home: Id of the home.
        base: How our shared things are named.
        image: Where an order names none; empty for the newest Ubuntu.
        poll_s: Seconds between two looks at what is being made.
    """

    home: str
    base: str
    image: str
    poll_s: float


@dataclass(frozen=True)
class Around:
    """Ids of what a machine is made with.

    Attributes:
        wish: That for which they were looked up; later ones use them too.
    """

    wish: str
    subnet: str
    groups: tuple[str, ...]
    image: str


class Region:
    """One region, and one compartment in it.

    Args:
        name: Such as ``us-ashburn-1``.
    """

    def __init__(self, name: str, compartment: str, hosts: Hosts, habits: Habits) -> None:
        self.name = name
        self.compartment = compartment
        self._hosts = hosts
        self._habits = habits
        self._turn = asyncio.Lock()
        self._kept: dict[tuple[Any, ...], Around] = {}

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """The body of an answer of the compute and network services."""
        host = f"iaas.{self.name}.oraclecloud.com"
        return (await self._hosts.call(host, method, f"{VERSION}{path}", **more)).body

    async def listed(self, what: str, **query: Any) -> list[Thing]:
        """All entries of a collection of the compartment, also of those that ended lately."""
        host = f"iaas.{self.name}.oraclecloud.com"
        found: list[Thing] = []
        mark: str | None = None
        while True:
            params = {"compartmentId": self.compartment, "limit": 100, "page": mark, **query}
            page = await self._hosts.call(host, "GET", f"{VERSION}/{what}", params=params)
            found += _entries(page.body)
            mark = page.following
            if not mark:
                return found

    async def make(self, what: str, token: str, body: Mapping[str, Any]) -> Thing:
        """One more. Within a day a token gives the same thing again; where that is gone, a new one
        is made with a token of its own."""
        whole = {"compartmentId": self.compartment, **body}
        for once in (token, f"{token}-{uuid.uuid4().hex[:8]}"):
            try:
                headers = {"opc-retry-token": once}
                made: Thing = await self.call("POST", f"/{what}", json=whole, headers=headers)
            except SpentToken:
                continue
            if made["lifecycleState"] not in GONE:
                return made
        raise TransientError(f"oci: {what}: the token makes nothing new")

    async def gone(self, path: str, **query: Any) -> None:
        try:
            await self.call("DELETE", path, params=query)
        except NotThere:
            return

    async def of(self, order: Order, shape: str) -> Around:
        """What the machines of this wish need; looked up once, and kept for others."""
        like = shape, order.ports, order.image
        async with self._turn:
            if like not in self._kept:
                vcn = await self._network()
                self._kept[like] = Around(
                    order.wish,
                    await self._subnet(vcn),
                    tuple(await self._groups(vcn["id"], order.ports)),
                    order.image or await self._image(shape),
                )
            return self._kept[like]

    def forget(self, around: Around) -> None:
        """Look it up again: an order was refused."""
        self._kept = {k: kept for k, kept in self._kept.items() if kept is not around}

    async def groups(self, ports: Sequence[str]) -> list[str]:
        """The security groups that let in what all may, and ``ports``."""
        return await self._groups((await self._network())["id"], ports)

    async def networks(self) -> list[Thing]:
        """Those of this home, the oldest first."""
        found = await self.listed("vcns", displayName=self._habits.base)
        living = [vcn for vcn in found if vcn["lifecycleState"] not in GONE]
        home = self._habits.home
        ours = [vcn for vcn in living if (vcn.get("freeformTags") or {}).get(HOME_TAG) == home]
        return sorted(ours, key=lambda vcn: (vcn["timeCreated"], vcn["id"]))

    async def remove_network(self, vcn: str) -> None:
        """With all that is in it; what machines still use is refused."""
        try:
            table = (await self.call("GET", f"/vcns/{vcn}"))["defaultRouteTableId"]
        except NotThere:
            return
        for kind in ("subnets", "networkSecurityGroups"):
            for thing in await self._parts(kind, vcn):
                await self.gone(f"/{kind}/{thing['id']}")
        await self.call("PUT", f"/routeTables/{table}", json={"routeRules": []})
        for gateway in await self._parts("internetGateways", vcn):
            await self.gone(f"/internetGateways/{gateway['id']}")
        await self.gone(f"/vcns/{vcn}")

    async def _network(self) -> Thing:
        """The VCN, with a way out."""
        body = {"cidrBlock": RANGE, **self._named(self._habits.base)}
        there = await self.networks()
        vcn = there[0] if there else await self.make("vcns", f"{self._habits.base}-vcn", body)
        vcn = await self._ready("vcns", vcn)
        gateway = await self._part("internetGateways", vcn["id"], "", {"isEnabled": True})
        path = f"/routeTables/{vcn['defaultRouteTableId']}"
        rules = (await self.call("GET", path))["routeRules"]
        if gateway["id"] not in [rule["networkEntityId"] for rule in rules]:
            rule = {
                "destination": WORLD,
                "destinationType": "CIDR_BLOCK",
                "networkEntityId": gateway["id"],
            }
            await self.call("PUT", path, json={"routeRules": [*rules, rule]})
        return vcn

    async def _subnet(self, vcn: Thing) -> str:
        made = await self._part("subnets", vcn["id"], "", {"cidrBlock": RANGE})
        return str((await self._ready("subnets", made))["id"])

    async def _groups(self, vcn: str, ports: Sequence[str]) -> list[str]:
        """SSH is let in by the network's own list of rules."""
        inside = _rule("all", RANGE)
        groups = [await self._group(vcn, "", [inside])]
        if ports:
            digest = hashlib.sha256(",".join(sorted(ports)).encode()).hexdigest()[:12]
            rules = [_rule("6", WORLD, port) for port in sorted(ports)]
            groups.append(await self._group(vcn, f"-{digest}", rules))
        return groups

    async def _group(self, vcn: str, mark: str, rules: Sequence[Thing]) -> str:
        group = await self._part("networkSecurityGroups", vcn, mark, {})
        path = f"/networkSecurityGroups/{group['id']}"
        if not _entries(await self.call("GET", f"{path}/securityRules")):
            body = {"securityRules": [*rules]}
            await self.call("POST", f"{path}/actions/addSecurityRules", json=body)
        return str(group["id"])

    async def _part(self, kind: str, vcn: str, mark: str, body: Mapping[str, Any]) -> Thing:
        """The thing of our name in a network, made if there is none."""
        name = f"{self._habits.base}{mark}"
        for thing in await self._parts(kind, vcn):
            if thing["displayName"] == name:
                return thing
        token = f"{name}-{kind}-{hashlib.sha256(vcn.encode()).hexdigest()[:8]}"
        return await self.make(kind, token, {"vcnId": vcn, **self._named(name), **body})

    async def _parts(self, kind: str, vcn: str) -> list[Thing]:
        found = await self.listed(kind, vcnId=vcn)
        return [thing for thing in found if thing["lifecycleState"] not in GONE]

    def _named(self, name: str) -> dict[str, Any]:
        return {"displayName": name, "freeformTags": {HOME_TAG: self._habits.home}}

    async def _image(self, shape: str) -> str:
        """The newest Ubuntu that runs on the shape."""
        if self._habits.image:
            return self._habits.image
        found = await self.listed(
            "images",
            operatingSystem="Canonical Ubuntu",
            operatingSystemVersion="24.04",
            shape=shape,
            sortBy="TIMECREATED",
            sortOrder="DESC",
        )
        if not found:
            raise InvalidRequest(
                f"oci: no Ubuntu for {shape} in {self.name}", fix="name an `image` by its OCID"
            )
        return str(found[0]["id"])

    async def _ready(self, what: str, thing: Thing) -> Thing:
        """Wait until it can be used, for a while: what names it before is refused."""
        for _ in range(LOOKS):
            if thing["lifecycleState"] == "AVAILABLE":
                return thing
            await asyncio.sleep(self._habits.poll_s)
            thing = await self.call("GET", f"/{what}/{thing['id']}")
        raise TransientError(f"oci: {thing['displayName']} is {thing['lifecycleState']}")


def _rule(protocol: str, source: str, ports: str = "") -> dict[str, Any]:
    rule: dict[str, Any] = {
        "direction": "INGRESS",
        "protocol": protocol,
        "source": source,
        "sourceType": "CIDR_BLOCK",
    }
    if ports:
        first, _, last = ports.partition("-")
        spread = {"min": int(first), "max": int(last or first)}
        rule["tcpOptions"] = {"destinationPortRange": spread}
    return rule


def _entries(body: Any) -> Sequence[Thing]:
    if not isinstance(body, list):
        raise TypeError(f"{body!r} is no listing")
    return body
