"""Hetzner Cloud. Source: its public API document (api-evangelist/hetzner, 2026-08).

Labels are those of Kubernetes, names are unique in a project, and changes are actions that end
later. A server that is off costs as much as one that runs. Its addresses are made with it and go
with it: they are made with ``auto_delete`` (JonasProgrammer/docker-machine-driver-hetzner 88).
"""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.catalog.refresh.settings import RATES
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CloudError, InvalidRequest, TransientError
from stix.clouds.hetzner.errors import ERRORS
from stix.clouds.hetzner.ground import Around, Ground, pages
from stix.clouds.rented.cloud import COMMON, RentedCloud, understood
from stix.clouds.rented.credentials import Key
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import WISH_TAG, TagRule, unpack
from stix.clouds.settings import Setting
from stix.plan.offers import Offer


def _context(text: str) -> str:
    """The token in the file of Hetzner's own command line."""
    known = tomllib.loads(text)
    tokens = {each["name"]: each["token"] for each in known["contexts"]}
    return str(tokens[known["active_context"]])


KEY = Key(("HCLOUD_TOKEN",), (("~/.config/hcloud/cli.toml", _context),))
STATES: Mapping[str, NodeState] = {
    "initializing": NodeState.STARTING,
    "starting": NodeState.STARTING,
    "running": NodeState.RUNNING,
    "stopping": NodeState.STOPPED,
    "off": NodeState.STOPPED,
    "deleting": NodeState.TERMINATED,
    "migrating": NodeState.STARTING,
    "rebuilding": NodeState.STARTING,
    "unknown": NodeState.STARTING,
}
ARCH = {"x86": "x86_64", "arm": "arm64"}
IMAGE = "ubuntu-24.04"
LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?"
LOOKS = 60


