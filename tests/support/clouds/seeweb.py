"""A double of Seeweb's ECS, from its clients (PyPI ecsapi, Seeweb/cloudserver-go-client)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Asked

KEY = "secret_seeweb_token"
NOTES = 60
PLANS = {
    "eCS4": ("ubuntu-2204", "ubuntu-2404", "centos-7"),
    "ECS1GPU7": ("ubuntu-2204-uefi-nvidia-driver", "ubuntu-2204"),
    "eCS1": ("centos-7",),
}


def _error(status: str, message: str) -> dict[str, Any]:
    return {"status": status, "message": message}


class Seeweb(Double):
    STATES = {
        "Booting": NodeState.STARTING,
        "Customizing": NodeState.STARTING,
        "Reimaging": NodeState.STARTING,
        "PoweringOn": NodeState.STARTING,
        "Booted": NodeState.RUNNING,
        "PoweringOff": NodeState.STOPPED,
        "Off": NodeState.STOPPED,
        "Stopped": NodeState.STOPPED,
        "SHUTOFF": NodeState.STOPPED,
        "Fail": NodeState.FAILED,
        "Deleting": NodeState.TERMINATED,
        "Deleted": NodeState.TERMINATED,
        "Terminated": NodeState.TERMINATED,
    }
    UNBILLED = frozenset({"Deleting", "Deleted", "Terminated"})
    BOOT = ("Booting", "Customizing", "Booted")
    STOPPED = "SHUTOFF"
    REFUSALS = {
        "capacity": (200, _error("error", "Plan not available: lack of resources"), "region"),
        "quota": (400, _error("error", "servers limit reached"), "cloud"),
        "auth": (403, _error("forbidden", "you cannot create servers"), ""),
        "invalid": (400, _error("error", "invalid image"), ""),
    }
    LOCKED = (401, _error("unauthorized", "invalid token"))
    UNKNOWN = (404, _error("not_found", "resource not found"))
    REGIONS = ("it-mi2", "it-fr2")

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.sold_out: set[tuple[str, str]] = set()

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("x-apitoken") == KEY

    def new_id(self) -> str:
        return f"ec{200016 + self._made}"

    @route("GET", "/regions")
    def regions(self, asked: Asked) -> Any:
        named = [{"id": n, "location": r, "description": r} for n, r in enumerate(self.REGIONS)]
        return {"status": "ok", "regions": named}

    @route("GET", "/plans/availables")
    def plans(self, asked: Asked) -> Any:
        return {
            "status": "ok",
            "plans": [
                {
                    "name": name,
                    "os_availables": [{"name": image, "active_flag": True} for image in images],
                    "region_availables": [
                        {"region": region, "hosts": []}
                        for region in self.REGIONS
                        if (name, region) not in self.sold_out
                    ],
                }
                for name, images in PLANS.items()
            ],
        }

    @route("GET", "/servers")
    def servers(self, asked: Asked) -> Any:
        shown = [_shown(box) for box in self.listed()]
        for box in [b for b in self.boxes.values() if b.state == "Deleting" and not b.held]:
            self.drop(box)
        return {"status": "ok", "count": len(shown), "server": shown}

    @route("POST", "/servers")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        known = {key.more["label"] for key in self._keys()}
        if body["plan"] not in PLANS or body["location"] not in self.REGIONS:
            raise self.refusal("invalid")
        if body["image"] not in PLANS[body["plan"]] or body["ssh_key"] not in known:
            raise self.refusal("invalid")
        if len(body["notes"]) > NOTES or not body["user_customize"].startswith("#!"):
            raise self.refusal("invalid")
        box = self.make(body["notes"], body["location"], body["plan"])
        return {"status": "ok", "action_id": 38, "server": _shown(box)}

    @route("GET", "/servers/(?P<box>[^/]+)")
    def one_server(self, asked: Asked, box: str) -> Any:
        return {"status": "ok", "server": _shown(self.the(box))}

    @route("GET", "/servers/(?P<box>[^/]+)/status")
    def status(self, asked: Asked, box: str) -> Any:
        found = self.the(box)
        return {"status": "ok", "server": {"name": found.id, "current_status": found.state}}

    @route("DELETE", "/servers/(?P<box>[^/]+)")
    def delete(self, asked: Asked, box: str) -> Any:
        found = self.the(box)
        found.state, found.held = "Deleting", False
        return {"status": "ok", "action": {"id": 39, "status": "in-progress"}}

    @route("POST", "/servers/(?P<box>[^/]+)/actions")
    def act(self, asked: Asked, box: str) -> Any:
        found = self.the(box)
        wanted = {"power_off": ("Booted", "SHUTOFF"), "power_on": ("SHUTOFF", "Booted")}
        before, after = wanted[asked.json["type"]]
        if found.state != before:
            raise self.refusal("invalid")
        found.state = after
        return {"status": "ok", "action": {"id": 40, "status": "in-progress"}}

    @route("GET", "/sshkeys")
    def keys(self, asked: Asked) -> Any:
        return {"status": "ok", "pubkeys": [{"id": int(k.id), **k.more} for k in self._keys()]}

    @route("POST", "/sshkeys")
    def add_key(self, asked: Asked) -> Any:
        self.keep("key", id=str(len(self.things) + 1), single=False, **asked.json)
        return {"status": "ok"}

    @route("DELETE", "/sshkeys/(?P<key>[^/]+)")
    def drop_key(self, asked: Asked, key: str) -> Any:
        if self.things.pop(key, None) is None:
            raise Refused(200, _error("not_found", "no such key"))
        return {"status": "ok"}

    def _keys(self) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.kind == "key"]


def _shown(box: Box) -> Mapping[str, Any]:
    up = box.state in ("Booted", "SHUTOFF")
    return {
        "name": box.id,
        "ipv4": box.public_ip if up else "",
        "ipv6": "",
        "plan": box.type,
        "location": box.region,
        "notes": box.name,
        "creation_date": datetime.fromtimestamp(box.born, UTC).isoformat(),
        "deletion_date": None,
        "active_flag": up,
        # The listing does not know that a server is switched off.
        "status": "Booted" if box.state == "SHUTOFF" else box.state,
    }
