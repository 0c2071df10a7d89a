"""Hyperstack. Sources: its client (github NexGenCloud/hyperstack-sdk-python, 2026-04) and its pages
on states and billing (docs.hyperstack.cloud, as kept in github api-evangelist/nexgen-cloud).

What labels may hold is not written anywhere, so names say whose a machine is; a name is taken once
only, which makes orders safe to repeat. A machine that is shut off costs as much as one that runs;
one that hibernates costs its disk, so that is what a stop is. Starts and stops are GET calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import CloudConfig
from stix.clouds.errors import CloudError, InvalidRequest, TransientError
from stix.clouds.hyperstack.errors import ERRORS, reading
from stix.clouds.hyperstack.ground import PATHS, Around, Ground, pages, rules, seconds
from stix.clouds.rented import names
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.credentials import Key, whole
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.settings import Setting, read_settings

KEY = Key(("HYPERSTACK_API_KEY",), (("~/.hyperstack/api_key", whole),))
SETTINGS = (
    Setting(
        "image", default="Ubuntu Server 24.04 LTS R570 CUDA 12.8", doc="where a stage names none"
    ),
    Setting("regions", "texts", doc="regions to use; all by default"),
    Setting("user", doc="whom to log in as"),
    Setting("endpoint_url", doc="address to use in place of Hyperstack's"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
)
STATES: Mapping[str, NodeState] = {
    "CREATING": NodeState.STARTING,
    "BUILD": NodeState.STARTING,
    "STARTING": NodeState.STARTING,
    "REBOOT": NodeState.STARTING,
    "REBOOTING": NodeState.STARTING,
    "HARD_REBOOT": NodeState.STARTING,
    "RESTORING": NodeState.STARTING,
    "ACTIVE": NodeState.RUNNING,
    "STOPPING": NodeState.STOPPED,
    "SHUTOFF": NodeState.STOPPED,
    "HIBERNATING": NodeState.STOPPED,
    "HIBERNATED": NodeState.STOPPED,
    "ERROR": NodeState.FAILED,
    "DELETING": NodeState.TERMINATED,
}
STARTS: Mapping[str, str] = {"SHUTOFF": "start", "HIBERNATED": "hibernate-restore"}


class HyperstackCloud(RentedCloud):
    """Machines of one organisation. Settings: ``SETTINGS``."""

    name = "hyperstack"
    settings = SETTINGS
    traits = Traits(user="ubuntu", tags=None, user_data_bytes=0, poll_s=5.0)
    rates: ClassVar[Mapping[str, float]] = {"*": 2.0}
    custom_image: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        values = read_settings(self.name, config.settings, SETTINGS)
        base = "https://infrahub-api.nexgencloud.com/v1"
        self._image = values["image"]
        self._api = self.api(base, self._headers, ERRORS, reading=reading)
        self._ground = Ground(self._api, config.home_id)

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        user = (await self._api.call("GET", "/auth/me"))["user"]
        return Identity(str(user["email"]), str(user.get("name") or ""))

    async def launch(self, order: Order) -> Machine:
        if order.disk_gib is not None:
            raise InvalidRequest(
                "hyperstack: the disk of a machine has the size of its type",
                fix="remove `disk_size`",
            )
        try:
            return await self._order(order, await self._ground.of(order))
        except CloudError:
            self._ground.forget()
            raise

    async def machines(self, search: Search) -> list[Machine]:
        found = [_machine(entry) for entry in await self._listed()]
        return [each for each in found if names.tags_in(each.name, search.home)]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        """Addresses and rules were made with the machines, and go with them."""
        for node in nodes:
            await self._gone(f"/core/virtual-machines/{node.id}")

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. The address is another one after the start."""
        for node in nodes:
            if (await self._one(node))["status"] == "ACTIVE":
                await self._api.call("GET", f"/core/virtual-machines/{node.id}/hibernate")

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            action = STARTS.get((await self._one(node))["status"])
            if action:
                await self._api.call("GET", f"/core/virtual-machines/{node.id}/{action}")

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``."""
        for node in nodes:
            there = [*map(_ports, (await self._one(node)).get("security_rules") or ())]
            for rule in rules(ports, gang=False):
                if _ports(rule) not in there:
                    await self._opened(node, rule)

    async def resources(self) -> list[Resource]:
        """Our environments, and our keys in them."""
        return await self._ground.resources(self.name)

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in sorted(resources, key=lambda each: [*PATHS].index(each.kind)):
            await self._gone(f"{PATHS[resource.kind]}/{resource.id}")

    async def hang_up(self) -> None:
        await self._api.close()

    async def _order(self, order: Order, around: Around) -> Machine:
        body = {
            "name": order.name,
            "environment_name": around.environment,
            "image_name": order.image or self._image,
            "flavor_name": order.offer.instance_type,
            "key_name": around.key,
            "count": 1,
            "assign_floating_ip": True,
            "enable_port_randomization": False,  # else SSH is at a port of their choice
            "security_rules": rules(order.ports, gang=order.count > 1),
        }
        try:
            made = await self._api.call("POST", "/core/virtual-machines", json=body)
        except Exists:
            return await self._named(order.name)
        return _machine(made["instances"][0])

    async def _named(self, name: str) -> Machine:
        """The machine of this name: nobody but this home gives such names."""
        for entry in await self._listed():
            if entry["name"] == name:
                return _machine(entry)
        raise TransientError(f"hyperstack: {name} exists, and is not listed")

    async def _listed(self) -> list[Mapping[str, Any]]:
        return await pages(self._api, "/core/virtual-machines", "instances")

    async def _one(self, node: NodeRef) -> Mapping[str, Any]:
        answer = await self._api.call("GET", f"/core/virtual-machines/{node.id}")
        found: Mapping[str, Any] = answer["instance"]
        return found

    async def _opened(self, node: NodeRef, rule: Mapping[str, Any]) -> None:
        try:
            await self._api.call("POST", f"/core/virtual-machines/{node.id}/sg-rules", json=rule)
        except Exists:
            return

    async def _gone(self, path: str) -> None:
        try:
            await self._api.call("DELETE", path)
        except NotThere:
            return

    async def _headers(self) -> Mapping[str, str]:
        return {"api_key": KEY.need(self.name).value}


def _ports(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    names_ = ("protocol", "remote_ip_prefix", "port_range_min", "port_range_max")
    return tuple(rule.get(name) for name in names_)


def _machine(entry: Mapping[str, Any]) -> Machine:
    status = entry["status"]
    return Machine(
        id=str(entry["id"]),
        name=entry["name"],
        state=STATES.get(status, NodeState.STARTING),
        region=(entry.get("environment") or {}).get("region") or "-",
        public_ip=entry.get("floating_ip") or "",
        private_ip=entry.get("fixed_ip") or "",
        created=seconds(entry.get("created_at")),
        reason=status,
    )