class HetznerCloud(RentedCloud):
    """Servers of one project.

    Args:
        config: ``settings["poll"]`` is the pause between two looks at an action, in seconds.
    """

    name = "hetzner"
    settings = (
        *COMMON,
        Setting("poll", "number", default=2.0, least=0, doc="seconds between two looks"),
    )
    traits = Traits(
        tags=TagRule(count=50, key=LABEL, value=LABEL, chunk=63),
        user_data_bytes=32_768,
        poll_s=5.0,
    )
    rates: ClassVar[Mapping[str, float]] = {"*": 1.0}
    custom_image: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._api = self.api("https://api.hetzner.cloud/v1", self._headers, ERRORS)
        self._ground = Ground(self._api, config.home_id)
        self._poll_s = float(config.settings.get("poll", 2.0))

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        """A token is for one project, and its name cannot be asked for."""
        pricing = (await self._api.call("GET", "/pricing"))["pricing"]
        source = KEY.need(self.name).source
        return Identity(f"project of {source}", f"prices in {pricing['currency']}")

    async def offers(self) -> Sequence[Offer]:
        """Those of the catalog where it was refreshed, else the provider's list of now."""
        known = await super().offers()
        if known:
            return known
        with understood(self.name):
            pricing = (await self._api.call("GET", "/pricing"))["pricing"]
            found = _offers(pricing, await pages(self._api, "server_types"))
        regions = self.config.settings.get("regions")
        return [offer for offer in found if not regions or offer.region in regions]

    async def launch(self, order: Order) -> Machine:
        if order.disk_gib is not None:
            raise InvalidRequest(
                "hetzner: the disk of a server has the size of its type", fix="remove `disk_size`"
            )
        try:
            return await self._order(order, await self._ground.of(order))
        except CloudError:
            self._ground.forget()
            raise

    async def machines(self, search: Search) -> list[Machine]:
        return [_machine(entry) for entry in await self._servers(search)]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            await self._gone(f"/servers/{node.id}")

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. What is off costs as much."""
        await self._power(nodes, "poweroff", ("running", "starting", "initializing"))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        await self._power(nodes, "poweron", ("off", "stopping"))

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``."""
        wall = await self._ground.firewall(ports)
        for node in nodes:
            body = {"apply_to": [{"type": "server", "server": {"id": int(node.id)}}]}
            try:
                path = f"/firewalls/{wall}/actions/apply_to_resources"
                await self._api.call("POST", path, json=body)
            except Exists:
                continue

    async def resources(self) -> list[Resource]:
        """Key, firewalls and networks; the addresses of our servers, which go with them."""
        servers = {s["id"]: _machine(s) for s in await self._servers(Search(self.config.home_id))}
        addresses = [
            Resource(
                cloud=self.name,
                kind="address",
                id=str(entry["id"]),
                region=server.region,
                tags={**unpack(server.tags), HOME_TAG: self.config.home_id},
                used_by=(server.id,),
            )
            for entry in await pages(self._api, "primary_ips")
            if (server := servers.get(entry["assignee_id"])) is not None
        ]
        return [*addresses, *await self._ground.resources(self.name)]

    async def remove(self, resources: Sequence[Resource]) -> None:
        paths = {"address": "primary_ips", "key": "ssh_keys", "network": "networks"}
        for resource in resources:
            await self._gone(f"/{paths.get(resource.kind, 'firewalls')}/{resource.id}")

    async def hang_up(self) -> None:
        await self._api.close()

    async def _servers(self, search: Search) -> list[Mapping[str, Any]]:
        query: dict[str, str] = {}
        if search.wish:
            query = {"label_selector": f"{WISH_TAG}=={search.wish}"}
        elif re.fullmatch(LABEL, search.home):
            query = {"label_selector": f"{HOME_TAG}=={search.home}"}
        return await pages(self._api, "servers", **query)

    async def _order(self, order: Order, around: Around) -> Machine:
        body = {
            "name": order.name,
            "location": order.offer.region,
            "server_type": order.offer.instance_type,
            "image": order.image or IMAGE,
            # Without a key here root gets a password that is to be changed at the first login.
            "ssh_keys": [around.key],
            "user_data": order.user_data,
            "labels": dict(order.tags),
            "firewalls": [{"firewall": wall} for wall in around.firewalls],
            "networks": [*around.networks],
        }
        try:
            made = await self._api.call("POST", "/servers", json=body)
        except Exists:
            return await self._named(order.name)
        machine = _machine(made["server"])
        try:
            # Between its making and its start a server is `off`, as one that was stopped.
            await self._settled([made["action"], *made["next_actions"]])
        except CloudError as error:
            if not error.retryable:
                await self._gone(f"/servers/{machine.id}")
            raise
        return machine

    async def _named(self, name: str) -> Machine:
        """The server of this name: nobody but this home gives such names."""
        found = (await self._api.call("GET", "/servers", params={"name": name}))["servers"]
        if not found:
            raise TransientError(f"hetzner: {name} exists, and is not listed")
        return _machine(found[0])

    async def _settled(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Wait for the ends of actions, for a while: only they say that a change was refused.

        Raises:
            CloudError: one failed.
        """
        looks = 0
        for action in actions:
            seen = action
            while seen["status"] == "running" and looks < LOOKS:
                looks += 1
                await asyncio.sleep(self._poll_s)
                seen = (await self._api.call("GET", f"/actions/{action['id']}"))["action"]
            if seen["status"] == "error":
                raise self._api.refusal(0, {"error": seen["error"]})

    async def _power(self, nodes: Sequence[NodeRef], action: str, states: Sequence[str]) -> None:
        for node in nodes:
            path = f"/servers/{node.id}"
            if (await self._api.call("GET", path))["server"]["status"] in states:
                done = await self._api.call("POST", f"{path}/actions/{action}")
                await self._settled([done["action"]])

    async def _gone(self, path: str) -> None:
        try:
            await self._api.call("DELETE", path)
        except NotThere:
            return

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


def _machine(entry: Mapping[str, Any]) -> Machine:
    net = entry["public_net"]
    address = (net.get("ipv4") or {}).get("ip") or ""
    inside = entry.get("private_net") or ()
    return Machine(
        id=str(entry["id"]),
        name=entry["name"],
        state=STATES.get(entry["status"], NodeState.STARTING),
        region=entry["location"]["name"],
        tags=entry["labels"],
        public_ip=address,
        private_ip=inside[0]["ip"] if inside else "",
        created=datetime.fromisoformat(entry["created"]).timestamp(),
        billed=entry["status"] != "deleting",
        reason=entry["status"],
    )


def _offers(pricing: Mapping[str, Any], types: Sequence[Mapping[str, Any]]) -> list[Offer]:
    """Net prices per hour, with the address that every server has; in USD, which is an estimate
    where the account has another currency."""
    currency = pricing["currency"]
    rate = 1.0 if currency == "USD" else RATES.get(currency)
    if rate is None:
        raise CloudError(f"hetzner: prices are in {currency}, for which there is no rate")
    places = [
        p for kind in pricing["primary_ips"] if kind["type"] == "ipv4" for p in kind["prices"]
    ]
    address = {place["location"]: float(place["price_hourly"]["net"]) for place in places}
    return [
        Offer(
            cloud="hetzner",
            region=price["location"],
            zone=None,
            instance_type=kind["name"],
            cpus=float(kind["cores"]),
            memory_gib=float(kind["memory"]),
            price=round(_net(price, address) * rate, 6),
            arch=ARCH.get(kind["architecture"], ""),
            local_disk_gib=float(kind["disk"]) if kind["storage_type"] == "local" else None,
            price_is_estimate=currency != "USD",
            as_of=datetime.now(UTC).date().isoformat(),
            source="Hetzner Cloud API /v1/server_types",
        )
        for kind in types
        for price in kind["prices"]
        if _sold(kind, price["location"])
    ]


def _net(price: Mapping[str, Any], address: Mapping[str, float]) -> float:
    return float(price["price_hourly"]["net"]) + address.get(price["location"], 0.0)


def _sold(kind: Mapping[str, Any], location: str) -> bool:
    """Whether the type can be ordered there now."""
    places = {place["name"]: place for place in kind["locations"]}
    place = places.get(location, {"available": False})
    return bool(place["available"]) and place.get("deprecation") is None
