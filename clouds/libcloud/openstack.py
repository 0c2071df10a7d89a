"""An OpenStack, by way of Libcloud. Source: the API references of Keystone, Nova, Neutron and
Glance, and apache-libcloud 3.9.1.

Whether there is room shows only after an order was taken: the scheduler then puts the machine into
``ERROR``. So an order waits until the scheduler has chosen. Prices are the operator's affair:
the setting ``prices`` has them.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, ClassVar

from stix.clouds.base import Identity, Node, NodeRef, NodeState, Quota, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import AuthError, InvalidRequest, TransientError
from stix.clouds.libcloud import addresses, login, walls
from stix.clouds.libcloud.cloud import EVERYWHERE, IMAGES, LibcloudCloud
from stix.clouds.libcloud.errors import TABLES
from stix.clouds.rented.failures import Exists, Failure, NotThere
from stix.clouds.rented.machines import Machine, Order, Traits
from stix.clouds.rented.tags import TagRule
from stix.clouds.settings import Setting
from stix.plan.offers import Offer

CHOICE_S, PORT_S = 60.0, 300.0
USUAL_IMAGE = re.compile(r"ubuntu.*24\.?04", re.IGNORECASE)


class OpenStackCloud(LibcloudCloud):
    """Machines of an OpenStack. A driver serves one region."""

    name = "openstack"
    settings = (
        *IMAGES,
        Setting("network", doc="id of the network; the only one where there is one"),
        Setting("floating_network", default="", doc="to take a floating address from, for each"),
        Setting("prices", "any", doc="flavor to USD/h"),
        Setting("accelerators", "any", doc="flavor to its accelerators, such as {L4: 1}"),
        Setting("pause", "number", default=1.0, least=0, doc="seconds between two looks"),
    )
    usual_url: ClassVar[str] = ""
    traits = Traits(
        user="ubuntu",
        tags=TagRule(count=100, key=r"[A-Za-z0-9_:. -]{1,255}", value=r"(?s:.{0,255})", chunk=255),
        user_data_bytes=49_000,  # 65,535 bytes as base64
        at_once=4,
    )
    states: ClassVar[Mapping[str, NodeState]] = {
        "BUILD": NodeState.STARTING,
        "REBUILD": NodeState.STARTING,
        "REBOOT": NodeState.STARTING,
        "HARD_REBOOT": NodeState.STARTING,
        "RESIZE": NodeState.STARTING,
        "MIGRATING": NodeState.STARTING,
        "RESCUE": NodeState.STARTING,
        "PASSWORD": NodeState.RUNNING,
        "ACTIVE": NodeState.RUNNING,
        "VERIFY_RESIZE": NodeState.RUNNING,
        "SHUTOFF": NodeState.STOPPED,
        "PAUSED": NodeState.STOPPED,
        "SUSPENDED": NodeState.STOPPED,
        "SHELVED": NodeState.STOPPED,
        "SHELVED_OFFLOADED": NodeState.STOPPED,
        "ERROR": NodeState.FAILED,
        "DELETED": NodeState.TERMINATED,
        "SOFT_DELETED": NodeState.TERMINATED,
    }
    free = frozenset({"SHELVED_OFFLOADED", "DELETED", "SOFT_DELETED"})

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._tokens: Any = None
        self._places: Sequence[str] = ()
        self._known: dict[tuple[str, str], Sequence[Any]] = {}
        self._walls = walls.Walls(config.home_id)
        network = str(config.settings.get("floating_network") or "")
        self._addresses = addresses.Addresses(config.home_id, network)

    def driver(self, place: str) -> Any:
        who = login.need(self.name, self.usual_url)
        if self._tokens is None:
            self._tokens = self.library.Tokens()
        settings = self.config.settings
        return self.library.OpenStack(
            who.user,
            who.secret,
            timeout=float(settings.get("timeout", 30)),
            ex_force_auth_url=str(settings.get("endpoint_url") or who.url),
            ex_force_auth_version="3.x_appcred" if who.application else "3.x_password",
            ex_tenant_name=who.project or None,
            ex_domain_name=who.domain,
            ex_tenant_domain_id=who.project_domain,
            ex_force_service_region=None if place == EVERYWHERE else place,
            ex_auth_cache=self._tokens,
        )

    def credentials(self) -> str:
        return login.find(self.name, self.usual_url).source

    async def check(self) -> Identity:
        who = login.need(self.name, self.usual_url)
        regions = await self._regions()
        return Identity(who.project or who.user, f"regions {', '.join(regions)}")

    async def places(self) -> Sequence[str]:
        """The regions of the settings, else that of the account, else all that it may use."""
        if not self._places:
            one = login.need(self.name, self.usual_url).region
            named = self.config.settings.get("regions") or ([one] if one else None)
            self._places = tuple(named or await self._regions())
        return self._places

    def place(self, region: str) -> str:
        return region

    async def offers(self) -> Sequence[Offer]:
        """The flavors of each region, at the prices of the settings."""
        found: list[Offer] = []
        for place in await self.places():
            sizes = await self.call(place, lambda driver: driver.list_sizes())
            found += [self._offer(size, place) for size in sizes if size.ram and size.vcpus]
        return found

    async def launch(self, order: Order) -> Machine:
        if order.offer.region not in await self.places():
            known = ", ".join(await self.places())
            raise InvalidRequest(
                f"{self.name}: no region {order.offer.region}", fix=f"known are {known}"
            )
        try:
            return await super().launch(order)
        except InvalidRequest:
            self._known.clear()  # an image or a flavor may be another by now
            raise

    def order(self, driver: Any, order: Order) -> Any:
        self.no_disk(order)
        name, place = order.offer.instance_type, order.offer.region
        flavors = self._kept(place, "flavors", driver.list_sizes)
        sizes = [size for size in flavors if size.name == name]
        if not sizes:
            raise InvalidRequest(f"{self.name}: no flavor {name} in {place}")
        images = self._kept(place, "images", driver.list_images)
        network = self.config.settings.get("network")
        node = driver.create_node(
            order.name,
            sizes[0],
            image=self._image(images, order.image),
            ex_metadata=dict(order.tags),
            ex_userdata=order.user_data,
            ex_availability_zone=order.offer.zone,
            ex_security_groups=self._walls.of(driver, order.ports),
            networks=[SimpleNamespace(id=str(network))] if network else None,
        )
        return self._chosen(driver, node)

    def machine(self, node: Any, place: str) -> Machine:
        word = node.extra["status"]
        fault = (node.extra.get("fault") or {}).get("message") or ""
        return Machine(
            id=node.id,
            name=node.name,
            state=self.state(word),
            region=place,
            zone=None,
            tags=node.extra["metadata"],
            public_ip=self._reached_at(node),
            private_ip=next(iter(node.private_ips), ""),
            created=node.created_at.timestamp(),
            billed=word not in self.free,
            reason=f"{word}: {fault}" if fault else word,
        )

    def asked(self, driver: Any, node_id: str) -> Any:
        found = driver.ex_get_node_details(node_id)
        if found is None:
            raise NotThere(f"{self.name}: no server {node_id}")
        return found

    async def prepare(self, node: Node) -> Node:
        """See ``CanPrepare``."""
        await self.give_address(node.ref)
        return await super().prepare(node)

    async def give_address(self, node: NodeRef) -> None:
        """A floating address, where the settings ask for one."""
        give = functools.partial(self._addresses.give, node_id=node.id)
        end = time.monotonic() + PORT_S
        while self._addresses.network and not await self.call(self.place(node.region), give):
            if time.monotonic() > end:
                raise TransientError(f"{self.name}: {node.id} got no port within {PORT_S:g} s")
            await asyncio.sleep(self._pause)

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        await super().remove_machines(nodes)
        for node in nodes if self._addresses.network else ():
            take = functools.partial(self._addresses.take, node_id=node.id)
            with suppress(NotThere):
                await self.call(self.place(node.region), take)

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``."""
        for node in nodes:
            add = functools.partial(self._walls.add, node_id=node.id, ports=ports)
            with suppress(Exists):
                await self.call(self.place(node.region), add)

    async def resources(self) -> list[Resource]:
        """Our security groups, which cost nothing, and our addresses, which do."""
        found = []
        for place in await self.places():
            for group in await self.call(place, self._walls.listed):
                more = {"shared": True, "billed": False}
                found.append(self._resource("security group", group.id, place, **more))
            for each in await self.call(place, self._addresses.listed):
                used = (each.node,) if each.bound else ()
                found.append(self._resource("address", each.id, place, used_by=used))
        return found

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            drop = addresses.drop if resource.kind == "address" else walls.drop
            with suppress(NotThere):
                await self.call(resource.region, functools.partial(_of, drop, resource.id))

    def _resource(self, kind: str, name: str, place: str, **more: Any) -> Resource:
        tags = {HOME_TAG: self.config.home_id}
        return Resource(cloud=self.name, kind=kind, id=str(name), region=place, tags=tags, **more)

    def _reached_at(self, node: Any) -> str:
        """The address from outside: a floating one, else one of the internet, else any."""
        floating = [
            value["addr"]
            for values in node.extra["addresses"].values()
            for value in values
            if value.get("OS-EXT-IPS:type") == "floating"
        ]
        inside = [] if self._addresses.network else node.private_ips
        return next(iter([*floating, *node.public_ips, *inside]), "")

    @property
    def _pause(self) -> float:
        return float(self.config.settings.get("pause", 1.0))

    async def quotas(self, region: str) -> list[Quota]:
        said = await self.call(region, lambda d: d.connection.request("/limits").object)
        limits = said["limits"]["absolute"]
        names = {
            "instances": ("maxTotalInstances", "totalInstancesUsed"),
            "cores": ("maxTotalCores", "totalCoresUsed"),
            "ram": ("maxTotalRAMSize", "totalRAMUsed"),
        }
        return [
            # Below 0 there is no limit.
            Quota(name, region, float(limits[most]), float(limits[used]))
            for name, (most, used) in names.items()
            if limits[most] >= 0
        ]

    async def _regions(self) -> list[str]:
        regions: list[str] = await self.call(EVERYWHERE, self.library.regions)
        if not regions:
            raise AuthError(f"{self.name}: the account may use no region")
        return regions

    def _chosen(self, driver: Any, node: Any) -> Any:
        """The machine, once the scheduler has chosen a host for it, or none."""
        end = time.monotonic() + CHOICE_S
        while node.extra["status"] == "BUILD" and node.extra["task_state"] == "scheduling":
            if time.monotonic() > end:
                return node
            time.sleep(self._pause)
            node = self.asked(driver, node.id)
        if node.extra["status"] == "ERROR":
            words = (node.extra.get("fault") or {}).get("message") or "the machine is in ERROR"
            raise TABLES[self.name].classify(Failure(0, "", str(words)))
        return node

    def _kept(self, place: str, kind: str, ask: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        if (place, kind) not in self._known:
            self._known[place, kind] = ask()
        return self._known[place, kind]

    def _image(self, images: Sequence[Any], asked: str) -> Any:
        """The image of that name or id, else that of the settings, else Ubuntu."""
        name = asked or str(self.config.settings.get("image") or "")
        found = [image for image in images if name in (image.id, image.name)]
        if not name:
            found = [image for image in images if USUAL_IMAGE.search(image.name or "")]
        if not found:
            raise InvalidRequest(
                f"{self.name}: no image {name or 'of Ubuntu 24.04'}",
                fix=f"name one in the setting `{self.name}.image`",
            )
        return found[0]

    def _offer(self, size: Any, place: str) -> Offer:
        settings: Mapping[str, Any] = self.config.settings
        prices, gpus = settings.get("prices") or {}, settings.get("accelerators") or {}
        return Offer(
            self.name,
            place,
            None,
            size.name,
            cpus=float(size.vcpus),
            memory_gib=size.ram / 1024,
            accelerators={k: float(v) for k, v in (gpus.get(size.name) or {}).items()},
            price=float(prices.get(size.name, 0.0)),
            local_disk_gib=float(size.disk),
            price_is_estimate=size.name not in prices,
            source="the setting `prices`" if size.name in prices else "",
        )


def _of(drop: Callable[[Any, str], None], name: str, driver: Any) -> None:
    drop(driver, name)
