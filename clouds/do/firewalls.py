"""Firewalls of DigitalOcean, one per home and one per set of open ports.

A droplet that no firewall covers is open to the world. A firewall covers the droplets that carry
its tag, so a droplet is covered from its first second, and nothing is left to undo when it goes.
Source: github digitalocean/openapi, ``resources/firewalls`` (the tags have to exist before).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from stix.clouds.rented.failures import Exists
from stix.clouds.rented.http import Api
from stix.clouds.rented.names import home_word

EVERYWHERE = {"addresses": ["0.0.0.0/0", "::/0"]}
ALL = (("tcp", "1-65535"), ("udp", "1-65535"), ("icmp", "0"))


class Walls:
    """The firewalls of one home.

    Args:
        api: The account.
        home: Id of the home.
    """

    def __init__(self, api: Api, home: str) -> None:
        self._api = api
        self._base = f"stix-{home_word(home)}"
        self._turn = asyncio.Lock()

    async def tag(self, ports: Sequence[str] = ()) -> str:
        """The tag for droplets of which ``ports`` are open to all, besides what all may have: SSH
        from outside, and everything among droplets of this home. The firewall is there then."""
        name = self._name(ports)
        tag = f"stix-wall:{name}"
        async with self._turn:
            if name not in {wall["name"] for wall in await self.listed()}:
                await self._make(name, tag, ports)
        return tag

    async def listed(self) -> list[Mapping[str, Any]]:
        """Those of this home."""
        found = await pages(self._api, "/firewalls", "firewalls")
        return [wall for wall in found if self._ours(wall["name"])]

    def _ours(self, name: str) -> bool:
        return name == self._base or name.startswith(f"{self._base}-")

    def _name(self, ports: Sequence[str]) -> str:
        if not ports:
            return self._base
        return f"{self._base}-{hashlib.sha256(','.join(sorted(ports)).encode()).hexdigest()[:12]}"

    async def _make(self, name: str, tag: str, ports: Sequence[str]) -> None:
        body: dict[str, Any] = {"name": name, "tags": [tag]}
        if ports:
            body["inbound_rules"] = [_inbound("tcp", port, EVERYWHERE) for port in sorted(ports)]
        else:
            mates = [_inbound(protocol, port, {"tags": [tag]}) for protocol, port in ALL]
            body["inbound_rules"] = [_inbound("tcp", "22", EVERYWHERE), *mates]
            body["outbound_rules"] = [
                {"protocol": protocol, "ports": port, "destinations": EVERYWHERE}
                for protocol, port in ALL
            ]
        for path, thing in (("/tags", {"name": tag}), ("/firewalls", body)):
            try:
                await self._api.call("POST", path, json=thing)
            except Exists:
                continue  # another engine was faster


def _inbound(protocol: str, ports: str, sources: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"protocol": protocol, "ports": ports, "sources": sources}


async def pages(api: Api, path: str, key: str, **query: Any) -> list[Mapping[str, Any]]:
    """All entries of a listing. The next page is asked for by its number: a link might lead the
    token to another host."""
    found: list[Mapping[str, Any]] = []
    number = 1
    while True:
        params = {"per_page": 200, "page": number, **query}
        answer = await api.call("GET", path, params=params)
        found += answer[key]
        if not (answer.get("links", {}).get("pages") or {}).get("next"):
            return found
        number += 1
