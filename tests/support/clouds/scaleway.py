"""A double of Scaleway, from its public API document (api-evangelist/scaleway)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

KEY = "11111111-2222-3333-4444-secret000000"
PROJECT = "6d6b64e5-6bad-4cc6-b7ef-2030884c3e11"
ZONES = (
    *("fr-par-1", "fr-par-2", "fr-par-3", "nl-ams-1", "nl-ams-2", "nl-ams-3"),
    *("pl-waw-1", "pl-waw-2", "pl-waw-3", "it-mil-1"),
)
INSTANCE, BLOCK = "/instance/v1/zones/(?P<zone>[^/]+)", "/block/v1/zones/(?P<zone>[^/]+)"
PAGE = 3


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "message": message}


def _invalid(what: str) -> Refused:
    return Refused(400, _error("invalid_arguments", f"invalid argument(s): {what}"))


class Scaleway(Double):
    STATES = {
        "running": NodeState.RUNNING,
        "starting": NodeState.STARTING,
        "stopping": NodeState.STOPPED,
        "stopped": NodeState.STOPPED,
        "stopped in place": NodeState.STOPPED,
        "locked": NodeState.FAILED,
    }
    BOOT = ("starting", "running")
    STOPPED = "stopped"
    REFUSALS = {
        "capacity": (
            503,
            _error("out_of_stock", "The requested resource is currently out of stock"),
            "zone",
        ),
        "quota": (403, _error("quotas_exceeded", "quota(s) exceeded for this resource"), "type"),
        "auth": (403, _error("permissions_denied", "insufficient permissions"), ""),
        "invalid": (400, _error("invalid_arguments", "invalid argument(s)"), ""),
    }
    LOCKED = (401, _error("denied_authentication", "authentication is denied"))
    UNKNOWN = (404, _error("not_found", "resource is not found"))
    TYPES = ("GPU-3070-S", "RENDER-S", "H100-1-80G")
    IMAGES = ("ubuntu_noble", "ubuntu_noble_gpu_os_12")

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.sold_out: set[str] = set()

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("x-auth-token") == KEY

    def new_id(self) -> str:
        return str(uuid.uuid4())

    # Instances.

    @route("GET", f"{INSTANCE}/products/servers/availability")
    def stock_of(self, asked: Asked, zone: str) -> Any:
        self._place(zone)
        names = self._paged(asked, self.TYPES)
        return {
            "servers": {
                name: {"availability": "shortage" if name in self.sold_out else "available"}
                for name in names
            }
        }

    @route("GET", f"{INSTANCE}/servers")
    def servers(self, asked: Asked, zone: str) -> Any:
        self._place(zone)
        boxes = [b for b in self.boxes.values() if b.zone == zone and _tagged(asked, b.more)]
        if asked.query.get("project", PROJECT) != PROJECT:
            boxes = []
        # Time goes on with the first page only, so that the pages are of one listing.
        first = asked.query.get("page", "1") == "1"
        seen = [b for b in (self.listed(boxes) if first else boxes) if self._lives(b)]
        return {"servers": [self._shown(box) for box in self._paged(asked, seen)]}

    @route("POST", f"{INSTANCE}/servers")
    def create(self, asked: Asked, zone: str) -> Any:
        body = asked.json
        self._place(zone)
        self._vet(body)
        box = self.make(
            body["name"],
            zone.rpartition("-")[0],
            body["commercial_type"],
            zone=zone,
            tags=body.get("tags", []),
            group=body["security_group"],
            data={},
        )
        box.state = "stopped"
        for volume in body["volumes"].values():
            self.keep("disk", owner=box.id, tags=[], zone=zone, size=volume["size"])
        return Answer(201, {"server": self._shown(box)})

    def _vet(self, body: Mapping[str, Any]) -> None:
        if body["project"] != PROJECT or body["commercial_type"] not in self.TYPES:
            raise _invalid("commercial_type")
        if body["image"] not in self.IMAGES:
            raise _invalid("image")
        for volume in body["volumes"].values():
            if volume["volume_type"] != "sbs_volume" or volume["size"] % 512:
                raise _invalid("volumes")
        if body["security_group"] not in self.things:
            raise Refused(*self.UNKNOWN)
        if not all(0 < len(tag) <= 128 and "," not in tag for tag in body.get("tags", ())):
            raise _invalid("tags")

    @route("GET", f"{INSTANCE}/servers/(?P<box>[^/]+)")
    def one_server(self, asked: Asked, zone: str, box: str) -> Any:
        found = self.the(box)
        if not self._lives(found):
            raise Refused(*self.UNKNOWN)
        return {"server": self._shown(self.look(found))}

    @route("PATCH", f"{INSTANCE}/servers/(?P<box>[^/]+)")
    def change(self, asked: Asked, zone: str, box: str) -> Any:
        group = asked.json["security_group"]["id"]
        if group not in self.things:
            raise Refused(*self.UNKNOWN)
        self.the(box).more["group"] = group
        return {"server": self._shown(self.the(box))}

    @route("DELETE", f"{INSTANCE}/servers/(?P<box>[^/]+)")
    def delete(self, asked: Asked, zone: str, box: str) -> Any:
        found = self.the(box)
        if found.state != "stopped":
            raise _invalid("the instance is not stopped")
        self._leave(found)
        return Answer(204)

    @route("PATCH", f"{INSTANCE}/servers/(?P<box>[^/]+)/user_data/(?P<key>[^/]+)")
    def data(self, asked: Asked, zone: str, box: str, key: str) -> Any:
        if asked.headers.get("content-type") != "text/plain":
            raise _invalid("content-type")
        self.the(box).more["data"][key] = asked.body.decode()
        return Answer(204)

    @route("POST", f"{INSTANCE}/servers/(?P<box>[^/]+)/action")
    def act(self, asked: Asked, zone: str, box: str) -> Any:
        found, action = self.the(box), asked.json["action"]
        allowed = {
            "poweron": ("stopped", "stopped in place"),
            "poweroff": ("running",),
            "terminate": ("running", "starting", "stopped in place", "locked"),
        }
        if found.state not in allowed[action]:
            raise Refused(400, _error("precondition_failed", f"cannot {action}: {found.state}"))
        if action == "poweron":
            if "cloud-init" not in found.more.get("data", {}) and not found.foreign:
                raise AssertionError("an Instance is started without its user data")
            found.state, found.looks, found.held = "starting", 0, False
        else:
            found.state, found.held = "stopping", True
            found.more |= {"ending": action == "terminate", "stops": 0}
        return Answer(202, {"task": {"id": self.new_id(), "status": "pending"}})

    def _lives(self, box: Box) -> bool:
        """Whether it is there still; what stops gets on with it each time somebody looks."""
        if box.state == "stopping":
            box.more["stops"] = box.more.get("stops", 0) + 1
            if box.more["stops"] > 1:
                if box.more.get("ending"):
                    self._leave(box)
                    return False
                box.state, box.held = "stopped", False
        return True

    def _leave(self, box: Box) -> None:
        """It goes, and its disks stay."""
        for thing in self._kind("disk"):
            if thing.owner == box.id:
                thing.owner = ""
        self.drop(box)

    # Disks.

    @route("GET", f"{BLOCK}/volumes")
    def volumes(self, asked: Asked, zone: str) -> Any:
        self._place(zone)
        found = [t for t in self._kind("disk") if t.more["zone"] == zone and _tagged(asked, t.more)]
        shown = self._paged(asked, [_disk(disk) for disk in found])
        return {"volumes": shown, "total_count": len(found)}

    @route("PATCH", f"{BLOCK}/volumes/(?P<disk>[^/]+)")
    def change_volume(self, asked: Asked, zone: str, disk: str) -> Any:
        if disk not in self.things:
            raise Refused(*self.UNKNOWN)
        self.things[disk].more["tags"] = asked.json["tags"]
        return _disk(self.things[disk])

    @route("DELETE", f"{BLOCK}/volumes/(?P<disk>[^/]+)")
    def drop_volume(self, asked: Asked, zone: str, disk: str) -> Any:
        if disk not in self.things:
            raise Refused(*self.UNKNOWN)
        if self.things[disk].owner:
            raise Refused(412, _error("precondition_failed", "volume is in use"))
        del self.things[disk]
        return Answer(204)

    # Security groups.

    @route("GET", f"{INSTANCE}/security_groups")
    def groups(self, asked: Asked, zone: str) -> Any:
        self._place(zone)
        found = [
            {"id": t.id, **t.more}
            for t in self._kind("group")
            if t.more["zone"] == zone and _tagged(asked, t.more)
        ]
        return {"security_groups": self._paged(asked, found)}

    @route("POST", f"{INSTANCE}/security_groups")
    def add_group(self, asked: Asked, zone: str) -> Any:
        self._place(zone)
        made = self.keep("group", single=False, zone=zone, rules=[], **asked.json)
        return Answer(201, {"security_group": {"id": made.id, **made.more}})

    @route("DELETE", f"{INSTANCE}/security_groups/(?P<group>[^/]+)")
    def drop_group(self, asked: Asked, zone: str, group: str) -> Any:
        if group not in self.things:
            raise Refused(*self.UNKNOWN)
        if any(box.more.get("group") == group for box in self.boxes.values()):
            raise Refused(400, _error("precondition_failed", "group is in use"))
        del self.things[group]
        return Answer(204)

    @route("GET", f"{INSTANCE}/security_groups/(?P<group>[^/]+)/rules")
    def rules(self, asked: Asked, zone: str, group: str) -> Any:
        return {"rules": self._paged(asked, self.things[group].more["rules"])}

    @route("PUT", f"{INSTANCE}/security_groups/(?P<group>[^/]+)/rules")
    def set_rules(self, asked: Asked, zone: str, group: str) -> Any:
        for rule in asked.json["rules"]:
            good = rule["protocol"] == "TCP" and rule["direction"] == "inbound"
            if not good or rule["dest_port_from"] > rule["dest_port_to"]:
                raise _invalid("rules")
        self.things[group].more["rules"] = asked.json["rules"]
        return {"rules": asked.json["rules"]}

    def _place(self, zone: str) -> None:
        if zone not in ZONES:
            raise Refused(404, _error("unknown_resource", f'"{zone}" not found'))

    def _kind(self, kind: str) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.kind == kind]

    def _paged(self, asked: Asked, entries: Sequence[Any]) -> list[Any]:
        size = int(asked.query.get("per_page") or asked.query.get("page_size") or 50)
        if not 1 <= size <= 100:
            raise _invalid("per_page")
        return [*self.page(entries, int(asked.query.get("page", 1)), min(size, PAGE))]

    def _shown(self, box: Box) -> Mapping[str, Any]:
        address = {"address": box.public_ip, "family": "inet", "dynamic": True}
        disks = [t for t in self._kind("disk") if t.owner == box.id]
        return {
            "id": box.id,
            "name": box.name,
            "project": PROJECT,
            "commercial_type": box.type,
            "state": box.state,
            "tags": box.more.get("tags", []),
            "zone": box.zone or "fr-par-1",
            "creation_date": datetime.fromtimestamp(box.born, UTC).isoformat(),
            "public_ips": [address] if box.state == "running" else [],
            "private_ip": None,
            "volumes": {
                str(number): {"id": disk.id, "volume_type": "sbs_volume", "boot": number == 0}
                for number, disk in enumerate(disks)
            },
            "security_group": {"id": box.more.get("group", ""), "name": ""},
        }


def _disk(disk: Thing) -> Mapping[str, Any]:
    return {"id": disk.id, "status": "in_use" if disk.owner else "available", **disk.more}


def _tagged(asked: Asked, more: Mapping[str, Any]) -> bool:
    wanted = {tag for tag in asked.query.get("tags", "").split(",") if tag}
    return wanted <= set(more.get("tags", ()))
