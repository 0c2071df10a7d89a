"""A double of DigitalOcean, from its public API document (github digitalocean/openapi)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

KEY = "dop_v1_secret_token"
TAG = re.compile(r"[a-zA-Z0-9_\-:]{1,255}")
NAME = re.compile(r"[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]")
WALL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.\-]+")
PORTS = re.compile(r"\d{1,5}(-\d{1,5})?")
USER_DATA = 65_536


def _error(name: str, message: str) -> dict[str, Any]:
    return {"id": name, "message": message, "request_id": "4d9d8375-3c56-4925-a3e7-eb137fed17e9"}


def _unprocessable(message: str) -> Refused:
    return Refused(422, _error("unprocessable_entity", message))


class DigitalOcean(Double):
    STATES = {
        "new": NodeState.STARTING,
        "active": NodeState.RUNNING,
        "off": NodeState.STOPPED,
        "archive": NodeState.STOPPED,
    }
    BOOT = ("new", "active")
    STOPPED = "off"
    REFUSALS = {
        "capacity": (
            422,
            _error("unprocessable_entity", "Size is not available in this region."),
            "region",
        ),
        "quota": (
            422,
            _error(
                "unprocessable_entity",
                "creating this/these droplet(s) will exceed your droplet limit",
            ),
            "cloud",
        ),
        "auth": (
            403,
            _error("forbidden", "You do not have permission to perform this action."),
            "",
        ),
        "invalid": (422, _error("unprocessable_entity", "request payload validation failed"), ""),
    }
    LOCKED = (401, _error("unauthorized", "Unable to authenticate you"))
    UNKNOWN = (404, _error("not_found", "The resource you were accessing could not be found."))
    REGIONS = ("nyc1", "nyc3", "tor1")
    SIZES = ("s-4vcpu-8gb", "gpu-h100x1-80gb", "gpu-h100x8-640gb")
    IMAGES = ("ubuntu-24-04-x64", "gpu-h100x1-base", "gpu-h100x8-base", "gpu-amd-base", 63663980)

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    def new_id(self) -> str:
        return str(3164444 + len(self.boxes) + len(self.things) + self._made)

    @route("GET", "/account")
    def account(self, asked: Asked) -> Any:
        account = {
            "droplet_limit": 25,
            "floating_ip_limit": 5,
            "email": "sammy@example.com",
            "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
            "email_verified": True,
            "status": "active",
            "status_message": "",
            "team": {"uuid": "5df3e3004a17e242b7c20ca6c9fc25b701a47ece", "name": "My Team"},
        }
        return {"account": account}

    @route("POST", "/droplets")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        self._vet(body)
        size = body["size"]
        box = self.make(body["name"], body["region"], size, tags=body.get("tags") or [])
        for tag in box.more["tags"]:
            self._tag(tag)
        return Answer(202, {"droplet": _shown(box), "links": {"actions": []}})

    def _vet(self, body: Mapping[str, Any]) -> None:
        known = {key.id for key in self._kind("key")}
        if not NAME.fullmatch(body["name"]) or len(body["name"]) > 255:
            raise _unprocessable("Name is invalid")
        if body["size"] not in self.SIZES or body["region"] not in self.REGIONS:
            raise self.refusal("capacity")
        if body["image"] not in self.IMAGES:
            raise _unprocessable("You specified an invalid image for Droplet creation.")
        if len(body.get("user_data", "").encode()) > USER_DATA:
            raise _unprocessable("User data is too long")
        if not all(TAG.fullmatch(tag) for tag in body.get("tags") or ()):
            raise _unprocessable("Tag names may contain letters, numbers, colons, dashes")
        if not {str(key) for key in body["ssh_keys"]} <= known:
            raise _unprocessable("invalid key identifiers for Droplet creation.")

    @route("GET", "/droplets")
    def droplets(self, asked: Asked) -> Any:
        tag, gpus = asked.query.get("tag_name"), asked.query.get("type") == "gpus"
        if tag and "type" in asked.query:
            raise Refused(400, _error("bad_request", "tag_name cannot be combined with type"))
        if int(asked.query.get("per_page", 20)) > 200:
            raise Refused(400, _error("bad_request", "per_page is at most 200"))
        boxes = [box for box in self.boxes.values() if box.type.startswith("gpu-") == gpus]
        boxes = [b for b in boxes if not tag or tag in b.more.get("tags", ())]
        return self._paged(asked, "droplets", [_shown(box) for box in self._seen(asked, boxes)])

    def _seen(self, asked: Asked, boxes: Sequence[Box]) -> Sequence[Box]:
        """Time goes on with the first page only, so that the pages are of one listing."""
        return self.listed(boxes) if asked.query.get("page", "1") == "1" else boxes

    def _paged(self, asked: Asked, key: str, entries: Sequence[Any]) -> Any:
        number = int(asked.query.get("page", 1))
        pages = {"next": f"https://api.example.com{asked.path}?page={number + 1}"}
        more = number * PAGE < len(entries)
        links = {"pages": pages} if more else {}
        shown = self.page(entries, number)
        return {key: shown, "links": links, "meta": {"total": len(entries)}}

    @route("GET", "/droplets/(?P<box>[^/]+)")
    def droplet(self, asked: Asked, box: str) -> Any:
        return {"droplet": _shown(self.the(box))}

    @route("DELETE", "/droplets/(?P<box>[^/]+)")
    def destroy(self, asked: Asked, box: str) -> Any:
        self.drop(self.the(box))
        return Answer(204)

    @route("POST", "/droplets/(?P<box>[^/]+)/actions")
    def act(self, asked: Asked, box: str) -> Any:
        droplet, kind = self.the(box), asked.json["type"]
        wanted = {"power_off": ("active", "off"), "power_on": ("off", "active")}
        if kind not in wanted or droplet.state != wanted[kind][0]:
            raise _unprocessable(f"Droplet is already {droplet.state}.")
        droplet.state = wanted[kind][1]
        action = {"id": 1, "status": "in-progress", "type": kind, "resource_id": int(box)}
        return Answer(201, {"action": action})

    @route("GET", "/account/keys")
    def keys(self, asked: Asked) -> Any:
        return self._paged(asked, "ssh_keys", [_key(key) for key in self._kind("key")])

    @route("POST", "/account/keys")
    def add_key(self, asked: Asked) -> Any:
        body = asked.json
        if body["public_key"] in {key.more["public_key"] for key in self._kind("key")}:
            raise _unprocessable("SSH Key is already in use on your account")
        made = self.keep("key", single=False, name=body["name"], public_key=body["public_key"])
        return Answer(201, {"ssh_key": _key(made)})

    @route("DELETE", "/account/keys/(?P<thing>[^/]+)|/firewalls/(?P<wall>[^/]+)")
    def drop_thing(self, asked: Asked, thing: str | None, wall: str | None) -> Any:
        if self.things.pop(thing or wall or "", None) is None:
            raise Refused(*self.UNKNOWN)
        return Answer(204)

    @route("POST", "/tags")
    def add_tag(self, asked: Asked) -> Any:
        name = asked.json["name"]
        if not TAG.fullmatch(name):
            raise Refused(400, _error("bad_request", "invalid tag"))
        self._tag(name)
        return Answer(201, {"tag": {"name": name}})

    @route("POST", "/tags/(?P<tag>[^/]+)/resources")
    def tag_things(self, asked: Asked, tag: str) -> Any:
        if tag not in {t.more["name"] for t in self._kind("tag")}:
            raise Refused(*self.UNKNOWN)
        for entry in asked.json["resources"]:
            if entry["resource_type"] != "droplet":
                raise self.refusal("invalid")
            self.the(entry["resource_id"]).more["tags"].append(tag)
        return Answer(204)

    @route("GET", "/firewalls")
    def firewalls(self, asked: Asked) -> Any:
        return self._paged(asked, "firewalls", [_wall(wall) for wall in self._kind("firewall")])

    @route("POST", "/firewalls")
    def add_firewall(self, asked: Asked) -> Any:
        body = asked.json
        rules = [*body.get("inbound_rules", ()), *body.get("outbound_rules", ())]
        tags = {t.more["name"] for t in self._kind("tag")}
        good = all(r["protocol"] in ("tcp", "udp", "icmp") for r in rules)
        good = good and all(PORTS.fullmatch(r["ports"]) for r in rules)
        good = good and all("sources" in r for r in body.get("inbound_rules", ()))
        good = good and all("destinations" in r for r in body.get("outbound_rules", ()))
        if not rules or not good or not WALL.fullmatch(body["name"]) or set(body["tags"]) - tags:
            raise Refused(400, _error("bad_request", "invalid firewall"))
        if body["name"] in {wall.more["name"] for wall in self._kind("firewall")}:
            raise Refused(409, _error("conflict", "duplicate name"))
        return Answer(202, {"firewall": _wall(self.keep("firewall", single=False, **body))})

    def _tag(self, name: str) -> None:
        if name not in {t.more["name"] for t in self._kind("tag")}:
            self.keep("tag", id=f"tag {name}", single=False, name=name)

    def _kind(self, kind: str) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.kind == kind]


def _key(key: Thing) -> Mapping[str, Any]:
    fingerprint = hashlib.md5(key.more["public_key"].encode()).hexdigest()
    return {"id": int(key.id), "fingerprint": fingerprint, **key.more}


def _wall(wall: Thing) -> Mapping[str, Any]:
    made = {"status": "succeeded", "created_at": "2026-05-23T21:24:00Z", "pending_changes": []}
    return {"id": wall.id, **made, **wall.more}


def _shown(box: Box) -> Mapping[str, Any]:
    nets = []
    if box.state != "new":
        nets = [
            {"ip_address": box.private_ip, "netmask": "255.255.0.0", "type": "private"},
            {"ip_address": box.public_ip, "netmask": "255.255.255.0", "type": "public"},
        ]
    born = datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": int(box.id),
        "name": box.name,
        "locked": box.state == "new",
        "status": box.state,
        "created_at": born,
        "size_slug": box.type,
        "networks": {"v4": nets, "v6": []},
        "region": {"slug": box.region, "name": box.region, "available": True},
        "tags": box.more.get("tags", []),
        "volume_ids": [],
    }
