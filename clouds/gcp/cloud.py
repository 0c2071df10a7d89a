"""Google Cloud. Source: the discovery documents of compute v1 and tpu v2 (2026-08).

Machines are ordered one by one. They could be ordered in bulk, all or nothing, but an order in
bulk cannot be repeated after its answer was lost: some names are taken then, and all of it fails.
``requestId`` is not sent: Google answers a repeated one with the operation of the first time, also
after the machine has been deleted. What makes orders idempotent is the name, which is free only
when nothing of the former machine is left.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from stix.clouds.agents import finish
from stix.clouds.base import Identity, Node, NodeRef, NodeState, Quota, Resource
from stix.clouds.config import HOME_TAG, TOKEN_TAG, CloudConfig
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest, TransientError
from stix.clouds.gcp import tpu
from stix.clouds.gcp.errors import ERRORS, reading
from stix.clouds.gcp.machines import Habits, body, machine, moment
from stix.clouds.gcp.network import Network, Wish
from stix.clouds.gcp.volumes import KIND, TYPE, PersistentDisks, disks
from stix.clouds.gcp.wire import Google, Login, Patience, last
from stix.clouds.rented.cloud import RentedCloud, understood
from stix.clouds.rented.disks import mount_disks
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.names import tags_in
from stix.clouds.rented.tags import WISH_TAG, TagRule, unpack
from stix.clouds.settings import Setting, read_settings
from stix.clouds.volumes import Attachment, Volume, VolumeKind, VolumeWish
from stix.plan.offers import Offer

SETTINGS = (
    Setting("project", doc="the project to make machines in; else that of the credentials"),
    Setting("regions", "texts", doc="regions to use; all where nothing is said"),
    Setting("network", default="default", doc="name of a VPC network"),
    Setting("subnetwork", default="", doc="name of a subnetwork, for networks of custom mode"),
    Setting("disk_gib", "count", default=100, least=10, doc="GiB of the boot disk"),
    Setting("disk_type", default="", doc="type of the boot disk; what fits the machine by default"),
    Setting("image", default="", doc="image or family for machines without accelerators"),
    Setting("gpu_image", default="", doc="image or family for machines with accelerators"),
    Setting("service_account", default="", doc="e-mail of the account that machines act as"),
    Setting("use_internal_ips", "flag", default=False, doc="machines get no address outside"),
    Setting("ssh_from", default="0.0.0.0/0", doc="addresses that may log in, such as 10.0.0.0/8"),
    Setting("os_login", "flag", default=False, doc="true where OS Login must not be switched off"),
    Setting("tpu", "flag", default=False, doc="rent TPU VMs too; needs the Cloud TPU API"),
    Setting("user", doc="whom to log in as"),
    Setting("poll_s", "number", default=1.0, least=0, doc="seconds between looks at an operation"),
    Setting("wait_s", "number", default=60.0, least=0, doc="seconds an operation is waited for"),
    Setting("endpoint_url", doc="address to use in place of Google's"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
)
HABITS = (
    *("network", "subnetwork", "disk_type", "disk_gib", "image", "gpu_image"),
    *("service_account", "use_internal_ips", "os_login"),
)
Volumes = list[Volume]
NUMBER = re.compile(r"[1-9][0-9]{0,19}")
"""Ids of machines; those of TPU VMs are names."""


class GcpCloud(RentedCloud):
    """Machines of Compute Engine, and TPU VMs where the setting ``tpu`` says so."""

    name = "gcp"
    settings = SETTINGS
    traits = Traits(
        user="stix",
        tags=TagRule(count=64, key=r"[a-z][a-z0-9_-]{0,62}", value=r"[a-z0-9_-]{0,63}", chunk=63),
        user_data_bytes=256 * 1024,
        at_once=32,
        lag_s=10.0,
    )
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True
    rates: ClassVar[Mapping[str, float]] = {"*": 10.0}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        values = read_settings(self.name, config.settings, SETTINGS)
        habits = Habits(**{name: values[name] for name in HABITS})
        login, project = Login(values["timeout"]), values["project"] or ""
        patience = Patience(values["poll_s"], values["wait_s"])
        self._habits, self._login, self._with_tpus = habits, login, values["tpu"]
        self._apis = [
            self.api(f"https://{host}.googleapis.com", login.headers, ERRORS, reading=reading)
            for host in ("compute", "tpu")
        ]
        self._google = Google(self._apis[0], "/compute/v1", login, project, patience)
        self._tpus = tpu.Tpus(Google(self._apis[1], "/v2", login, project, patience), habits)
        self._network = Network(self._google, habits.network, config.home_id, values["ssh_from"])
        self._zones: dict[str, Sequence[str]] = {}
        rule = self.traits.tags or TagRule()
        self._disks = PersistentDisks(self._google, config.home_id, rule)

    def credentials(self) -> str:
        return self._login.source()

    async def check(self) -> Identity:
        found = await self._google.call("GET", "")
        return Identity(await self._login.account(), f"project {found['name']}")

    async def offers(self) -> Sequence[Offer]:
        found = [*await super().offers()]
        if self._with_tpus:
            regions = self.config.settings.get("regions")
            slices = await asyncio.to_thread(tpu.offers, self.config.home)
            found += [each for each in slices if not regions or each.region in regions]
        return found

    async def hang_up(self) -> None:
        for api in self._apis:
            await api.close()

    # -- machines -------------------------------------------------------------------------------

    async def launch_all(
        self, orders: Sequence[Order]
    ) -> tuple[list[Machine], list[BaseException]]:
        """All in one zone; where none is named, in the first of the region that has room."""
        first = orders[0]
        wish = Wish(first.wish, {k: v for k, v in unpack(first.tags).items() if k in KEPT})
        try:
            await self._network.ready(wish, first.ports)
            zones = await self._places(first, len(orders))
            for zone in zones:
                placed = [replace(o, offer=replace(o.offer, zone=zone)) for o in orders]
                made, errors = await super().launch_all(placed)
                if not errors or not all(map(_elsewhere, errors)):
                    break
                if zone == zones[-1]:
                    errors = [_whole(error, first.offer) for error in errors]
                else:
                    await self._remove([self._node(each).ref for each in made])
            if errors and first.ports and not any(getattr(e, "retryable", False) for e in errors):
                await self._network.close([first.wish])
        except CloudError as error:
            return [], [error]
        return made, errors

    async def launch(self, order: Order) -> Machine:
        zone, tags = order.offer.zone or "", self._network.tags(order.wish)
        if order.offer.instance_type == tpu.TPU_VM:
            if not self._with_tpus:
                raise InvalidRequest("gcp: TPU VMs are off", fix="set `gcp.tpu: true`")
            return await self._tpus.launch(order, zone, tags, self.user)
        wanted = body(order, zone, self._habits, tags, self.user)
        try:
            done = await self._google.call("POST", f"/zones/{zone}/instances", wanted)
        except Exists:
            return await self._same(order, zone)
        await self._google.done(done)
        return Machine(
            id=str(done["targetId"]),
            name=order.name,
            state=NodeState.STARTING,
            region=order.offer.region,
            zone=zone,
            tags=order.tags,
            spot=order.offer.spot,
        )

    async def _same(self, order: Order, zone: str) -> Machine:
        """The machine that an earlier call of this order made."""
        try:
            entry = await self._google.call("GET", f"/zones/{zone}/instances/{order.name}")
        except NotThere:
            entry = None
        found = machine(entry) if entry else None
        if found is None or not found.state.alive:
            raise TransientError(f"gcp: the former {order.name} is still being removed")
        if found.tags.get(WISH_TAG) != order.wish:
            raise InvalidRequest(f"gcp: {order.name} is the name of a machine that is not ours")
        return found

    async def _places(self, order: Order, count: int) -> Sequence[str]:
        """The zones to try, in turn: a gang stays together."""
        offer = order.offer
        if offer.zone:
            return [offer.zone]
        if count < order.count:
            search = Search(self.config.home_id, offer.region, order.wish)
            there = {each.zone for each in await self.machines(search) if each.zone}
            if there:
                return sorted(there)[:1]
        if offer.region not in self._zones:
            region = await self._google.call("GET", f"/regions/{offer.region}")
            self._zones[offer.region] = sorted(map(last, region.get("zones") or ()))
        if not self._zones[offer.region]:
            raise CapacityError(f"gcp: {offer.region} has no zones", scope="region")
        return self._zones[offer.region]

    async def machines(self, search: Search) -> list[Machine]:
        wanted = {HOME_TAG: search.home} | ({WISH_TAG: search.wish} if search.wish else {})
        terms = " AND ".join(f'(labels.{key} = "{value}")' for key, value in wanted.items())
        entries = await self._google.pages(
            "/aggregated/instances", "instances", filter=terms, maxResults=500
        )
        found = [machine(entry) for entry in entries]
        if self._with_tpus:
            tpus = await self._tpus.machines()
            found += [m for m in tpus if wanted.items() <= dict(m.tags).items()]
        if self._habits.use_internal_ips:
            found = [replace(m, public_ip=m.private_ip) for m in found]
        return [m for m in found if search.region in (None, m.region)]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        """Ports first: whoever calls again after a failure still finds whose they were. But if
        they stay, for want of a right or of an answer, the machines go all the same."""
        if not nodes:
            return
        failed: CloudError | None = None
        try:
            await self._close_ports({node.id for node in nodes})
        except CloudError as error:
            failed = error
        await _together(self._remove_one(node) for node in nodes)
        if failed is not None:
            raise failed

    async def _close_ports(self, ended: Collection[str]) -> None:
        """Remove the rules of wishes of which no machine is left but these."""
        opened = set(map(self._network.wish_of, await self._network.rules())) - {""}
        if opened:
            left = await self.machines(Search(self.config.home_id))
            kept = {m.tags.get(WISH_TAG) for m in left if m.id not in ended}
            mine = {m.tags.get(WISH_TAG, "") for m in left if m.id in ended}
            await self._network.close(opened & (mine - kept))

    async def _remove_one(self, node: NodeRef) -> None:
        if not node.zone:
            return  # it was never made
        if not NUMBER.fullmatch(node.id):
            if tags_in(node.id, self.config.home_id):
                await self._tpus.remove(node.id, node.zone)
            return
        try:
            done = await self._google.call("DELETE", _path(node))
        except NotThere:
            return
        if not await self._google.done(done):
            raise TransientError(f"gcp: {node.id} is not removed yet")

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. What is on local SSDs is lost."""
        await _together(self._act(node, "stop") for node in nodes)

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. The public address is another one afterwards."""
        await _together(self._act(node, "start") for node in nodes)

    async def _act(self, node: NodeRef, what: str) -> None:
        if not NUMBER.fullmatch(node.id):
            await self._tpus.act(node.id, node.zone or "", what)
            return
        params = {}
        if what == "stop":
            disks = (await self._google.call("GET", _path(node))).get("disks") or ()
            if any(disk.get("type") == "SCRATCH" for disk in disks):
                params = {"discardLocalSsd": "true"}
        await self._google.done(
            await self._google.call("POST", f"{_path(node)}/{what}", None, **params)
        )

    async def preemption(self, node: NodeRef) -> str | None:
        """See ``CanSpot``. A machine that was taken away is no more; the operation that took it is
        kept for two weeks."""
        if not NUMBER.fullmatch(node.id):
            return await self._tpus.preemption(node.id, node.zone or "")
        found = await self._google.pages(
            f"/zones/{node.zone}/operations",
            "items",
            filter='operationType = "compute.instances.preempted"',
        )
        mine = [each for each in found if str(each.get("targetId")) == node.id]
        return f"{mine[0].get('statusMessage') or 'Instance was preempted.'}" if mine else None

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``. They are open at all machines of a wish."""
        ids = {node.id for node in nodes}
        for each in await self.machines(Search(self.config.home_id)):
            if each.id in ids and (wish := each.tags.get(WISH_TAG)):
                tags = {k: v for k, v in unpack(each.tags).items() if k in KEPT}
                await self._network.ready(Wish(wish, tags), ports)

    # -- the rest -------------------------------------------------------------------------------

    async def resources(self) -> list[Resource]:
        """Firewall rules, and disks with their users."""
        machines = await self.machines(Search(self.config.home_id))
        rules = [self._network.resource(r, machines) for r in await self._network.rules()]
        disks = await self._google.pages(
            "/aggregated/disks", "disks", filter=f'labels.{HOME_TAG} = "{self.config.home_id}"'
        )
        names = {each.name: each.id for each in machines}
        return rules + [_disk(entry, names) for entry in disks]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            if resource.kind != "disk":
                await self._network.remove(resource.id)
                continue
            zone, _, name = resource.id.partition("/")
            try:
                done = await self._google.call("DELETE", f"/zones/{zone}/disks/{name}")
            except NotThere:
                continue
            await self._google.done(done)

    @classmethod
    def volume_kinds(cls) -> Mapping[str, VolumeKind]:
        return {TYPE: KIND}

    async def create_volume(self, wish: VolumeWish) -> Volume:
        with understood(self.name):
            return await finish(lambda: self._disks.create(wish))

    async def volumes(self) -> Volumes:
        with understood(self.name):
            machines = await self.machines(Search(self.config.home_id))
            return await self._disks.all({each.name: each.id for each in machines})

    async def delete_volume(self, wish: VolumeWish) -> None:
        with understood(self.name):
            await self._disks.delete(wish)

    async def attach(self, node: Node, volumes: Sequence[Attachment]) -> None:
        with understood(self.name):
            await finish(lambda: self._disks.attach(node, volumes))

    async def mount(self, node: Node, volumes: Sequence[Attachment]) -> None:
        await mount_disks(await self.runner(node), disks(volumes), self.name)

    async def quotas(self, region: str) -> list[Quota]:
        """Those of the region, and those of the project for all regions."""
        near = await self._google.call("GET", f"/regions/{region}")
        wide = await self._google.call("GET", "")
        found = [(region, each) for each in near.get("quotas") or ()]
        found += [("*", each) for each in wide.get("quotas") or () if "ALL" in each["metric"]]
        return [Quota(q["metric"], place, q["limit"], q.get("usage")) for place, q in found]


