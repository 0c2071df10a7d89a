"""A double of Hyperstack, from its client (github NexGenCloud/hyperstack-sdk-python)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

KEY = "hyperstack-key-0123"


def _error(reason: str, message: str) -> dict[str, Any]:
    return {"status": False, "message": message, "error_reason": reason}


def _bad(message: str) -> Refused:
    return Refused(400, _error("bad_request", message))


def _taken(what: str) -> Refused:
    return Refused(409, _error("already_exist", f"A {what} of this name already exists"))


def _done(**more: Any) -> dict[str, Any]:
    return {"status": True, "message": "done", **more}


class Hyperstack(Double):
    STATES = {
        "CREATING": NodeState.STARTING,
        "BUILD": NodeState.STARTING,
        "STARTING": NodeState.STARTING,
        "REBOOT": NodeState.STARTING,
        "RESTORING": NodeState.STARTING,
        "ACTIVE": NodeState.RUNNING,
        "STOPPING": NodeState.STOPPED,
        "SHUTOFF": NodeState.STOPPED,
        "HIBERNATING": NodeState.STOPPED,
        "HIBERNATED": NodeState.STOPPED,
        "ERROR": NodeState.FAILED,
        "DELETING": NodeState.TERMINATED,
        "A WORD OF NEXT YEAR": NodeState.STARTING,
    }
    BOOT = ("CREATING", "BUILD", "ACTIVE")
    STOPPED = "HIBERNATED"
    REFUSALS = {
        "capacity": (400, _error("bad_request", "Not enough stock"), "region"),
        "quota": (400, _error("bad_request", "Quota exceeded for instances"), "region"),
        "auth": (403, _error("forbidden", "You have no permission to create machines"), ""),
        "invalid": (400, _error("bad_request", "Invalid flavor"), ""),
    }
    LOCKED = (401, _error("unauthorized", "Invalid API key"))
    UNKNOWN = (404, _error("not_found", "It does not exist"))
    REGIONS = ("NORWAY-1", "CANADA-1", "US-1")
    FLAVORS = ("n3-RTX-A4000x1", "n3-RTX-A6000x1")
    IMAGES = ("Ubuntu Server 24.04 LTS R570 CUDA 12.8",)

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.sold_out = False

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("api_key") == KEY

    def new_id(self) -> str:
        return str(1000 + len(self.boxes) + len(self.things) + self._made * 10)

    @route("GET", "/auth/me")
    def me(self, asked: Asked) -> Any:
        return _done(user={"email": "a@example.com", "name": "Ada", "username": "ada"})

    @route("GET", "/core/flavors")
    def flavors(self, asked: Asked) -> Any:
        region = asked.query["region"]
        if region not in self.REGIONS:
            raise Refused(*self.UNKNOWN)
        group: dict[str, Any] = {"gpu": "RTX-A4000", "region_name": region}
        group["flavors"] = [
            {"id": i, "name": name, "region_name": region, "stock_available": not self.sold_out}
            for i, name in enumerate(self.FLAVORS)
        ]
        return _done(data=[group])

    @route("GET", "/core/environments")
    def environments(self, asked: Asked) -> Any:
        return self._paged(asked, "environments", self._kind("environment"))

    @route("POST", "/core/environments")
    def add_environment(self, asked: Asked) -> Any:
        body = asked.json
        if body["region"] not in self.REGIONS or len(body["name"]) > 50:
            raise _bad("Invalid region or name")
        if body["name"] in {e["name"] for e in self._kind("environment")}:
            raise _taken("environment")
        made = self.keep("environment", single=False, **body)
        return _done(environment=_shown_thing(made))

    @route("DELETE", "/core/environments/(?P<thing>[0-9]+)")
    def drop_environment(self, asked: Asked, thing: str) -> Any:
        there = self.things.get(thing)
        if there is None:
            raise Refused(*self.UNKNOWN)
        name = there.more["name"]
        used = [b for b in self.boxes.values() if b.more.get("environment") == name]
        used_by_keys = [k for k in self._kind("key") if k["environment"]["name"] == name]
        if used or used_by_keys:
            raise _bad("The environment is in use")
        del self.things[thing]
        return _done()

    @route("GET", "/core/keypairs")
    def keys(self, asked: Asked) -> Any:
        return self._paged(asked, "keypairs", self._kind("key"))

    @route("POST", "/core/keypairs")
    def add_key(self, asked: Asked) -> Any:
        body = asked.json
        place = self._environment(body["environment_name"])
        if len(body["name"]) > 50 or not body["public_key"].startswith("ssh-"):
            raise _bad("Invalid key")
        if body["name"] in {key["name"] for key in self._kind("key")}:
            raise _taken("key pair")
        more = {"name": body["name"], "public_key": body["public_key"], "environment": place}
        return _done(keypair=_shown_thing(self.keep("key", single=False, **more)))

    @route("DELETE", "/core/keypair/(?P<thing>[0-9]+)")
    def drop_key(self, asked: Asked, thing: str) -> Any:
        if self.things.pop(thing, None) is None:
            raise Refused(*self.UNKNOWN)
        return _done()

    @route("POST", "/core/virtual-machines")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        missing = {"name", "environment_name", "flavor_name", "key_name", "count"} - set(body)
        if missing or len(body["name"]) > 50 or body["count"] != 1:
            raise _bad(f"Invalid or missing: {missing}")
        place = self._environment(body["environment_name"])
        keys = {(k["name"], k["environment"]["name"]) for k in self._kind("key")}
        if (body["key_name"], place["name"]) not in keys:
            raise Refused(404, _error("not_found", "Key pair does not exist"))
        if body["flavor_name"] not in self.FLAVORS or body["image_name"] not in self.IMAGES:
            raise _bad("Invalid flavor or image")
        if body["name"] in {box.name for box in self.boxes.values()}:
            raise _taken("virtual machine")
        more = {"environment": place["name"], "random": body.get("enable_port_randomization", True)}
        box = self.make(body["name"], place["region"], body["flavor_name"], **more)
        box.more["rules"] = [self._rule(rule) for rule in body.get("security_rules") or ()]
        if body.get("assign_floating_ip"):
            self.keep("address", owner=box.id)
        return _done(instances=[_shown(box)])

    @staticmethod
    def _rule(rule: Mapping[str, Any]) -> Mapping[str, Any]:
        missing = {"direction", "ethertype", "protocol", "remote_ip_prefix"} - set(rule)
        if missing or rule["protocol"] not in ("tcp", "udp", "icmp", "any"):
            raise _bad(f"Invalid rule: {missing}")
        if not 1 <= rule["port_range_min"] <= rule["port_range_max"] <= 65535:
            raise _bad("Invalid ports")
        return rule

    @route("GET", "/core/virtual-machines")
    def list_machines(self, asked: Asked) -> Any:
        first = asked.query.get("page", "1") == "1"
        boxes = self.listed() if first else list(self.boxes.values())
        return self._paged(asked, "instances", [_shown(box) for box in boxes])

    @route("GET", "/core/virtual-machines/(?P<box>[0-9]+)")
    def machine(self, asked: Asked, box: str) -> Any:
        return _done(instance=_shown(self.the(box)))

    @route("GET", "/core/virtual-machines/(?P<box>[0-9]+)/(?P<action>[a-z-]+)")
    def act(self, asked: Asked, box: str, action: str) -> Any:
        wanted = {
            "stop": ("ACTIVE", "SHUTOFF"),
            "start": ("SHUTOFF", "ACTIVE"),
            "hibernate": ("ACTIVE", "HIBERNATED"),
            "hibernate-restore": ("HIBERNATED", "ACTIVE"),
        }
        machine = self.the(box)
        if action not in wanted or machine.state != wanted[action][0]:
            raise _bad(f"A machine that is {machine.state} cannot {action}")
        machine.state = wanted[action][1]
        if action == "hibernate" and asked.query.get("retain_ip") != "true":
            machine.number += 50  # the address goes, and another comes
        return _done()

    @route("POST", "/core/virtual-machines/(?P<box>[0-9]+)/sg-rules")
    def add_rule(self, asked: Asked, box: str) -> Any:
        there, rule = self.the(box).more["rules"], self._rule(asked.json)
        if rule in there:
            raise _taken("rule")
        there.append(rule)
        return _done(security_rule=rule)

    @route("DELETE", "/core/virtual-machines/(?P<box>[0-9]+)")
    def destroy(self, asked: Asked, box: str) -> Any:
        self.drop(self.the(box))
        return _done()

    def _environment(self, name: str) -> Mapping[str, Any]:
        for place in self._kind("environment"):
            if place["name"] == name:
                return place
        raise Refused(404, _error("not_found", "Environment does not exist"))

    def _kind(self, kind: str) -> list[Mapping[str, Any]]:
        return [_shown_thing(thing) for thing in self.things.values() if thing.kind == kind]

    def _paged(self, asked: Asked, key: str, entries: Sequence[Any]) -> Answer:
        number = int(asked.query.get("page", 1))
        size = min(PAGE, int(asked.query.get("pageSize", 10)))
        shown = self.page(entries, number, size)
        return Answer(200, _done(count=len(entries), page=number, page_size=size, **{key: shown}))


def _shown_thing(thing: Thing) -> dict[str, Any]:
    return {"id": int(thing.id), "created_at": "2026-10-01T10:00:00", **thing.more}


def _shown(box: Box) -> Mapping[str, Any]:
    up = box.state not in ("CREATING", "BUILD")
    return {
        "id": int(box.id),
        "name": box.name,
        "status": box.state,
        "vm_state": box.state.lower(),
        "power_state": "RUNNING",
        "environment": {"name": box.more.get("environment"), "region": box.region},
        "fixed_ip": box.private_ip if up else None,
        "floating_ip": box.public_ip if up else None,
        "floating_ip_status": "ATTACHED" if up else "ATTACHING",
        "port_randomization": box.more.get("random"),
        "security_rules": box.more.get("rules", []),
        "labels": [],
        "created_at": datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    }
