"""A double of Hetzner Cloud, from its public API document (api-evangelist/hetzner)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

KEY = "secret_hcloud_token"
HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
LABEL = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?")
ZONES = {"fsn1": "eu-central", "nbg1": "eu-central", "ash": "us-east"}
PORT = re.compile(r"\d{1,5}(-\d{1,5})?")
TYPES = {"cx23": (2, 4, 40, "x86"), "cax11": (2, 4, 40, "arm"), "ccx13": (2, 8, 80, "x86")}
KINDS = {"ssh_keys": "key", "firewalls": "firewall", "networks": "network"}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": None}}


def _invalid(field: str) -> Refused:
    return Refused(422, _error("invalid_input", f"invalid input in field '{field}'"))


class Hetzner(Double):
    STATES = {
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
    UNBILLED = frozenset({"deleting"})
    BOOT = ("initializing", "starting", "running")
    STOPPED = "off"
    REFUSALS = {
        "capacity": (412, _error("resource_unavailable", "error during placement"), "region"),
        "quota": (403, _error("resource_limit_exceeded", "server limit exceeded"), "cloud"),
        "auth": (401, _error("token_readonly", "token is only allowed to perform GET"), ""),
        "invalid": (422, _error("invalid_input", "invalid input in field 'image'"), ""),
    }
    LOCKED = (401, _error("unauthorized", "unable to authenticate"))
    UNKNOWN = (404, _error("not_found", "entity not found"))
    currency = "EUR"

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.actions: dict[str, dict[str, Any]] = {}
        self.breaks = ""

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    def new_id(self) -> str:
        return str(4711 + self._made + len(self.things) + len(self.actions))

    # Prices and places.

    @route("GET", "/pricing")
    def pricing(self, asked: Asked) -> Any:
        prices = [{"location": place, **_price("0.0008")} for place in ZONES]
        addresses = [{"type": "ipv4", "prices": prices}, {"type": "ipv6", "prices": []}]
        return {"pricing": {"currency": self.currency, "primary_ips": addresses}}

    @route("GET", "/server_types")
    def types(self, asked: Asked) -> Any:
        return self._paged(asked, "server_types", [_type(name) for name in TYPES])

    @route("GET", "/locations")
    def locations(self, asked: Asked) -> Any:
        named = [{"id": 1, "name": name, "network_zone": zone} for name, zone in ZONES.items()]
        wanted = asked.query.get("name")
        return self._paged(asked, "locations", [e for e in named if wanted in (None, e["name"])])

    # Servers.

    @route("GET", "/servers")
    def servers(self, asked: Asked) -> Any:
        boxes = [*self.boxes.values()]
        if "name" in asked.query:
            boxes = [box for box in boxes if box.name == asked.query["name"]]
        boxes = [box for box in boxes if _selected(asked, box.more.get("labels", {}))]
        # Time goes on with the first page only, so that the pages are of one listing.
        seen = self.listed(boxes) if asked.query.get("page", "1") == "1" else boxes
        return self._paged(asked, "servers", [self._shown(box) for box in seen])

    @route("POST", "/servers")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        self._vet(body)
        box = self.make(
            body["name"], body["location"], body["server_type"], labels=body.get("labels", {})
        )
        box.more["firewalls"] = [str(wall["firewall"]) for wall in body.get("firewalls", ())]
        box.more["networks"] = body.get("networks", [])
        for kind in ("ipv4", "ipv6"):
            self.keep("primary ip", owner=box.id, type=kind, auto_delete=True)
        made, start = self._action("create_server"), self._action("start_server")
        if self.breaks:
            self.actions[made["id"]]["broken"] = self.breaks
        body = {"server": self._shown(box), "action": made, "next_actions": [start]}
        return Answer(201, {**body, "root_password": None})

    def _vet(self, body: Mapping[str, Any]) -> None:
        if "datacenter" in body or body["location"] not in ZONES:
            raise _invalid("location")
        if body["server_type"] not in TYPES:
            raise _invalid("server_type")
        if body["image"] not in ("ubuntu-24.04", "12345"):
            raise _invalid("image")
        if len(body.get("user_data", "").encode()) > 32_768:
            raise _invalid("user_data")
        for key, value in body.get("labels", {}).items():
            if not LABEL.fullmatch(key) or (value and not LABEL.fullmatch(value)):
                raise _invalid("labels")
        wanted = [*body["ssh_keys"], *body["networks"], *(w["firewall"] for w in body["firewalls"])]
        if not {str(each) for each in wanted} <= set(self.things):
            raise Refused(*self.UNKNOWN)
        if not HOST.fullmatch(body["name"]):
            raise _invalid("name")
        if body["name"] in {box.name for box in self.boxes.values()}:
            raise Refused(409, _error("uniqueness_error", "server name is already used"))

    @route("GET", "/servers/(?P<box>[^/]+)")
    def one_server(self, asked: Asked, box: str) -> Any:
        return {"server": self._shown(self.the(box))}

    @route("DELETE", "/servers/(?P<box>[^/]+)")
    def delete(self, asked: Asked, box: str) -> Any:
        self.drop(self.the(box))
        return {"action": self._action("delete_server")}

    @route("POST", "/servers/(?P<box>[^/]+)/actions/(?P<kind>poweron|poweroff)")
    def power(self, asked: Asked, box: str, kind: str) -> Any:
        self.the(box).state = "running" if kind == "poweron" else "off"
        return Answer(201, {"action": self._action(kind)})

    @route("GET", "/actions/(?P<action>[^/]+)")
    def action(self, asked: Asked, action: str) -> Any:
        found = self.actions[action]
        found["status"] = "error" if found.get("broken") else "success"
        if found.get("broken"):
            found["error"] = {"code": found["broken"], "message": "the action failed"}
        return {"action": found}

    # What they stand on.

    @route("GET", "/(?P<kind>ssh_keys|firewalls|networks)")
    def list_things(self, asked: Asked, kind: str) -> Any:
        found = [t for t in self._kind(KINDS[kind]) if _selected(asked, t.more.get("labels", {}))]
        for field in ("name", "fingerprint"):
            if field in asked.query:
                found = [t for t in found if t.more.get(field) == asked.query[field]]
        return self._paged(asked, kind, [{"id": int(t.id), **t.more} for t in found])

    @route("POST", "/(?P<kind>ssh_keys|firewalls|networks)")
    def add_thing(self, asked: Asked, kind: str) -> Any:
        body = dict(asked.json)
        if kind == "ssh_keys":
            body["fingerprint"] = _fingerprint(body["public_key"])
        for rule in body.get("rules", ()):
            if rule["direction"] != "in" or not PORT.fullmatch(rule["port"]):
                raise _invalid("rules")
        for subnet in body.get("subnets", ()):
            if subnet["type"] not in ("cloud", "server") or subnet["network_zone"] not in (
                *ZONES.values(),
            ):
                raise _invalid("subnets")
        unique = {t.more[f] for t in self._kind(KINDS[kind]) for f in ("name",)}
        marks = {t.more.get("fingerprint") for t in self._kind("key")} - {None}
        if body["name"] in unique or body.get("fingerprint") in marks:
            raise Refused(409, _error("uniqueness_error", "it exists already"))
        made = self.keep(KINDS[kind], single=False, **body)
        return Answer(201, {kind.removesuffix("s"): {"id": int(made.id), **made.more}})

    @route("POST", "/firewalls/(?P<wall>[^/]+)/actions/apply_to_resources")
    def apply(self, asked: Asked, wall: str) -> Any:
        for entry in asked.json["apply_to"]:
            over = self.the(str(entry["server"]["id"])).more["firewalls"]
            if wall in over:
                raise Refused(422, _error("firewall_already_applied", "already applied"))
            if len(over) == 5:
                raise _invalid("apply_to")
            over.append(wall)
        return Answer(201, {"actions": [self._action("apply_firewall")]})

    @route("GET", "/primary_ips")
    def addresses(self, asked: Asked) -> Any:
        found = [
            {"id": int(t.id), "assignee_id": int(t.owner), "assignee_type": "server", **t.more}
            for t in self._kind("primary ip")
        ]
        return self._paged(asked, "primary_ips", found)

    @route("DELETE", "/(?P<kind>ssh_keys|firewalls|networks|primary_ips)/(?P<thing>[^/]+)")
    def drop_thing(self, asked: Asked, kind: str, thing: str) -> Any:
        if thing not in self.things:
            raise Refused(*self.UNKNOWN)
        if self.things[thing].owner:
            raise Refused(422, _error("must_be_unassigned", "the IP is still assigned"))
        if any(thing in box.more.get("firewalls", ()) for box in self.boxes.values()):
            raise Refused(422, _error("resource_in_use", "still applied to a resource"))
        del self.things[thing]
        return Answer(204)

    def _kind(self, kind: str) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.kind == kind]

    def _action(self, command: str) -> dict[str, Any]:
        number = self.new_id()
        made = {"id": number, "command": command, "status": "running", "error": None}
        self.actions[number] = made
        return dict(made)

    def _paged(self, asked: Asked, key: str, entries: Sequence[Any]) -> Any:
        if int(asked.query.get("per_page", 25)) > 50:
            raise _invalid("per_page")
        number = int(asked.query.get("page", 1))
        following = number + 1 if number * PAGE < len(entries) else None
        pagination = {"page": number, "next_page": following, "total_entries": len(entries)}
        return {key: self.page(entries, number), "meta": {"pagination": pagination}}

    def _shown(self, box: Box) -> Mapping[str, Any]:
        nets = [{"network": n, "ip": box.private_ip} for n in box.more.get("networks", ())]
        return {
            "id": int(box.id),
            "name": box.name,
            "status": box.state,
            "created": datetime.fromtimestamp(box.born, UTC).isoformat(),
            "public_net": {"ipv4": {"ip": box.public_ip}, "ipv6": None, "floating_ips": []},
            "private_net": nets,
            "server_type": {"name": box.type},
            "location": {"name": box.region},
            "labels": box.more.get("labels", {}),
        }


def _price(net: str) -> dict[str, Any]:
    return {"price_hourly": {"net": net, "gross": f"{float(net) * 1.19:.4f}"}}


def _type(name: str) -> Mapping[str, Any]:
    cores, memory, disk, arch = TYPES[name]
    places: list[dict[str, Any]] = [
        {"name": p, "available": p != "nbg1", "deprecation": None} for p in ZONES
    ]
    if name == "cax11":
        places[2]["deprecation"] = {"announced": "2026-01-01T00:00:00Z"}
    return {
        "name": name,
        "cores": cores,
        "memory": memory,
        "disk": disk,
        "storage_type": "local",
        "architecture": arch,
        "prices": [{"location": place, **_price("0.0060")} for place in ZONES],
        "locations": places,
    }


def _fingerprint(public_key: str) -> str:
    digest = hashlib.md5(base64.b64decode(public_key.split()[1])).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def _selected(asked: Asked, labels: Mapping[str, str]) -> bool:
    selector = asked.query.get("label_selector")
    if not selector:
        return True
    pairs = (part.split("==") for part in selector.split(","))
    return all(labels.get(key) == value for key, value in pairs)
