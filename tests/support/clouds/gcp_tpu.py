"""A double of the TPU API, beside that of Compute Engine. From the discovery document of tpu v2."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Refused, route
from stix.clouds.testing.wire import Asked
from tests.support.clouds.gcp import NAME, Gcp
from tests.support.clouds.gcp_base import PROJECT, cut

ROOT = f"/v2/projects/{PROJECT}/locations"
NODE = rf"{ROOT}/(?P<zone>[^/]+)/nodes/(?P<name>[^/:]+)"
ZONES = ("us-central1-a", "us-west1-c")
TYPES = ("v5litepod-1", "v6e-1", "v2-8")


def refusal(status: int, message: str, grpc: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": grpc}}


class GcpTpu(Gcp):
    STATES = {
        "CREATING": NodeState.STARTING,
        "STARTING": NodeState.STARTING,
        "RESTARTING": NodeState.STARTING,
        "REPAIRING": NodeState.STARTING,
        "READY": NodeState.RUNNING,
        "STOPPING": NodeState.STOPPED,
        "STOPPED": NodeState.STOPPED,
        "DELETING": NodeState.TERMINATED,
        "PREEMPTED": NodeState.PREEMPTED,
        "HIDING": NodeState.STOPPED,
        "UNKNOWN": NodeState.FAILED,
    }
    BOOT: ClassVar[Sequence[str]] = ("CREATING", "READY")
    STOPPED = "STOPPED"
    PREEMPTED = "PREEMPTED"
    REFUSALS = {
        "capacity": (
            200,
            {"code": 8, "message": 'There is no more capacity in the zone "us-central1-a".'},
            "zone",
        ),
        "quota": (
            429,
            refusal(429, "Quota exceeded. Limit: 4 in region us-central1.", "RESOURCE_EXHAUSTED"),
            "region",
        ),
        "auth": (
            403,
            refusal(403, "Permission 'tpu.nodes.create' denied.", "PERMISSION_DENIED"),
            "",
        ),
        "invalid": (400, refusal(400, "Invalid value for field.", "INVALID_ARGUMENT"), ""),
    }

    def new_id(self) -> str:
        return f"other-{len(self.boxes)}-{self._made}"

    @route("POST", rf"{ROOT}/(?P<zone>[^/]+)/nodes")
    def create_node(self, asked: Asked, zone: str) -> Any:
        body, name = asked.json, asked.query["nodeId"]
        good = (
            NAME.fullmatch(name)
            and zone in ZONES
            and body["acceleratorType"] in TYPES
            and body["runtimeVersion"]
            and body["networkConfig"]["network"] == "default"
        )
        if not good:
            raise self.refusal("invalid")
        if name in self.boxes:
            words = f"Resource '{name}' already exists"
            raise Refused(409, refusal(409, words, "ALREADY_EXISTS"))
        spot = bool(body["schedulingConfig"]["spot"])
        try:
            region = zone.rpartition("-")[0]
            self.make(name, region, body["acceleratorType"], id=name, zone=zone, spot=spot, **body)
        except Refused as no:
            if "error" in no.answer.body:
                raise
            return self._tpu_operation(zone, no.answer.body)
        return self._tpu_operation(zone)

    @route("GET", rf"{ROOT}/-/nodes")
    def nodes(self, asked: Asked) -> Any:
        page, more = cut(asked, self.listed())
        return {"nodes": [_shown(box) for box in page], **more}

    @route("GET", NODE)
    def node(self, asked: Asked, zone: str, name: str) -> Any:
        return _shown(self.the(name))

    @route("DELETE", NODE)
    def delete_node(self, asked: Asked, zone: str, name: str) -> Any:
        self.drop(self.the(name))
        return self._tpu_operation(zone)

    @route("POST", NODE + ":(?P<what>stop|start)")
    def act_on_node(self, asked: Asked, zone: str, name: str, what: str) -> Any:
        box = self.the(name)
        if what == "stop":
            box.state, box.held = "STOPPED", False
        elif box.state == "STOPPED":
            box.state, box.looks = "CREATING", 0
        return self._tpu_operation(zone)

    @route("GET", rf"{ROOT}/(?P<zone>[^/]+)/operations/(?P<name>[^/]+)")
    def tpu_operation(self, asked: Asked, zone: str, name: str) -> Any:
        found = self.operations[name]
        found.looks = max(0, found.looks - 1)
        return self._told(found.name, zone)

    def _tpu_operation(self, zone: str, error: Any = None) -> Any:
        begun = self.begun("tpu", f"/locations/{zone}", "", error=error)
        return self._told(begun.name, zone)

    def _told(self, name: str, zone: str) -> dict[str, Any]:
        found = self.operations[name]
        told: dict[str, Any] = {"name": f"projects/{PROJECT}/locations/{zone}/operations/{name}"}
        if not found.looks:
            told |= {"done": True}
            told |= {"error": found.error} if found.error else {"response": {}}
        return told

    def take_away(self, node_id: str) -> None:
        self.put(node_id, self.PREEMPTED)


def _shown(box: Box) -> dict[str, Any]:
    up = box.state == "READY"
    zone = box.zone or f"{box.region}1-a"
    outside = {"externalIp": box.public_ip} if up else {}
    ends = [{"ipAddress": box.private_ip, "port": 8470, "accessConfig": outside}]
    return {
        "name": f"projects/{PROJECT}/locations/{zone}/nodes/{box.name}",
        "acceleratorType": box.type,
        "state": box.state,
        "labels": box.more.get("labels", {}),
        "createTime": datetime.fromtimestamp(box.born, UTC).isoformat(),
        "schedulingConfig": {"spot": box.spot},
        "networkEndpoints": ends if up else [],
    }
