"""A double of Hyperbolic, from its command line (github HyperbolicLabs/hyperbolic-cli)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Double, Refused, route
from stix.clouds.testing.wire import Asked

KEY = "hyperbolic-key-0123"


def _error(message: str) -> dict[str, Any]:
    return {"error": message}


class Hyperbolic(Double):
    STATES = {
        "unknown": NodeState.STARTING,
        "creating": NodeState.STARTING,
        "starting": NodeState.STARTING,
        "restarting": NodeState.STARTING,
        "busy": NodeState.STARTING,
        "online": NodeState.RUNNING,
        "offline": NodeState.FAILED,
        "failed": NodeState.FAILED,
        "error": NodeState.FAILED,
        "stopping": NodeState.TERMINATED,
        "terminated": NodeState.TERMINATED,
        "a word of next year": NodeState.STARTING,
    }
    UNBILLED = frozenset({"terminated"})
    BOOT = ("creating", "starting", "online")
    REFUSALS = {
        "capacity": (400, _error("No available machines for H100"), "type"),
        "quota": (402, _error("Insufficient balance"), "cloud"),
        "auth": (403, _error("Forbidden"), ""),
        "invalid": (400, _error("gpuCount must be a number string"), ""),
    }
    LOCKED = (401, _error("Could not validate credentials"))
    UNKNOWN = (404, _error("Not Found"))
    MODELS = ("H100", "H200")

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    @route("POST", "/v2/marketplace/instances/create-cheapest")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        if not isinstance(body.get("gpuCount"), str) or not body["gpuCount"].isdigit():
            raise self.refusal("invalid")
        if body["gpuModel"] not in self.MODELS:
            raise Refused(400, _error(f"No available machines for {body['gpuModel']}"))
        if not body["sshPublicKey"].startswith("ssh-"):
            raise Refused(400, _error("sshPublicKey is not a key"))
        box = self.make("", "default", body["gpuModel"], meta=body.get("userMetadata") or {})
        return {"status": "success", "instanceName": box.id}

    @route("GET", "/v1/marketplace/instances")
    def instances(self, asked: Asked) -> Any:
        return {"instances": [_shown(box) for box in self.listed()]}

    @route("POST", "/v1/marketplace/instances/terminate")
    def terminate(self, asked: Asked) -> Any:
        if asked.json["id"] not in self.boxes:
            raise Refused(400, _error(f"Instance {asked.json['id']} not found"))
        self.drop(self.boxes[asked.json["id"]])
        return {"status": "success", "error_code": None}


def _shown(box: Box) -> Mapping[str, Any]:
    up = box.state not in ("creating", "starting")
    port = 31000 + box.number
    return {
        "id": box.id,
        "start": None,
        "end": None,
        "created": datetime.fromtimestamp(box.born, UTC).isoformat().replace("+00:00", "Z"),
        "sshCommand": f"ssh ubuntu@swift-fox.1.cricket.hyperbolic.xyz -p {port}" if up else None,
        "portMappings": [],
        "userMetadata": box.more.get("meta"),
        "instance": {"id": "node", "status": box.state, "gpu_count": 1, "hardware": {}},
    }
