"""A double of Verda, from its API document (api-evangelist/datacrunch) and its own clients."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

CLIENT, SECRET = "verda-client", "verda-secret-0123"


def _error(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


class Verda(Double):
    STATES = {
        "new": NodeState.STARTING,
        "ordered": NodeState.STARTING,
        "pending": NodeState.STARTING,
        "provisioning": NodeState.STARTING,
        "validating": NodeState.STARTING,
        "restoring": NodeState.STARTING,
        "running": NodeState.RUNNING,
        "offline": NodeState.STOPPED,
        "starting_hibernation": NodeState.STOPPED,
        "hibernating": NodeState.STOPPED,
        "error": NodeState.FAILED,
        "installation_failed": NodeState.FAILED,
        "no_capacity": NodeState.FAILED,
        "deleting": NodeState.TERMINATED,
        "discontinued": NodeState.TERMINATED,
        "notfound": NodeState.TERMINATED,
        "a word of next year": NodeState.STARTING,
    }
    UNBILLED = frozenset({"no_capacity", "discontinued", "notfound"})
    BOOT = ("ordered", "provisioning", "running")
    STOPPED = "offline"
    PREEMPTED = "discontinued"
    REFUSALS = {
        "capacity": (400, _error("invalid_request", "no capacity"), "region"),
        "quota": (402, _error("insufficient_funds", "Not enough funds to perform it"), "cloud"),
        "auth": (403, _error("forbidden_action", "Can't perform the current action"), ""),
        "invalid": (400, _error("invalid_request", "hostname is invalid"), ""),
    }
    LOCKED = (401, _error("unauthorized_request", "Access token is missing or invalid"))
    UNKNOWN = (404, _error("not_found", "Resource not found"))
    LOCATIONS = ("FIN-01", "FIN-02", "FIN-03", "ICE-01")
    TYPES = ("CPU.4V.16G", "1V100.6V", "1A100.22V")
    IMAGES = ("ubuntu-24.04", "ubuntu-24.04-cuda-12.8-open-docker")

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.tokens: list[str] = []
        self.sold = 0

    def authorised(self, asked: Asked) -> bool:
        if asked.path == "/oauth2/token":
            return True
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        return kind == "Bearer" and token in self.tokens

    def new_id(self) -> str:
        return str(uuid.uuid4())

    @route("POST", "/oauth2/token")
    def login(self, asked: Asked) -> Any:
        body = asked.json
        if body.get("grant_type") != "client_credentials":
            raise Refused(400, _error("invalid_request", "unknown grant_type"))
        if (body.get("client_id"), body.get("client_secret")) != (CLIENT, SECRET):
            raise Refused(*self.LOCKED)
        self.sold += 1
        self.tokens.append(f"token-{self.sold}")
        return {
            "access_token": self.tokens[-1],
            "refresh_token": "again",
            "token_type": "Bearer",
            "scope": "cloud-api-v1",
            "expires_in": 3600,
        }

    @route("GET", "/balance")
    def balance(self, asked: Asked) -> Any:
        return {"amount": 121.5, "currency": "usd"}

    @route("POST", "/instances")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        missing = {"instance_type", "image", "ssh_key_ids", "hostname", "description"} - set(body)
        keys = {t.id for t in self.things.values() if t.kind == "key"}
        if missing or not body["ssh_key_ids"] or set(body["ssh_key_ids"]) - keys:
            raise Refused(400, _error("invalid_request", f"missing or unknown: {missing}"))
        if body["image"] not in self.IMAGES or len(body["hostname"]) > 63:
            raise Refused(400, _error("invalid_request", "invalid image or hostname"))
        place, kind = body.get("location_code", "FIN-01"), body["instance_type"]
        if place not in self.LOCATIONS or kind not in self.TYPES:
            raise Refused(400, _error("invalid_request", "instance type not available"))
        box = self.make(body["hostname"], place, kind, spot=bool(body.get("is_spot")))
        disk = body.get("os_volume") or {"name": "os", "size": 50}
        policy = disk.get("on_spot_discontinue", "keep_detached")
        if not box.spot and "on_spot_discontinue" in disk:
            raise Refused(400, _error("invalid_request", "on_spot_discontinue is for spot"))
        kept = self.keep("volume", owner=box.id, name=disk["name"], size=disk["size"], left=policy)
        box.more["volume"] = kept.id
        return Answer(202, box.id.encode(), {"Content-Type": "text/plain"})

    @route("GET", "/instances")
    def instances(self, asked: Asked) -> Any:
        return [_shown(box) for box in self.listed()]

    @route("GET", "/instances/(?P<box>[^/]+)")
    def instance(self, asked: Asked, box: str) -> Any:
        return _shown(self.the(box))

    @route("PUT", "/instances")
    def act(self, asked: Asked) -> Any:
        body = asked.json
        box, action = self.the(body["id"]), body["action"]
        states = {"shutdown": "running", "start": "offline"}
        if action == "delete":
            self._delete(box, body)
        elif action not in states or box.state != states[action]:
            words = f"Can't {action} an instance in its current status"
            raise Refused(403, _error("forbidden_action", words))
        else:
            box.state = "offline" if action == "shutdown" else "running"
        return Answer(202)

    def _delete(self, box: Box, body: Mapping[str, Any]) -> None:
        """Disks that the call does not name stay; those it names go to the trash, or for good."""
        for disk in [t for t in self.things.values() if t.owner == box.id]:
            disk.owner = ""
            if disk.id in (body.get("volume_ids") or ()):
                if body.get("delete_permanently"):
                    del self.things[disk.id]
                else:
                    disk.more["status"] = "deleted"
        self.boxes.pop(box.id)

    def take_away(self, node_id: str) -> None:
        super().take_away(node_id)
        for disk in [t for t in self.things.values() if t.owner == node_id]:
            disk.owner = ""
            if disk.more["left"] == "delete_permanently":
                del self.things[disk.id]

    @route("GET", "/sshkeys")
    def keys(self, asked: Asked) -> Any:
        keys = [t for t in self.things.values() if t.kind == "key"]
        return [{"id": key.id, "fingerprint": "", **key.more} for key in keys]

    @route("POST", "/sshkeys")
    def add_key(self, asked: Asked) -> Any:
        body = asked.json
        if not body["key"].startswith("ssh-") or not body["name"]:
            raise Refused(400, _error("invalid_request", "invalid key"))
        made = self.keep("key", single=False, name=body["name"], key=body["key"])
        return Answer(201, made.id.encode(), {"Content-Type": "text/plain"})

    @route("DELETE", "/sshkeys/(?P<key>[^/]+)")
    def drop_key(self, asked: Asked, key: str) -> Any:
        if self.things.pop(key, None) is None:
            raise Refused(*self.UNKNOWN)
        return Answer(200)

    @route("GET", "/volumes")
    def volumes(self, asked: Asked) -> Any:
        disks = [t for t in self.things.values() if t.kind == "volume"]
        return [_volume(disk) for disk in disks if disk.more.get("status") != "deleted"]

    @route("PUT", "/volumes")
    def act_on_volume(self, asked: Asked) -> Any:
        body = asked.json
        disk = self.things.get(body["id"])
        if disk is None:
            raise Refused(*self.UNKNOWN)
        if body["action"] != "delete" or disk.owner:
            raise Refused(403, _error("forbidden_action", "the volume is attached"))
        if body.get("is_permanent"):
            del self.things[disk.id]
        else:
            disk.more["status"] = "deleted"
        return Answer(202)


def _shown(box: Box) -> Mapping[str, Any]:
    booting = box.state in ("ordered", "new")
    return {
        "id": box.id,
        "instance_type": box.type,
        "price_per_hour": 0.1,
        "hostname": box.name,
        "description": box.name,
        "status": box.state,
        "created_at": datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "ssh_key_ids": [],
        "ip": None if booting else box.public_ip,
        "os_volume_id": box.more.get("volume"),
        "location": box.region,
        "image": "ubuntu-24.04",
        "is_spot": box.spot,
        "contract": "SPOT" if box.spot else "PAY_AS_YOU_GO",
    }


def _volume(disk: Thing) -> Mapping[str, Any]:
    return {
        "id": disk.id,
        "name": disk.more["name"],
        "size": disk.more["size"],
        "type": "NVMe",
        "status": "attached" if disk.owner else "detached",
        "is_os_volume": True,
        "location": "FIN-01",
        "instance_id": disk.owner or None,
        "created_at": "2026-10-01T10:00:00.000Z",
    }
