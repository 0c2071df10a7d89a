"""What machines at Hyperstack stand on: an environment per region, with our key in it.

An environment is a group of machines on one private network. Both cost nothing.
Source: github NexGenCloud/hyperstack-sdk-python (2026-04), ``EnvironmentApi``, ``KeypairApi``.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stix.clouds.base import Resource
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import CapacityError, TransientError
from stix.clouds.rented.failures import Exists
from stix.clouds.rented.http import Api
from stix.clouds.rented.machines import Order
from stix.clouds.rented.names import home_word

WORLD = "0.0.0.0/0"
INSIDE = "10.0.0.0/8"
PATHS = {"key": "/core/keypair", "environment": "/core/environments"}


@dataclass(frozen=True)
class Around:
    """Names of what a machine is made with."""

    environment: str
    key: str


class Ground:
    """The ground of one home.

    Args:
        api: The account.
        home: Id of the home.
    """

    def __init__(self, api: Api, home: str) -> None:
        self._api = api
        self._home = home
        self._base = f"stix-{home_word(home)}-"
        self._turn = asyncio.Lock()
        self._last: tuple[str, Around] | None = None

    async def of(self, order: Order) -> Around:
        """What the machines of this wish need; looked up once for all of them.

        Raises:
            CapacityError: there are none of the type now. Without this look an order is taken, and
                the machine fails minutes later.
        """
        async with self._turn:
            if self._last is None or self._last[0] != order.wish:
                region = order.offer.region
                await self._in_stock(region, order.offer.instance_type)
                environment = await self._environment(region)
                key = await self._key(environment, order.public_key)
                self._last = order.wish, Around(environment, key)
            return self._last[1]

    def forget(self) -> None:
        """Look everything up again: an order was refused."""
        self._last = None

    async def resources(self, cloud: str) -> list[Resource]:
        """Keys first: an environment with a key in it cannot go."""
        found = [("key", key, key["environment"]) for key in await self._keys()]
        found += [("environment", each, each) for each in await self._environments()]
        return [
            Resource(
                cloud=cloud,
                kind=kind,
                id=str(entry["id"]),
                region=place.get("region") or "-",
                tags={HOME_TAG: self._home},
                created=seconds(entry.get("created_at")),
                shared=True,
                billed=False,
            )
            for kind, entry, place in found
        ]

    async def _in_stock(self, region: str, flavor: str) -> None:
        groups = (await self._api.call("GET", "/core/flavors", params={"region": region}))["data"]
        flavors = {f["name"]: f for group in groups for f in group["flavors"]}
        if not flavors.get(flavor, {}).get("stock_available"):
            what = "is out of stock" if flavor in flavors else "is not sold"
            raise CapacityError(f"hyperstack: {flavor} {what} in {region}", scope="region")

    async def _environments(self) -> list[Mapping[str, Any]]:
        found = await pages(self._api, "/core/environments", "environments")
        return [each for each in found if each["name"].startswith(self._base)]

    async def _keys(self) -> list[Mapping[str, Any]]:
        found = await pages(self._api, "/core/keypairs", "keypairs")
        return [key for key in found if _place(key).startswith(self._base)]

    async def _environment(self, region: str) -> str:
        name = f"{self._base}{region.lower()}"
        if name not in {each["name"] for each in await self._environments()}:
            await self._made("/core/environments", {"name": name, "region": region})
        return name

    async def _key(self, environment: str, public_key: str) -> str:
        place = environment.removeprefix(self._base)
        name = f"stix-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}-{place}"
        if (name, environment) not in {(k["name"], _place(k)) for k in await self._keys()}:
            body = {"name": name, "environment_name": environment, "public_key": public_key}
            await self._made("/core/keypairs", body)
        return name

    async def _made(self, path: str, body: Mapping[str, Any]) -> None:
        try:
            await self._api.call("POST", path, json=body)
        except Exists:
            return  # another engine was faster


def _place(key: Mapping[str, Any]) -> str:
    return str((key.get("environment") or {}).get("name") or "")


def rules(ports: Sequence[str], *, gang: bool) -> list[dict[str, Any]]:
    """What a machine lets in: SSH, ``ports``, and everything from the others of its wish."""
    wanted = [_rule("tcp", port, WORLD) for port in dict.fromkeys(("22", *ports))]
    if gang:
        wanted += [_rule(protocol, "1-65535", INSIDE) for protocol in ("tcp", "udp")]
    return wanted


def _rule(protocol: str, ports: str, source: str) -> dict[str, Any]:
    first, _, last = ports.partition("-")
    return {
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": protocol,
        "remote_ip_prefix": source,
        "port_range_min": int(first),
        "port_range_max": int(last or first),
    }


def seconds(text: str | None) -> float | None:
    """Times are of UTC, and do not say so."""
    if not text:
        return None
    return datetime.fromisoformat(text if text.endswith("Z") else f"{text}+00:00").timestamp()


async def pages(api: Api, path: str, key: str) -> list[Mapping[str, Any]]:
    """All entries of a listing: the last page is shorter than the others, or empty.

    Raises:
        TransientError: pages never end.
    """
    found: list[Mapping[str, Any]] = []
    for number in range(1, 1000):
        answer = await api.call("GET", path, params={"page": number, "pageSize": 100})
        entries = answer[key]
        found += entries
        size = answer.get("page_size") or 0
        if not entries or len(entries) < size or not size:
            return found
    raise TransientError(f"hyperstack: {path} has no last page")
