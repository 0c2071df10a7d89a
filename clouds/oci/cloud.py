"""Oracle Cloud Infrastructure. Source: API 20160918 (oci 2.189, docs.oracle.com).

Zones are availability domains, and each tenancy has names of its own for them. Flexible shapes are
ordered in OCPUs: two vCPUs each, on Arm one. Machines that ended stay listed for hours; they are
left out. A spot machine that is taken away just ends. Addresses belong to the machine's network
card, so they are looked up from there, once.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import AuthError, CloudError, InvalidRequest
from stix.clouds.oci import signing
from stix.clouds.oci.errors import ERRORS, WrongState
from stix.clouds.oci.region import GONE, VERSION, Around, Habits, Region
from stix.clouds.rented.cloud import RentedCloud, understood
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.hosts import Hosts
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.market import CatalogOffers
from stix.clouds.rented.names import home_word
from stix.clouds.rented.tags import TagRule
from stix.clouds.settings import Setting, read_settings
from stix.plan.offers import Offer

log = logging.getLogger("stix.clouds")

SETTINGS = (
    Setting("compartment", doc="OCID; the whole tenancy by default"),
    Setting("image", default="", doc="OCID, where a stage names none; the newest Ubuntu else"),
    Setting("regions", "texts", doc="regions to use; that of the profile by default"),
    Setting("poll", "number", default=2.0, least=0, doc="seconds between looks at a new network"),
    Setting("user", doc="whom to log in as"),
    Setting("endpoint_url", doc="address in place of Oracle's; the path begins with the host"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
)
STATES: Mapping[str, NodeState] = {
    "PROVISIONING": NodeState.STARTING,
    "STARTING": NodeState.STARTING,
    "MOVING": NodeState.STARTING,
    "CREATING_IMAGE": NodeState.STARTING,
    "RUNNING": NodeState.RUNNING,
    "STOPPING": NodeState.STOPPED,
    "STOPPED": NodeState.STOPPED,
    "TERMINATING": NodeState.TERMINATED,
    "TERMINATED": NodeState.TERMINATED,
}
FLEX = re.compile(r"(.+)\$_(\d+)_(\d+)")
ANYWHERE = ("*", "-")


class OciCloud(RentedCloud):
    """Machines of one compartment. Settings: ``SETTINGS``."""

    name = "oci"
    settings = SETTINGS
    traits = Traits(
        user="ubuntu",
        tags=TagRule(count=10, key=r"[A-Za-z0-9_-]{1,100}", value=r"[ -~]{0,256}", chunk=256),
        user_data_bytes=16_384,
        poll_s=5.0,
    )
    rates: ClassVar[Mapping[str, float]] = {"*": 5.0}
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        values = read_settings(self.name, config.settings, SETTINGS)
        stand_in = values["endpoint_url"] or ""
        base = f"stix-{home_word(config.home_id)}"
        self._habits = Habits(config.home_id, base, values["image"], values["poll"])
        # Its prices are of all regions: the setting chooses where they are offered, not which.
        self._market = CatalogOffers(self.name, replace(config, settings={}))
        self._compartment = values["compartment"]
        self._only: Sequence[str] = values["regions"] or ()
        self._hosts = Hosts(
            lambda at: signing.Signed(stand_in or at, self._who, ERRORS, values["timeout"]),
            stand_in,
        )
        self._found: signing.Credentials | None = None
        self._known: dict[str, Region] = {}
        self._domains: dict[str, Sequence[str]] = {}
        self._addresses: dict[str, tuple[str, str]] = {}

    def credentials(self) -> str:
        file, name = signing.place()
        return f"{file} [{name}]" if signing.profile().get("key_file") else ""

    async def check(self) -> Identity:
        tenancy = self._who().tenancy
        with understood(self.name):
            found = await self._identity(self._regions()[0], f"/tenancies/{tenancy}")
            return Identity(str(found["name"]), f"at home in {found['homeRegionKey']}")

    async def offers(self) -> Sequence[Offer]:
        """Prices of the catalog, which are those of all regions, at each place we may use."""
        listed = await super().offers()
        if not self.credentials():
            return listed
        try:
            with understood(self.name):
                places = [(r, d) for r in self._regions() for d in await self._zones(r)]
        except CloudError as error:
            log.warning("no availability domains: %s", error)
            return listed
        return [each for offer in listed for each in _at(offer, places)]

    async def launch(self, order: Order) -> Machine:
        region = self._region(order.offer.region)
        shape, size = _shape(order.offer)
        zone = order.offer.zone or (await self._zones(region.name))[0]
        around = await region.of(order, shape)
        body = {"availabilityDomain": zone, "shape": shape, **size}
        try:
            made = await self._order(order, region, around, body)
        except CloudError as error:
            region.forget(around)
            if around.wish == order.wish or not isinstance(error, InvalidRequest):
                raise
            # What was known of the network is old: somebody may have removed it.
            made = await self._order(order, region, await region.of(order, shape), body)
        return _machine(made, region.name, ("", ""))

    async def machines(self, search: Search) -> list[Machine]:
        names = [search.region] if search.region else self._regions()
        found = await asyncio.gather(*(self._there(self._region(n), search) for n in names))
        return [machine for there in found for machine in there]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        """With their disks; addresses go with the machines."""
        for node in nodes:
            region, path = self._region(node.region), f"/instances/{node.id}"
            try:
                await region.call("DELETE", path, params={"preserveBootVolume": "false"})
            except (NotThere, WrongState) as refused:
                await self._really_gone(region, path, refused)
            self._addresses.pop(node.id, None)

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. Its disk still costs money, and some shapes cost all they did."""
        await self._act(nodes, "SOFTSTOP", "RUNNING")

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        await self._act(nodes, "START", "STOPPED")

    async def preemption(self, node: NodeRef) -> str | None:
        """Oracle says no more than that the machine ended. Nobody of us ended it, or nobody would
        ask."""
        try:
            entry = await self._region(node.region).call("GET", f"/instances/{node.id}")
        except NotThere:
            return None
        with understood(self.name):
            taken = entry["lifecycleState"] in GONE and entry.get("preemptibleInstanceConfig")
        return f"the preemptible instance is {entry['lifecycleState']}" if taken else None

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``."""
        for node in nodes:
            region = self._region(node.region)
            groups = await region.groups(ports)
            for card in await _cards(region, node.id):
                there = card.get("nsgIds") or []
                wanted = list(dict.fromkeys([*there, *groups]))
                if wanted != there:
                    await region.call("PUT", f"/vnics/{card['id']}", json={"nsgIds": wanted})

    async def resources(self) -> list[Resource]:
        """Our networks, which cost nothing."""
        return [
            Resource(
                cloud=self.name,
                kind="network",
                id=vcn["id"],
                region=name,
                tags={HOME_TAG: self.config.home_id},
                created=_time(vcn["timeCreated"]),
                shared=True,
                billed=False,
            )
            for name in self._regions()
            for vcn in await self._region(name).networks()
        ]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            await self._region(resource.region).remove_network(resource.id)

    async def hang_up(self) -> None:
        await self._hosts.close()

    async def _order(
        self, order: Order, region: Region, around: Around, shape: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        source = {"sourceType": "image", "imageId": around.image}
        card = {
            "subnetId": around.subnet,
            "assignPublicIp": True,
            "nsgIds": [*around.groups],
            "displayName": order.name,
        }
        body: dict[str, Any] = {
            **shape,
            "displayName": order.name,
            "sourceDetails": source,
            "createVnicDetails": card,
            "metadata": {
                "ssh_authorized_keys": order.public_key,
                "user_data": base64.b64encode(order.user_data.encode()).decode(),
            },
            "freeformTags": dict(order.tags),
        }
        if order.disk_gib is not None:
            body["sourceDetails"] = {**source, "bootVolumeSizeInGBs": order.disk_gib}
        if order.offer.spot:
            action = {"type": "TERMINATE", "preserveBootVolume": False}
            body["preemptibleInstanceConfig"] = {"preemptionAction": action}
        return await region.make("instances", order.idempotency, body)

    async def _there(self, region: Region, search: Search) -> list[Machine]:
        found = []
        for entry in await region.listed("instances"):
            ours = (entry.get("freeformTags") or {}).get(HOME_TAG) == search.home
            if ours and entry["lifecycleState"] not in GONE:
                found.append(_machine(entry, region.name, await self._places(region, entry)))
        return found

    async def _places(self, region: Region, entry: Mapping[str, Any]) -> tuple[str, str]:
        """The public and the private address; empty while there are none."""
        known = self._addresses.get(entry["id"], ("", ""))
        if not known[0] and entry["lifecycleState"] != "PROVISIONING":
            for card in await _cards(region, entry["id"]):
                known = card.get("publicIp") or "", card.get("privateIp") or ""
            if known[0]:
                self._addresses[entry["id"]] = known
        return known

    async def _really_gone(self, region: Region, path: str, refused: CloudError) -> None:
        """Oracle says the same of what is not there and of what we have no right to end."""
        try:
            entry = await region.call("GET", path)
        except NotThere:
            return
        if entry["lifecycleState"] in GONE:
            return
        if isinstance(refused, NotThere):
            raise AuthError(
                f"oci: {entry['id']} may be seen and not ended",
                fix="ask for a policy that allows to manage instances in the compartment",
            )
        raise refused

    async def _act(self, nodes: Sequence[NodeRef], action: str, state: str) -> None:
        for node in nodes:
            region, path = self._region(node.region), f"/instances/{node.id}"
            if (await region.call("GET", path))["lifecycleState"] == state:
                await region.call("POST", path, params={"action": action})

    async def _zones(self, region: str) -> Sequence[str]:
        if region not in self._domains:
            query = {"compartmentId": self._who().tenancy}
            found = await self._identity(region, "/availabilityDomains", params=query)
            self._domains[region] = [each["name"] for each in found]
        return self._domains[region]

    async def _identity(self, region: str, path: str, **more: Any) -> Any:
        host = f"identity.{region}.oraclecloud.com"
        return (await self._hosts.call(host, "GET", f"{VERSION}{path}", **more)).body

    def _regions(self) -> Sequence[str]:
        return self._only or [self._home_region()]

    def _home_region(self) -> str:
        region = self._who().region
        if not region:
            raise AuthError(
                "oci: no region", fix="write `region` into the profile, or `regions` into the block"
            )
        return region

    def _region(self, name: str) -> Region:
        place = self._regions()[0] if name in ANYWHERE else name
        if place not in self._known:
            compartment = self._compartment or self._who().tenancy
            self._known[place] = Region(place, compartment, self._hosts, self._habits)
        return self._known[place]

    def _who(self) -> signing.Credentials:
        if self._found is None:
            self._found = signing.load()
        return self._found


def _at(offer: Offer, places: Sequence[tuple[str, str]]) -> list[Offer]:
    """The offer at each place where it holds."""
    return [
        replace(offer, region=region, zone=zone)
        for region, zone in places
        if offer.region in (region, *ANYWHERE) and offer.zone in (None, zone)
    ]


def _shape(offer: Offer) -> tuple[str, Mapping[str, Any]]:
    """Oracle's name of the shape, and its size where it may be chosen."""
    found = FLEX.fullmatch(offer.instance_type)
    if found is None:
        return offer.instance_type, {}
    cpus = float(found[2]) / (1 if offer.arch == "arm64" else 2)
    return found[1], {"shapeConfig": {"ocpus": cpus, "memoryInGBs": float(found[3])}}


async def _cards(region: Region, instance: str) -> list[Mapping[str, Any]]:
    """The network cards of a machine."""
    found = await region.listed("vnicAttachments", instanceId=instance)
    attached = [each for each in found if each["lifecycleState"] == "ATTACHED"]
    return [await region.call("GET", f"/vnics/{each['vnicId']}") for each in attached]


def _machine(entry: Mapping[str, Any], region: str, places: tuple[str, str]) -> Machine:
    status = entry["lifecycleState"]
    return Machine(
        id=entry["id"],
        name=entry["displayName"],
        state=STATES.get(status, NodeState.STARTING),
        region=region,
        zone=entry["availabilityDomain"],
        tags=entry.get("freeformTags") or {},
        public_ip=places[0],
        private_ip=places[1],
        created=_time(entry["timeCreated"]),
        spot=bool(entry.get("preemptibleInstanceConfig")),
        billed=status not in GONE,
        reason=status,
    )


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