KEPT = (TOKEN_TAG, WISH_TAG, "stix-run", "stix-stage", "stix-attempt")
"""Tags that the ports of a wish keep."""


def _path(node: NodeRef) -> str:
    return f"/zones/{node.zone}/instances/{node.id}"


def _elsewhere(error: BaseException) -> bool:
    """Whether another zone of the region may have what this one has not."""
    return isinstance(error, CapacityError) and error.scope in ("zone", "type")


def _whole(error: BaseException, offer: Offer) -> BaseException:
    """The last zone has none: where none was named, that holds for the region."""
    if offer.zone or not isinstance(error, CapacityError) or error.scope == "type":
        return error
    words = f"{error.message} (and so the other zones of {offer.region})"
    return type(error)(words, scope="region", fix=error.fix)


async def _together(acts: Iterable[Any]) -> None:
    """All to their end; then the first error, if any."""
    for answer in await asyncio.gather(*acts, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


def _disk(entry: Mapping[str, Any], names: Mapping[str, str]) -> Resource:
    zone = last(entry["zone"])
    users = [last(user) for user in entry.get("users") or ()]
    return Resource(
        cloud="gcp",
        kind="disk",
        id=f"{zone}/{entry['name']}",
        region=zone.rpartition("-")[0],
        tags=unpack(entry.get("labels") or {}),
        created=moment(entry.get("creationTimestamp")),
        used_by=tuple(names.get(user, user) for user in users),
    )
