"""IBM Cloud. Source: ibm-vpc 0.36 (its API of 2026-10-06), and its identity service.

A name is taken once only in a region, so names say whose a machine is, and orders can be repeated.
Every machine has an address of its own, which is ordered after it; where an engine dies between the
two, the address follows when the machine is prepared. A spot machine that is taken away is stopped,
and says so; its disk and address cost money until it is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from stix.clouds.base import Identity, Node, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CloudError, InvalidRequest, TransientError
from stix.clouds.ibm.errors import ERRORS, reading
from stix.clouds.ibm.region import Around, Habits, Region
from stix.clouds.rented import names
from stix.clouds.rented.cloud import RentedCloud, understood
from stix.clouds.rented.credentials import Key, line
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.hosts import Hosts
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tokens import Bearer, Token
from stix.clouds.settings import Setting, read_settings

FILE = "~/.ibm/credentials.yaml"
KEY = Key(("IBMCLOUD_API_KEY",), ((FILE, line("iam_api_key:")),))
GROUP = Key((), ((FILE, line("resource_group_id:")),))
IAM = "iam.cloud.ibm.com"
SETTINGS = (
    Setting("resource_group", doc=f"id of a resource group; otherwise that in {FILE}"),
    Setting("disk_gib", "count", default=100, least=10, doc="GiB, where a stage names none"),
    Setting("poll", "number", default=2.0, least=0, doc="seconds between looks at a new network"),
    Setting("regions", "texts", doc="regions to use; all by default"),
    Setting("user", doc="whom to log in as"),
    Setting("endpoint_url", doc="address in place of IBM's; the path there begins with the host"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
)
STATES: Mapping[str, NodeState] = {
    "pending": NodeState.STARTING,
    "starting": NodeState.STARTING,
    "restarting": NodeState.STARTING,
    "waiting": NodeState.STARTING,
    "running": NodeState.RUNNING,
    "stopping": NodeState.STOPPED,
    "stopped": NodeState.STOPPED,
    "failed": NodeState.FAILED,
    "deleting": NodeState.TERMINATED,
}
PREEMPTED = "stopped_by_preemption"
BROKEN = ("cannot_start", "stopped_by_host_failure", "encryption_key_deleted")


class IbmCloud(RentedCloud):
    """Machines of one account. Settings: ``SETTINGS``."""

    name = "ibm"
    settings = SETTINGS
    traits = Traits(user="ubuntu", tags=None, user_data_bytes=16_384, poll_s=5.0)
    rates: ClassVar[Mapping[str, float]] = {"*": 5.0}
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        values = read_settings(self.name, config.settings, SETTINGS)
        stand_in = values["endpoint_url"] or ""
        group = values["resource_group"] or GROUP.find().value
        base = f"stix-{names.home_word(config.home_id)}"
        self._habits = Habits(base, group, values["poll"])
        self._only: Sequence[str] = values["regions"] or ()
        self._disk_gib: int = values["disk_gib"]
        self._bearer = Bearer(self._buy)
        self._hosts = Hosts(
            lambda at: self.api(at, self._bearer.headers, ERRORS, reading=reading), stand_in
        )
        self._entrance = Hosts(lambda at: self.api(at, _nothing, ERRORS, reading=reading), stand_in)
        self._known: dict[str, Region] = {}

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        key = {"IAM-ApiKey": KEY.need(self.name).value}
        with understood(self.name):
            path = self._hosts.path(IAM, "/v1/apikeys/details")
            api = self._hosts.api(IAM)
            found = await self._bearer.call(api, "GET", path, headers=key)
            return Identity(str(found["account_id"]), f"key {found['name']}")

    async def launch(self, order: Order) -> Machine:
        region = self._region(order.offer.region)
        around = await region.of(order)
        try:
            entry = await self._order(order, region, around)
        except CloudError as error:
            region.forget(around)
            if around.wish == order.wish or not isinstance(error, InvalidRequest):
                raise
            # What was known of the network is old: somebody may have removed it.
            entry = await self._order(order, region, await region.of(order))
        return _machine(entry, region.name, await _address(region, entry))

    async def machines(self, search: Search) -> list[Machine]:
        regions = [search.region] if search.region else await self._regions()
        found = await asyncio.gather(*(self._there(name, search.home) for name in regions))
        return [machine for there in found for machine in there]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        """With their disks and addresses. Addresses go first: without its machine nobody would
        know whose an address was."""
        by_region: dict[str, list[str]] = {}
        for node in nodes:
            by_region.setdefault(node.region, []).append(node.id)
        for name, ids in by_region.items():
            region = self._region(name)
            entries = {entry["id"]: entry for entry in await region.listed("instances")}
            ours = {entries[each]["name"] for each in ids if each in entries}
            for address in await region.listed("floating_ips"):
                if address["name"] in ours:
                    await region.gone(f"/floating_ips/{address['id']}")
            for each in ids:
                await region.gone(f"/instances/{each}")

    async def prepare(self, node: Node) -> Node:
        """See ``CanPrepare``."""
        if not node.login:
            region = self._region(node.ref.region)
            with understood(self.name):
                entry = await region.call("GET", f"/instances/{node.ref.id}")
                await _address(region, entry)
        return await super().prepare(node)

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. Its disk and address still cost money."""
        await self._act(nodes, "stop", ("running", "starting"))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        await self._act(nodes, "start", ("stopped",))

    async def preemption(self, node: NodeRef) -> str | None:
        """See ``CanSpot``."""
        try:
            entry = await self._region(node.region).call("GET", f"/instances/{node.id}")
        except NotThere:
            return None
        with understood(self.name):
            reasons = {each["code"]: each["message"] for each in entry["status_reasons"]}
        return f"{PREEMPTED}: {reasons[PREEMPTED]}" if PREEMPTED in reasons else None

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``."""
        for node in nodes:
            region = self._region(node.region)
            entry = await region.call("GET", f"/instances/{node.id}")
            groups = await region.security_groups(entry["vpc"]["id"], ports)
            target = entry["primary_network_interface"]["id"]
            for group in groups[1:]:
                await region.call("PUT", f"/security_groups/{group}/targets/{target}")

    async def resources(self) -> list[Resource]:
        """Addresses, which cost money, and the networks, which do not."""
        regions = await self._regions()
        found = await asyncio.gather(*(self._resources(self._region(name)) for name in regions))
        return [resource for there in found for resource in there]

    async def remove(self, resources: Sequence[Resource]) -> None:
        """Addresses, then subnets and groups, then the network that holds them."""
        for resource in sorted(resources, key=lambda each: [*PATHS].index(each.kind)):
            await self._region(resource.region).gone(f"/{PATHS[resource.kind]}/{resource.id}")

    async def hang_up(self) -> None:
        await self._hosts.close()
        await self._entrance.close()

    async def _order(self, order: Order, region: Region, around: Around) -> Mapping[str, Any]:
        groups = [{"id": group} for group in around.security_groups]
        volume = {
            "name": order.name,
            "capacity": order.disk_gib or self._disk_gib,
            "profile": {"name": "general-purpose"},
        }
        body: dict[str, Any] = {
            "name": order.name,
            "zone": {"name": order.offer.zone or f"{region.name}-1"},
            "profile": {"name": order.offer.instance_type},
            "image": {"id": around.image},
            "vpc": {"id": around.vpc},
            "primary_network_interface": {
                "subnet": {"id": around.subnet},
                "security_groups": groups,
            },
            "boot_volume_attachment": {"delete_volume_on_instance_delete": True, "volume": volume},
            "user_data": order.user_data,
            "availability_policy": {"host_failure": "stop"},
        }
        if order.offer.spot:
            body["availability"] = {"class": "spot"}
            body["availability_policy"]["preemption"] = "stop"
        try:
            return await region.make("instances", body)
        except Exists:
            return await _named(region, order.name)

    async def _there(self, name: str, home: str) -> list[Machine]:
        region = self._region(name)
        entries = [e for e in await region.listed("instances") if names.tags_in(e["name"], home)]
        if not entries:
            return []
        places = {each["name"]: each["address"] for each in await region.listed("floating_ips")}
        return [_machine(entry, name, places.get(entry["name"], "")) for entry in entries]

    async def _resources(self, region: Region) -> list[Resource]:
        home = self.config.home_id
        holders = {e["name"]: e["id"] for e in await region.listed("instances")}
        found = [
            Resource(
                cloud=self.name,
                kind="address",
                id=each["id"],
                region=region.name,
                tags=self._tags(Machine(each["id"], each["name"], NodeState.STOPPED)),
                created=_time(each["created_at"]),
                used_by=(holders[each["name"]],) if each["name"] in holders else (),
            )
            for each in await region.listed("floating_ips")
            if names.tags_in(each["name"], home)
        ]
        for kind in ("subnet", "security group", "network"):
            found += [
                Resource(
                    cloud=self.name,
                    kind=kind,
                    id=each["id"],
                    region=region.name,
                    tags={HOME_TAG: home},
                    created=_time(each["created_at"]),
                    shared=True,
                    billed=False,
                )
                for each in await region.ours(PATHS[kind])
            ]
        return found

    async def _act(self, nodes: Sequence[NodeRef], action: str, states: Sequence[str]) -> None:
        for node in nodes:
            region, path = self._region(node.region), f"/instances/{node.id}"
            if (await region.call("GET", path))["status"] in states:
                await region.call("POST", f"{path}/actions", json={"type": action})

    async def _regions(self) -> Sequence[str]:
        if self._only:
            return self._only
        return sorted({offer.region for offer in await self.offers()})

    def _region(self, name: str) -> Region:
        if name not in self._known:
            self._known[name] = Region(name, self._hosts, self._bearer, self._habits)
        return self._known[name]

    async def _buy(self) -> Token:
        form = {
            "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
            "apikey": KEY.need(self.name).value,
        }
        with understood(self.name):
            answer = await self._entrance.call(
                IAM,
                "POST",
                "/identity/token",
                content=urlencode(form).encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )
            return Token(answer["access_token"], float(answer["expires_in"]))


PATHS: Mapping[str, str] = {
    "address": "floating_ips",
    "subnet": "subnets",
    "security group": "security_groups",
    "network": "vpcs",
}


async def _nothing() -> Mapping[str, str]:
    return {}


async def _named(region: Region, name: str) -> Mapping[str, Any]:
    """The machine of this name: nobody but this home gives such names."""
    found = await region.listed("instances", name=name)
    if not found:
        raise TransientError(f"ibm: {name} exists, and is not listed")
    return found[0]


async def _address(region: Region, entry: Mapping[str, Any]) -> str:
    """An address for a machine; that which it has, where it has one."""
    target = entry["primary_network_interface"]["id"]
    body = {"name": entry["name"], "target": {"id": target}}
    try:
        return str((await region.make("floating_ips", body))["address"])
    except Exists:
        found = await region.listed("floating_ips")
        return next((each["address"] for each in found if each["name"] == entry["name"]), "")


def _machine(entry: Mapping[str, Any], region: str, address: str) -> Machine:
    status = entry["status"]
    reasons = {each["code"]: each["message"] for each in entry.get("status_reasons") or ()}
    state = STATES.get(status, NodeState.STARTING)
    if PREEMPTED in reasons:
        state = NodeState.PREEMPTED
    elif state is NodeState.STOPPED and any(code.startswith(BROKEN) for code in reasons):
        state = NodeState.FAILED
    inside = entry["primary_network_interface"].get("primary_ip") or {}
    private = str(inside.get("address") or "")
    return Machine(
        id=entry["id"],
        name=entry["name"],
        state=state,
        region=region,
        zone=entry["zone"]["name"],
        public_ip=address,
        private_ip="" if private == "0.0.0.0" else private,
        created=_time(entry["created_at"]),
        spot=(entry.get("availability") or {}).get("class") == "spot",
        reason="; ".join(f"{code}: {words}" for code, words in reasons.items()) or status,
    )


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
