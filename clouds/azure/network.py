"""The surroundings of machines: a resource group and a network per region, and a firewall per wish.

A group is never removed: that would remove whatever is in it, and an empty one costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from stix.clouds.azure.errors import InUse
from stix.clouds.azure.machines import Place
from stix.clouds.azure.wire import Arm
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import InvalidRequest
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.names import home_word

VNET = "Microsoft.Network/virtualNetworks"
NSG = "Microsoft.Network/networkSecurityGroups"
RANGE = "10.84.0.0/16"
SSH = 100
PORTS = 200
"""Priorities of the rules."""


class Network:
    """The groups and networks of one home.

    Args:
        home: The home's id.
        subnet: Id of one to use in place of our own; empty for our own.
        ssh_from: The addresses that may log in.
    """

    def __init__(self, arm: Arm, home: str, subnet: str, ssh_from: str) -> None:
        self._arm = arm
        self._home = home
        self._word = f"stix-{home_word(home)}"
        self._subnet = subnet
        self._ssh_from = ssh_from

    def group(self, region: str) -> str:
        """Name of the resource group."""
        return f"{self._word}-{region}"

    def place(self, region: str, wish: str) -> Place:
        """What machines of a wish are plugged into."""
        ours = f"{self._arm.path(self.group(region), VNET, 'stix')}/subnets/main"
        return Place(self._subnet or ours, self.firewall(region, wish))

    def firewall(self, region: str, wish: str) -> str:
        """Id of the firewall of a wish."""
        return self._arm.path(self.group(region), NSG, f"{self._word}-{wish}")

    async def ready(
        self, region: str, wish: str, tags: Mapping[str, str], ports: Sequence[str]
    ) -> None:
        """All that machines of the wish are plugged into."""
        tags = {**tags, HOME_TAG: self._home}
        network = self._arm.path(self.group(region), VNET, "stix")
        try:
            await self._arm.call("GET", network)
        except NotThere:
            await self._made(region, network)
        firewall = self.firewall(region, wish)
        await self._arm.put(firewall, self._rules(region, tags, ports))

    async def _made(self, region: str, network: str) -> None:
        tags = {HOME_TAG: self._home}
        group = f"{self._arm.root}/resourcegroups/{self.group(region)}"
        await self._arm.put(group, {"location": region, "tags": tags})
        properties = {
            "addressSpace": {"addressPrefixes": [RANGE]},
            "subnets": [{"name": "main", "properties": {"addressPrefix": RANGE}}],
        }
        await self._arm.put(network, {"location": region, "tags": tags, "properties": properties})

    async def open(self, region: str, wish: str, ports: Sequence[str]) -> None:
        """Open these ports too."""
        there = await self._arm.call("GET", self.firewall(region, wish))
        known = [
            port
            for rule in there["properties"].get("securityRules") or ()
            if rule["properties"]["priority"] == PORTS
            for port in rule["properties"].get("destinationPortRanges") or ()
        ]
        if not set(known) >= set(ports):
            wanted = self._rules(region, there.get("tags") or {}, sorted({*known, *ports}))
            await self._arm.put(self.firewall(region, wish), wanted)

    async def close(self, region: str, wish: str, ended: Collection[str] = ()) -> None:
        """Remove the firewall of a wish, unless a machine still needs it.

        Args:
            ended: Machines that are gone; what belongs to them goes a little later.
        """
        until = time.monotonic() + self._arm.patience.order_s
        firewall = self.firewall(region, wish)
        while True:
            try:
                await self._arm.delete(firewall)
                return
            except InUse:
                if not await self._soon_free(firewall, ended) or time.monotonic() > until:
                    return
            await asyncio.sleep(self._arm.patience.pause_s)

    async def _soon_free(self, firewall: str, ended: Collection[str]) -> bool:
        """Whether all that holds it belongs to machines that are gone."""
        try:
            there = await self._arm.call("GET", firewall)
        except NotThere:
            return False
        cards = [each["id"] for each in there["properties"].get("networkInterfaces") or ()]
        names = [str(card).rpartition("/")[2].lower() for card in cards]
        return bool(names) and all(name.startswith(tuple(ended)) for name in names)

    def _rules(self, region: str, tags: Mapping[str, str], ports: Sequence[str]) -> dict[str, Any]:
        rules = [_rule("ssh", SSH, self._ssh_from, ["22"])]
        if ports:
            rules.append(_rule("ports", PORTS, "*", _checked(ports)))
        return {"location": region, "tags": dict(tags), "properties": {"securityRules": rules}}


def _rule(name: str, priority: int, source: str, ports: Sequence[str]) -> dict[str, Any]:
    properties = {
        "priority": priority,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRanges": list(ports),
    }
    return {"name": name, "properties": properties}


def _checked(ports: Sequence[str]) -> Sequence[str]:
    for port in ports:
        first, _, end = port.partition("-")
        if not (first.isdigit() and (end or first).isdigit()):
            raise InvalidRequest(f"azure: {port!r} is no port", fix="write `8080` or `8080-8090`")
    return ports
