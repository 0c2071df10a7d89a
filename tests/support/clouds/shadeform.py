"""A double of Shadeform, from its API document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Double, Refused, route
from stix.clouds.testing.wire import Answer, Asked

KEY = "secret_shadeform_key"
FIELDS = {"cloud", "region", "shade_instance_type", "shade_cloud", "name", "os", "ssh_key_id"}
REQUIRED = ("cloud", "region", "shade_instance_type", "shade_cloud", "name")


def kind(cloud: str, name: str, cents: int, **more: Any) -> dict[str, Any]:
    """An instance type, as the document describes it."""
    what = {
        "memory_in_gb": 32,
        "storage_in_gb": 512,
        "vcpus": 8,
        "num_gpus": 1,
        "gpu_type": name,
        "vram_per_gpu_in_gb": 48,
        "interconnect": "pcie",
        "os_options": ["ubuntu22.04_cuda12.2_shade_os"],
    }
    return {
        "cloud": cloud,
        "shade_instance_type": name,
        "cloud_instance_type": f"gpu_1x_{name.lower()}",
        "configuration": {**what, **more.pop("configuration", {})},
        "hourly_price": cents,
        "deployment_type": "vm",
        "availability": [
            {"region": "canada-1", "available": True, "display_name": "Canada"},
            {"region": "norway-1", "available": False, "display_name": "Norway"},
        ],
        "boot_time": {"min_boot_in_sec": 180, "max_boot_in_sec": 300},
        **more,
    }


def _error(status: int, code: str, words: str) -> tuple[int, dict[str, Any]]:
    return status, {"error_code": code, "error": words}


class Shadeform(Double):
    STATES = {
        "creating": NodeState.STARTING,
        "pending_provider": NodeState.STARTING,
        "pending": NodeState.STARTING,
        "active": NodeState.RUNNING,
        "error": NodeState.FAILED,
        "deleting": NodeState.TERMINATED,
        "deleted": NodeState.TERMINATED,
        "of_next_year": NodeState.STARTING,
    }
    UNBILLED = frozenset({"deleted"})
    BOOT = ("creating", "pending_provider", "pending", "active")
    REFUSALS = {
        "capacity": (
            *_error(409, "OUT_OF_STOCK", "The instance type [A6000] is not available."),
            "type",
        ),
        "quota": (
            *_error(409, "INSUFFICIENT_FUNDS", "Balance must be a minimum of $5."),
            "cloud",
        ),
        "auth": (*_error(403, "FORBIDDEN", "This key may not make instances."), ""),
        "invalid": (*_error(400, "INVALID_ARGUMENT", "The request is not valid."), ""),
    }
    LOCKED = _error(401, "UNAUTHORIZED", "Unauthorized")
    UNKNOWN = _error(404, "NOT_FOUND", "Instance not found")

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.types = [
            kind("hyperstack", "A6000", 57),
            kind("imwt", "A6000", 60),
            kind(
                "scaleway", "H100x8", 2400, configuration={"num_gpus": 8, "gpu_type": "H100_sxm5"}
            ),
            kind("unknown", "A30", 30, configuration={"vcpus": 0}),
        ]

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("x-api-key") == KEY

    @route("GET", "/instances/types")
    def list_types(self, asked: Asked) -> Any:
        only = {k: v for k, v in asked.query.items() if k in ("cloud", "shade_instance_type")}
        found = [t for t in self.types if all(t[k] == v for k, v in only.items())]
        if asked.query.get("available") == "true":
            found = [t for t in found if any(a["available"] for a in t["availability"])]
        return {"instance_types": found}

    @route("POST", "/instances/create")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        keys = {t.id for t in self.things.values() if t.kind == "key"}
        tags = body.get("tags", [])
        good = (
            set(body) <= FIELDS | {"tags"}
            and all(name in body for name in REQUIRED)
            and body["shade_cloud"] is True
            and body["ssh_key_id"] in keys
            and all(isinstance(tag, str) and 0 < len(tag) <= 128 for tag in tags)
        )
        sold = [
            place
            for each in self.types
            if (each["cloud"], each["shade_instance_type"])
            == (body["cloud"], body["shade_instance_type"])
            for place in each["availability"]
            if place["region"] == body["region"]
        ]
        if not good or not sold:
            raise self.refusal("invalid")
        if not sold[0]["available"]:
            raise self.refusal("capacity")
        box = self.make(body["name"], body["region"], body["shade_instance_type"], tags=tags)
        return {"id": box.id, "cloud_assigned_id": f"their-{box.id}"}

    @route("GET", "/instances")
    def instances(self, asked: Asked) -> Any:
        return {"instances": [_shown(box) for box in self.listed() if box.state != "deleted"]}

    @route("POST", "/instances/(?P<box>[^/]+)/delete")
    def delete(self, asked: Asked, box: str) -> Any:
        self.drop(self.the(box))
        return Answer(200)

    @route("GET", "/sshkeys")
    def keys(self, asked: Asked) -> Any:
        found = [t for t in self.things.values() if t.kind == "key"]
        return {"ssh_keys": [{"id": t.id, **t.more} for t in found] or None}

    @route("POST", "/sshkeys/add")
    def add_key(self, asked: Asked) -> Any:
        if set(asked.json) != {"name", "public_key"}:
            raise self.refusal("invalid")
        return {"id": self.keep("key", single=False, **asked.json).id}

    @route("POST", "/sshkeys/(?P<key>[^/]+)/delete")
    def drop_key(self, asked: Asked, key: str) -> Any:
        if self.things.pop(key, None) is None:
            raise Refused(*self.UNKNOWN)
        return Answer(200)


def _shown(box: Box) -> Mapping[str, Any]:
    up = box.state == "active"
    return {
        "id": box.id,
        "cloud": "hyperstack",
        "region": box.region,
        "shade_instance_type": box.type,
        "cloud_instance_type": "gpu_1x_a6000",
        "cloud_assigned_id": f"their-{box.id}",
        "shade_cloud": True,
        "name": box.name,
        "configuration": {},
        "ip": box.public_ip if up else "",
        "ssh_user": "shadeform",
        "ssh_port": 22,
        "status": box.state,
        "status_details": "",
        "cost_estimate": "0.01",
        "hourly_price": 57,
        "tags": box.more.get("tags") or None,
        "created_at": datetime.fromtimestamp(box.born, UTC).isoformat().replace("+00:00", "Z"),
    }
