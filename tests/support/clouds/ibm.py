"""A double of IBM Cloud, from ibm-vpc 0.36: all regions, and the identity service."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

KEY = "ibm-api-key-0123"
VPC = r"/(?P<region>[a-z-]+)\.iaas\.cloud\.ibm\.com/v1"
IAM = r"/iam\.cloud\.ibm\.com"
NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
KINDS = ("vpcs", "subnets", "security_groups", "floating_ips")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message, "more_info": ""}], "trace": "0123"}


class Ibm(Double):
    STATES = {
        "pending": NodeState.STARTING,
        "starting": NodeState.STARTING,
        "restarting": NodeState.STARTING,
        "waiting": NodeState.STARTING,
        "running": NodeState.RUNNING,
        "stopping": NodeState.STOPPED,
        "stopped": NodeState.STOPPED,
        "failed": NodeState.FAILED,
        "deleting": NodeState.TERMINATED,
        "a_word_of_next_year": NodeState.STARTING,
    }
    BOOT = ("pending", "starting", "running")
    STOPPED = "stopped"
    PREEMPTED = "stopped"
    REFUSALS = {
        "capacity": (409, _error("insufficient_capacity", "No capacity in the zone"), "zone"),
        "quota": (400, _error("over_quota", "The quota of vCPUs is exceeded"), "region"),
        "auth": (403, _error("not_authorized", "The request is not authorized"), ""),
        "invalid": (400, _error("bad_field", "The profile is invalid"), ""),
    }
    LOCKED = (401, _error("not_authenticated", "The token is expired"))
    UNKNOWN = (404, _error("not_found", "Resource not found"))
    PROFILES = ("bx2-8x32", "gx2-8x64x1v100")
    IMAGES = (
        ("ibm-ubuntu-24-04-1-amd64-1", "ubuntu-24-04-amd64", "2025-01-01T00:00:00Z"),
        ("ibm-ubuntu-24-04-2-amd64-1", "ubuntu-24-04-amd64", "2026-01-01T00:00:00Z"),
        ("ibm-debian-12-amd64-1", "debian-12-amd64", "2026-06-01T00:00:00Z"),
    )

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.tokens: list[str] = []

    def authorised(self, asked: Asked) -> bool:
        if asked.path.endswith("/identity/token"):
            return True
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        return kind == "Bearer" and token in self.tokens

    @route("POST", rf"{IAM}/identity/token")
    def login(self, asked: Asked) -> Any:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if form.get("grant_type") != "urn:ibm:params:oauth:grant-type:apikey":
            raise Refused(400, {"errorCode": "BXNIM0001E", "errorMessage": "grant_type"})
        if form.get("apikey") != KEY:
            message = "Provided API key could not be found."
            raise Refused(400, {"errorCode": "BXNIM0415E", "errorMessage": message})
        self.tokens.append(f"token-{len(self.tokens)}")
        return {"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": 3600}

    @route("GET", rf"{IAM}/v1/apikeys/details")
    def key(self, asked: Asked) -> Any:
        if asked.headers.get("iam-apikey") != KEY:
            raise Refused(400, {"errorCode": "BXNIM0415E", "errorMessage": "no such key"})
        return {"id": "ApiKey-1", "name": "stix", "account_id": "a1b2c3", "iam_id": "IBMid-1"}

    @route("GET", rf"{VPC}/images")
    def images(self, asked: Asked, region: str) -> Any:
        found = [
            {
                "id": f"r006-{number}",
                "name": name,
                "operating_system": {"name": system},
                "created_at": made,
            }
            for number, (name, system, made) in enumerate(self.IMAGES)
            if asked.query.get("name") in (None, name)
        ]
        return self._page(asked, region, "images", found)

    @route("POST", rf"{VPC}/instances")
    def create(self, asked: Asked, region: str) -> Any:
        body, card = asked.json, asked.json["primary_network_interface"]
        subnet = self._thing(region, "subnets", card["subnet"]["id"])
        zone = body["zone"]["name"]
        good = NAME.fullmatch(body["name"]) and body["profile"]["name"] in self.PROFILES
        good = good and subnet.more["zone"]["name"] == zone and self._done(subnet)
        good = good and 10 <= body["boot_volume_attachment"]["volume"]["capacity"] <= 250
        good = good and body["image"]["id"] in [f"r006-{n}" for n in range(len(self.IMAGES))]
        if not good:
            raise self.refusal("invalid")
        for group in card["security_groups"]:
            self._thing(region, "security_groups", group["id"])
        if self._named(region, body["name"]):
            raise Refused(400, _error("validation_unique_failed", "Provided name is not unique"))
        spot = (body.get("availability") or {}).get("class") == "spot"
        groups = [group["id"] for group in card["security_groups"]]
        more = {"subnet": subnet.id, "groups": groups, "vpc": body["vpc"]["id"]}
        kind = body["profile"]["name"]
        box = self.make(body["name"], region, kind, spot=spot, zone=zone, **more)
        box.more["policy"] = body.get("availability_policy")
        if not body["boot_volume_attachment"]["delete_volume_on_instance_delete"]:
            raise self.refusal("invalid")
        self.keep("volume", owner=box.id)
        return Answer(201, _shown(box))

    @route("GET", rf"{VPC}/instances")
    def instances(self, asked: Asked, region: str) -> Any:
        boxes = [box for box in self.boxes.values() if box.region == region]
        boxes = [b for b in boxes if asked.query.get("name") in (None, b.name)]
        boxes = boxes if "start" in asked.query else self.listed(boxes)
        return self._page(asked, region, "instances", [_shown(box) for box in boxes])

    @route("GET", rf"{VPC}/instances/(?P<box>[^/]+)")
    def instance(self, asked: Asked, region: str, box: str) -> Any:
        return _shown(self._box(region, box))

    @route("DELETE", rf"{VPC}/instances/(?P<box>[^/]+)")
    def destroy(self, asked: Asked, region: str, box: str) -> Any:
        """Its address stays, and costs money."""
        there = self._box(region, box)
        for thing in self.things.values():
            if thing.kind == "floating_ips" and thing.owner == there.id:
                thing.owner = ""
        self.drop(there)
        return Answer(202)

    @route("POST", rf"{VPC}/instances/(?P<box>[^/]+)/actions")
    def act(self, asked: Asked, region: str, box: str) -> Any:
        wanted = {"stop": ("running", "stopped"), "start": ("stopped", "running")}
        there, action = self._box(region, box), asked.json["type"]
        if there.state != wanted[action][0]:
            raise Refused(409, _error("instance_invalid_state", f"it is {there.state}"))
        there.state = wanted[action][1]
        return Answer(201, {"type": action, "status": "pending"})

    def take_away(self, node_id: str) -> None:
        box = self.boxes[node_id]
        if (box.more["policy"] or {}).get("preemption") == "delete":
            self.drop(box)
            return
        self.put(node_id, "stopped")
        words = "The instance was preempted"
        box.more["reasons"] = [{"code": "stopped_by_preemption", "message": words}]

    def stranger(self, name: str) -> str:
        stranger = super().stranger(name)
        self.boxes[stranger].region = "us-east"
        return stranger

    @route("POST", rf"{VPC}/(?P<kind>vpcs|subnets|security_groups|floating_ips)")
    def add_thing(self, asked: Asked, region: str, kind: str) -> Any:
        body = asked.json
        if not NAME.fullmatch(body["name"]):
            raise self.refusal("invalid")
        if body["name"] in {t.more["name"] for t in self._kind(region, kind)}:
            raise Refused(400, _error("validation_unique_failed", "Provided name is not unique"))
        owner = self._needs(region, kind, body)
        more = {**body, "region": region, "looks": 0}
        more["address"] = str(ipaddress.ip_address("198.51.100.1") + len(self.things) % 200)
        single = kind == "floating_ips"
        return Answer(201, self._shown_thing(self.keep(kind, owner=owner, single=single, **more)))

    def _needs(self, region: str, kind: str, body: Mapping[str, Any]) -> str:
        """What it names is there, and ready; the machine that an address is for."""
        if kind in ("subnets", "security_groups"):
            vpc = self._thing(region, "vpcs", body["vpc"]["id"])
            if kind == "subnets" and (
                not self._done(vpc)
                or not body["zone"]["name"].startswith(f"{region}-")
                or body["total_ipv4_address_count"] & (body["total_ipv4_address_count"] - 1)
            ):
                raise self.refusal("invalid")
        for rule in body.get("rules", ()):
            _vet(rule)
        if kind == "floating_ips":
            return self._box(region, body["target"]["id"].removeprefix("nic-")).id
        return ""

    @route("GET", rf"{VPC}/(?P<kind>vpcs|subnets|security_groups|floating_ips)")
    def list_things(self, asked: Asked, region: str, kind: str) -> Any:
        found = [self._shown_thing(thing) for thing in self._kind(region, kind)]
        return self._page(asked, region, kind, found)

    @route("GET", rf"{VPC}/(?P<kind>vpcs|subnets)/(?P<thing>[^/]+)")
    def show_thing(self, asked: Asked, region: str, kind: str, thing: str) -> Any:
        there = self._thing(region, kind, thing)
        there.more["looks"] += 1
        return self._shown_thing(there)

    @route("DELETE", rf"{VPC}/(?P<kind>vpcs|subnets|security_groups|floating_ips)/(?P<thing>[^/]+)")
    def drop_thing(self, asked: Asked, region: str, kind: str, thing: str) -> Any:
        there = self._thing(region, kind, thing)
        users = [b.id for b in self.boxes.values() if thing in (b.more.get("subnet"), *_groups(b))]
        inside = [t.id for t in self.things.values() if t.more.get("vpc", {}).get("id") == thing]
        if users or inside:
            raise Refused(409, _error(f"{kind}_in_use", "it is in use"))
        del self.things[there.id]
        return Answer(204)

    @route("POST", rf"{VPC}/security_groups/(?P<thing>[^/]+)/rules")
    def add_rule(self, asked: Asked, region: str, thing: str) -> Any:
        _vet(asked.json)
        group = self._thing(region, "security_groups", thing)
        self._thing(region, "security_groups", asked.json["remote"]["id"])
        group.more["rules"].append(asked.json)
        return Answer(201, asked.json)

    @route("PUT", rf"{VPC}/security_groups/(?P<thing>[^/]+)/targets/nic-(?P<box>[^/]+)")
    def attach(self, asked: Asked, region: str, thing: str, box: str) -> Any:
        self._thing(region, "security_groups", thing)
        groups = self._box(region, box).more["groups"]
        groups += [thing] if thing not in groups else []
        return Answer(201, {"id": f"nic-{box}"})

    def _box(self, region: str, box: str) -> Box:
        there = self.the(box)
        if there.region != region:
            raise Refused(*self.UNKNOWN)
        return there

    def _named(self, region: str, name: str) -> list[Box]:
        return [b for b in self.boxes.values() if (b.region, b.name) == (region, name)]

    def _kind(self, region: str, kind: str) -> list[Thing]:
        every = [t for t in self.things.values() if t.kind == kind]
        return [thing for thing in every if thing.more["region"] == region]

    def _thing(self, region: str, kind: str, thing: str) -> Thing:
        for there in self._kind(region, kind):
            if there.id == thing:
                return there
        raise Refused(*self.UNKNOWN)

    @staticmethod
    def _done(thing: Thing) -> bool:
        return bool(thing.more.get("looks"))

    def _shown_thing(self, thing: Thing) -> dict[str, Any]:
        status = "available" if self._done(thing) or thing.kind == "floating_ips" else "pending"
        made = {"created_at": "2026-10-01T10:00:00Z", "status": status}
        return {"id": thing.id, **made, **thing.more}

    def _page(self, asked: Asked, region: str, what: str, found: Sequence[Any]) -> Any:
        if asked.query.get("generation") != "2" or "version" not in asked.query:
            raise Refused(400, _error("bad_request", "version and generation are required"))
        start, size = int(asked.query.get("start", 0)), min(PAGE, int(asked.query["limit"]))
        answer = {what: found[start : start + size], "limit": size, "total_count": len(found)}
        if start + size < len(found):
            base = f"https://{region}.iaas.cloud.ibm.com/v1/{what}"
            answer["next"] = {"href": f"{base}?start={start + size}&limit={size}"}
        return answer


def _groups(box: Box) -> Sequence[str]:
    groups: Sequence[str] = box.more.get("groups", ())
    return groups


def _vet(rule: Mapping[str, Any]) -> None:
    ports = rule["protocol"] == "any" or 1 <= rule["port_min"] <= rule["port_max"] <= 65535
    if rule["direction"] not in ("inbound", "outbound") or not ports or not rule.get("remote"):
        raise Refused(400, _error("bad_field", "The rule is invalid"))


def _shown(box: Box) -> Mapping[str, Any]:
    return {
        "id": box.id,
        "name": box.name,
        "status": box.state,
        "status_reasons": box.more.get("reasons", []),
        "lifecycle_state": "stable",
        "availability": {"class": "spot" if box.spot else "standard"},
        "availability_policy": {"host_failure": "stop", "preemption": "stop"},
        "profile": {"name": box.type},
        "vpc": {"id": box.more.get("vpc")},
        "zone": {"name": box.zone or "us-east-1"},
        "primary_network_interface": {
            "id": f"nic-{box.id}",
            "primary_ip": {"address": box.private_ip},
        },
        "created_at": datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
