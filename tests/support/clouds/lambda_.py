"""A double of Lambda Cloud, from its public API document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Double, Refused, route
from stix.clouds.testing.wire import Asked

KEY = "secret_lambda_key"


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "suggestion": "See the documentation."}}


class Lambda(Double):
    STATES = {
        "booting": NodeState.STARTING,
        "active": NodeState.RUNNING,
        "unhealthy": NodeState.FAILED,
        "terminating": NodeState.TERMINATED,
        "terminated": NodeState.TERMINATED,
        "preempted": NodeState.PREEMPTED,
    }
    UNBILLED = frozenset({"terminated", "preempted"})
    BOOT = ("booting", "active")
    REFUSALS = {
        "capacity": (
            400,
            _error("instance-operations/launch/insufficient-capacity", "Not enough capacity."),
            "region",
        ),
        "quota": (400, _error("global/quota-exceeded", "Quota exceeded."), "cloud"),
        "auth": (403, _error("global/account-inactive", "Your account is inactive."), ""),
        "invalid": (400, _error("global/invalid-parameters", "Invalid request data."), ""),
    }
    LOCKED = (401, _error("global/invalid-api-key", "API key was invalid, expired, or deleted."))
    UNKNOWN = (404, _error("global/object-does-not-exist", "Specified object does not exist."))
    REGIONS = ("us-west-1", "us-east-1")
    TYPES = ("gpu_1x_a10", "cpu_4x_general")

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    @route("GET", "/instance-types")
    def types(self, asked: Asked) -> Any:
        regions = [{"name": name, "description": name} for name in self.REGIONS]
        return {
            "data": {
                name: {
                    "instance_type": {"name": name, "price_cents_per_hour": 75},
                    "regions_with_capacity_available": regions,
                }
                for name in self.TYPES
            }
        }

    @route("POST", "/instance-operations/launch")
    def launch(self, asked: Asked) -> Any:
        body = asked.json
        known = body["region_name"] in self.REGIONS and body["instance_type_name"] in self.TYPES
        keys = {t.more["name"] for t in self.things.values() if t.kind == "key"}
        if not known or len(body["ssh_key_names"]) != 1 or body["ssh_key_names"][0] not in keys:
            raise self.refusal("invalid")
        box = self.make(
            body["name"], body["region_name"], body["instance_type_name"], tags=body.get("tags", [])
        )
        return {"data": {"instance_ids": [box.id]}}

    @route("GET", "/instances")
    def instances(self, asked: Asked) -> Any:
        return {"data": [_shown(box) for box in self.listed()]}

    @route("POST", "/instance-operations/terminate")
    def terminate(self, asked: Asked) -> Any:
        boxes = [self.the(box_id) for box_id in asked.json["instance_ids"]]
        for box in boxes:
            self.drop(box)
        return {"data": {"terminated_instances": [_shown(box) for box in boxes]}}

    @route("GET", "/ssh-keys")
    def keys(self, asked: Asked) -> Any:
        return {"data": [{"id": t.id, **t.more} for t in self.things.values() if t.kind == "key"]}

    @route("POST", "/ssh-keys")
    def add_key(self, asked: Asked) -> Any:
        thing = self.keep("key", single=False, **asked.json)
        return {"data": {"id": thing.id, **thing.more}}

    @route("DELETE", "/ssh-keys/(?P<key>[^/]+)")
    def drop_key(self, asked: Asked, key: str) -> Any:
        if self.things.pop(key, None) is None:
            raise Refused(*self.UNKNOWN)
        return {}


def _shown(box: Box) -> Mapping[str, Any]:
    up = box.state == "active"
    return {
        "id": box.id,
        "name": box.name,
        "status": box.state,
        "ip": box.public_ip if up else None,
        "private_ip": box.private_ip if up else None,
        "region": {"name": box.region, "description": box.region},
        "instance_type": {"name": box.type},
        "tags": box.more.get("tags", []),
        "is_reserved": False,
    }
