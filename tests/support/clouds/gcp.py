"""A double of Compute Engine.

From the discovery document of compute v1: paths, required fields, operations, pages, filters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Refused, Thing, route
from stix.clouds.testing.wire import Asked
from tests.support.clouds.gcp_base import PROJECT, ROOT, ZONE, GoogleDouble, broken, failure

NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[a-z0-9_-]{0,63}")
ZONES = {
    "us-central1": ("us-central1-a", "us-central1-b", "us-central1-c"),
    "us-east1": ("us-east1-b", "us-east1-c"),
}
TYPES = ("e2-standard-2", "n1-standard-4", "g2-standard-4")
GPUS = ("nvidia-tesla-t4",)
IMAGES = (
    "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64",
    "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-arm64",
    "projects/deeplearning-platform-release/global/images/family/"
    "common-cu129-ubuntu-2204-nvidia-580",
    "global/images/ours",
)
ID = r"(?P<box>[^/]+)"


class Gcp(GoogleDouble):
    STATES = {
        "PROVISIONING": NodeState.STARTING,
        "STAGING": NodeState.STARTING,
        "REPAIRING": NodeState.STARTING,
        "RUNNING": NodeState.RUNNING,
        "PENDING_STOP": NodeState.STOPPED,
        "STOPPING": NodeState.STOPPED,
        "SUSPENDING": NodeState.STOPPED,
        "SUSPENDED": NodeState.STOPPED,
        "TERMINATED": NodeState.STOPPED,
        "DEPROVISIONING": NodeState.TERMINATED,
        "SOMETHING_NEW": NodeState.STARTING,
    }
    BOOT: ClassVar[Sequence[str]] = ("PROVISIONING", "STAGING", "RUNNING")
    STOPPED = "TERMINATED"
    REFUSALS = {
        "capacity": (
            503,
            broken("ZONE_RESOURCE_POOL_EXHAUSTED", "The zone does not have enough resources."),
            "zone",
        ),
        "quota": (
            403,
            broken("QUOTA_EXCEEDED", "Quota 'CPUS' exceeded. Limit: 8.0 in region us-central1."),
            "region",
        ),
        "auth": (
            403,
            failure(403, "forbidden", "Required 'compute.instances.create' permission."),
            "",
        ),
        "invalid": (400, failure(400, "invalid", "Invalid value for field 'resource.x'."), ""),
    }
    LOCKED = (401, failure(401, "authError", "Invalid Credentials", "UNAUTHENTICATED"))
    UNKNOWN = (404, failure(404, "notFound", "The resource was not found"))

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.empty: set[str] = set()
        """Zones without any room."""
        self.bodies: list[Any] = []
        """Orders as they came."""

    def zones(self) -> Sequence[str]:
        return [zone for zones in ZONES.values() for zone in zones]

    def new_id(self) -> str:
        return str(7_000_000_000_000_000_000 + len(self.boxes) + len(self.things) + self._made)

    # The project.

    @route("GET", ROOT)
    def project(self, asked: Asked) -> Any:
        quota = {"metric": "GPUS_ALL_REGIONS", "limit": 1.0, "usage": 0.0}
        other = {"metric": "SNAPSHOTS", "limit": 1000.0, "usage": 0.0}
        return {"name": PROJECT, "quotas": [quota, other]}

    @route("GET", f"{ROOT}/regions/(?P<region>[^/]+)")
    def region(self, asked: Asked, region: str) -> Any:
        if region not in ZONES:
            raise Refused(*self.UNKNOWN)
        zones = [self.link(f"/zones/{zone}") for zone in ZONES[region]]
        quotas = [{"metric": "CPUS", "limit": 24.0, "usage": 2.0, "owner": "x"}]
        return {"name": region, "zones": zones, "quotas": quotas, "status": "UP"}

    # Machines.

    @route("POST", rf"{ROOT}{ZONE}/instances")
    def insert(self, asked: Asked, zone: str) -> Any:
        body = asked.json
        self._vet(body, zone)
        if any(box.name == body["name"] and box.zone == zone for box in self.boxes.values()):
            words = f"The resource 'projects/{PROJECT}/zones/{zone}/instances' already exists"
            raise Refused(409, failure(409, "alreadyExists", words))
        place, target = f"/zones/{zone}", f"instances/{body['name']}"
        try:
            if zone in self.empty:
                raise self.refusal("capacity")
            box = self._made_of(body, zone)
        except Refused as no:
            if "error" in no.answer.body:
                raise
            status = no.answer.status
            late = self.begun("insert", place, target, error=no.answer.body, status=status)
            return self.shown(late)
        self.bodies.append(body)
        return self.shown(self.begun("insert", place, target, box.id))

    def _made_of(self, body: Any, zone: str) -> Box:
        spot = body["scheduling"].get("provisioningModel") == "SPOT"
        kind = body["machineType"].rpartition("/")[2]
        box = self.make(
            body["name"], zone.rpartition("-")[0], kind, zone=zone, spot=spot, body=body
        )
        labels = body["disks"][0]["initializeParams"]["labels"]
        more = {"name": body["name"], "zone": zone, "labels": labels}
        self.keep("disk", owner=box.id, **more)
        return box

    def _vet(self, body: Any, zone: str) -> None:
        """What the API refuses at once."""
        if zone not in ZONES.get(zone.rpartition("-")[0], ()):
            raise Refused(*self.UNKNOWN)
        if body["machineType"] not in {f"zones/{zone}/machineTypes/{kind}" for kind in TYPES}:
            kind = body["machineType"].rpartition("/")[2]
            self._invalid(f"Machine type with name '{kind}' does not exist in zone '{zone}'.")
        disk = body["disks"][0]["initializeParams"]
        labels = {**body["labels"], **disk["labels"]}
        gpus = body.get("guestAccelerators") or ()
        spot = body["scheduling"].get("provisioningModel") == "SPOT"
        metadata = sum(len(item["value"]) for item in body["metadata"]["items"])
        good = {
            "name": NAME.fullmatch(body["name"]),
            "labels": len(body["labels"]) <= 64
            and all(NAME.match(k) and LABEL.fullmatch(k) for k in labels)
            and all(LABEL.fullmatch(v) for v in labels.values()),
            "tags": all(NAME.fullmatch(tag) for tag in body["tags"]["items"]),
            "sourceImage": disk["sourceImage"] in IMAGES,
            "diskSizeGb": int(disk["diskSizeGb"]) >= 10,
            "network": body["networkInterfaces"][0]["network"] == "global/networks/default",
            "metadata": metadata <= 512 * 1024,
            "guestAccelerators": all(
                gpu["acceleratorType"].rpartition("/")[2] in GPUS for gpu in gpus
            ),
            "onHostMaintenance": body["scheduling"].get("onHostMaintenance") == "TERMINATE"
            or not (gpus or spot),
        }
        for name, held in good.items():
            if not held:
                self._invalid(f"Invalid value for field 'resource.{name}'.")

    @staticmethod
    def _invalid(words: str) -> None:
        raise Refused(400, failure(400, "invalid", words))

    @route("GET", f"{ROOT}/aggregated/instances")
    def instances(self, asked: Asked) -> Any:
        boxes = [box for box in self.boxes.values() if _fits(asked, _labels(box))]
        return self.by_zone(
            asked, "instances", [(_zone(b), self._instance(b)) for b in self.listed(boxes)]
        )

    @route("GET", rf"{ROOT}{ZONE}/instances/{ID}")
    def instance(self, asked: Asked, zone: str, box: str) -> Any:
        return self._instance(self._one(zone, box))

    @route("DELETE", rf"{ROOT}{ZONE}/instances/{ID}")
    def delete(self, asked: Asked, zone: str, box: str) -> Any:
        found = self._one(zone, box)
        self.drop(found)
        place = f"/zones/{zone}"
        return self.shown(self.begun("delete", place, f"instances/{found.name}", found.id))

    @route("POST", rf"{ROOT}{ZONE}/instances/{ID}/(?P<what>stop|start)")
    def act(self, asked: Asked, zone: str, box: str, what: str) -> Any:
        found = self._one(zone, box)
        scratch = any(d.get("type") == "SCRATCH" for d in found.more.get("disks", ()))
        if what == "stop":
            if scratch and asked.query.get("discardLocalSsd") != "true":
                self._invalid("The instance has local SSDs: set discardLocalSsd.")
            found.state, found.held = self.STOPPED, False
        elif found.state == self.STOPPED:
            found.state, found.looks = self.BOOT[0], 0
        place = f"/zones/{zone}"
        return self.shown(self.begun(what, place, f"instances/{found.name}", found.id))

    def _one(self, zone: str, name: str) -> Box:
        """By name or id."""
        for box in self.boxes.values():
            if name in (box.id, box.name) and _zone(box) == zone:
                return box
        raise Refused(*self.UNKNOWN)

    def take_away(self, node_id: str) -> None:
        box = self.boxes[node_id]
        place, words = f"/zones/{box.zone}", "Instance was preempted."
        kind = "compute.instances.preempted"
        self.begun(kind, place, f"instances/{box.name}", box.id, looks=0, words=words)
        action = box.more["body"]["scheduling"]["instanceTerminationAction"]
        if action == "DELETE":
            self.drop(box)
        else:
            self.put(node_id, self.STOPPED)

    def _instance(self, box: Box) -> dict[str, Any]:
        body = box.more.get("body", {})
        face: dict[str, Any] = {"networkIP": box.private_ip, "name": "nic0"}
        up = box.state == "RUNNING"
        face["accessConfigs"] = [
            {"type": "ONE_TO_ONE_NAT"} | ({"natIP": box.public_ip} if up else {})
        ]
        return {
            "kind": "compute#instance",
            "id": box.id,
            "name": box.name,
            "zone": self.link(f"/zones/{_zone(box)}"),
            "machineType": self.link(f"/zones/{_zone(box)}/machineTypes/{box.type}"),
            "status": box.state,
            "labels": _labels(box),
            "creationTimestamp": datetime.fromtimestamp(box.born, UTC).isoformat(),
            "scheduling": {"provisioningModel": "STANDARD", **body.get("scheduling", {})},
            "networkInterfaces": [face],
            "disks": box.more.get("disks", [{"type": "PERSISTENT", "boot": True}]),
        }

    # Disks and firewalls.

    @route("GET", f"{ROOT}/aggregated/disks")
    def disks(self, asked: Asked) -> Any:
        found = [t for t in self.things.values() if t.kind == "disk"]
        shown = []
        for thing in found:
            if _fits(asked, thing.more["labels"]):
                zone = thing.more["zone"]
                shown.append((zone, self._shown_disk(thing)))
        return self.by_zone(asked, "disks", shown)

    def _shown_disk(self, thing: Thing) -> dict[str, Any]:
        zone, name = thing.more["zone"], thing.more["name"]
        users = [name] if thing.owner else []
        boxes = [self.boxes[box] for box in self.alive()]
        users += [box.name for box in boxes if name in box.more.get("attached", ())]
        place = self.link(f"/zones/{zone}")
        links = [f"{place}/instances/{user}" for user in users]
        return {"sizeGb": "100", **thing.more, "id": thing.id, "zone": place, "users": links}

    def _disk(self, zone: str, name: str) -> Thing:
        for thing in self.things.values():
            if thing.kind == "disk" and (thing.more["zone"], thing.more["name"]) == (zone, name):
                return thing
        raise Refused(*self.UNKNOWN)

    @route("GET", rf"{ROOT}{ZONE}/disks/(?P<name>[^/]+)")
    def disk(self, asked: Asked, zone: str, name: str) -> Any:
        return self._shown_disk(self._disk(zone, name))

    @route("POST", rf"{ROOT}{ZONE}/disks")
    def add_disk(self, asked: Asked, zone: str) -> Any:
        body = asked.json
        if zone not in self.zones():
            raise Refused(*self.UNKNOWN)
        if not NAME.fullmatch(body["name"]) or not body["sizeGb"].isdigit():
            self._invalid("Invalid value for field 'resource'.")
        if not all(LABEL.fullmatch(value) for value in body["labels"].values()):
            self._invalid("Invalid value for field 'resource.labels'.")
        there = [t.more for t in self.things.values() if t.kind == "disk"]
        if any((each["zone"], each["name"]) == (zone, body["name"]) for each in there):
            raise Refused(409, failure(409, "alreadyExists", "The resource already exists"))
        self.keep("disk", single=False, **{**body, "zone": zone, "status": "READY"})
        return self.shown(self.begun("insert", f"/zones/{zone}", f"disks/{body['name']}"))

    @route("POST", rf"{ROOT}{ZONE}/instances/{ID}/attachDisk")
    def attach_disk(self, asked: Asked, zone: str, box: str) -> Any:
        found, name = self.the(box), asked.json["source"].rpartition("/")[2]
        if self._shown_disk(self._disk(zone, name))["users"]:
            words = "The disk resource is already being used in read-write mode"
            raise Refused(400, failure(400, "resourceInUseByAnotherResource", words))
        found.more.setdefault("attached", []).append(name)
        return self.shown(self.begun("attachDisk", f"/zones/{zone}", f"instances/{found.name}"))

    @route("DELETE", rf"{ROOT}{ZONE}/disks/(?P<name>[^/]+)")
    def drop_disk(self, asked: Asked, zone: str, name: str) -> Any:
        thing = self._disk(zone, name)
        if self._shown_disk(thing)["users"]:
            words = "The disk resource is already being used."
            raise Refused(400, failure(400, "resourceInUseByAnotherResource", words))
        del self.things[thing.id]
        return self.shown(self.begun("delete", f"/zones/{zone}", f"disks/{name}"))

    @route("GET", f"{ROOT}/global/firewalls")
    def firewalls(self, asked: Asked) -> Any:
        wanted = re.fullmatch(r'name eq "(.+)"', asked.query["filter"])
        assert wanted
        found = [t.more for t in self.things.values() if t.kind == "firewall"]
        return self.paged(asked, [f for f in found if re.fullmatch(wanted[1], f["name"])])

    @route("POST", f"{ROOT}/global/firewalls")
    def add_firewall(self, asked: Asked) -> Any:
        body = asked.json
        if f"firewall {body['name']}" in self.things:
            raise Refused(409, failure(409, "alreadyExists", "The resource already exists"))
        good = (
            NAME.fullmatch(body["name"])
            and body["allowed"]
            and (body.get("sourceRanges") or body.get("sourceTags"))
            and len(body["description"]) <= 2048
            and body["network"] == "global/networks/default"
        )
        if not good:
            self._invalid("Invalid value for field 'resource'.")
        single = not body["name"].endswith(("-ssh", "-inside"))
        thing_id = f"firewall {body['name']}"
        self.keep("firewall", id=thing_id, single=single, **body)
        return self.shown(self.begun("insert", "/global", f"firewalls/{body['name']}"))

    @route("PATCH", f"{ROOT}/global/firewalls/(?P<name>[^/]+)")
    def patch_firewall(self, asked: Asked, name: str) -> Any:
        if f"firewall {name}" not in self.things:
            raise Refused(*self.UNKNOWN)
        self.things[f"firewall {name}"].more |= asked.json
        return self.shown(self.begun("patch", "/global", f"firewalls/{name}"))

    @route("DELETE", f"{ROOT}/global/firewalls/(?P<name>[^/]+)")
    def drop_firewall(self, asked: Asked, name: str) -> Any:
        if self.things.pop(f"firewall {name}", None) is None:
            raise Refused(*self.UNKNOWN)
        return self.shown(self.begun("delete", "/global", f"firewalls/{name}"))


def _fits(asked: Asked, labels: Mapping[str, str]) -> bool:
    terms = re.findall(r'labels\.([a-z0-9_-]+) = "([^"]*)"', asked.query.get("filter", ""))
    return all(labels.get(key) == value for key, value in terms)


def _labels(box: Box) -> Mapping[str, str]:
    labels: Mapping[str, str] = box.more.get("body", {}).get("labels", {})
    return labels


def _zone(box: Box) -> str:
    return box.zone or f"{box.region}1-a"
