"""A double of CUDO Compute, from its API document (api-evangelist/cudo-compute) and its clients."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Asked

KEY, PROJECT = "cudo-key-0123", "my-project"
BASE = f"/v1/projects/{PROJECT}"
PORTS = re.compile(r"\d+(:\d+|(,\d+)*)")


def _error(code: int, message: str, precondition: str = "") -> dict[str, Any]:
    details = []
    if precondition:
        kind = "type.googleapis.com/google.rpc.PreconditionFailure"
        details = [{"@type": kind, "violations": [{"type": precondition, "subject": "vm"}]}]
    return {"code": code, "message": message, "details": details}


class Cudo(Double):
    STATES = {
        "PENDING": NodeState.STARTING,
        "STARTING": NodeState.STARTING,
        "CLONING": NodeState.STARTING,
        "RECREATING": NodeState.STARTING,
        "MIGRATING": NodeState.STARTING,
        "RESIZING": NodeState.STARTING,
        "HOTPLUGGING": NodeState.STARTING,
        "UNKNOWN": NodeState.STARTING,
        "ACTIVE": NodeState.RUNNING,
        "STOPPING": NodeState.STOPPED,
        "STOPPED": NodeState.STOPPED,
        "SUSPENDING": NodeState.STOPPED,
        "SUSPENDED": NodeState.STOPPED,
        "FAILED": NodeState.FAILED,
        "DELETING": NodeState.TERMINATED,
        "DELETED": NodeState.TERMINATED,
        "A_WORD_OF_NEXT_YEAR": NodeState.STARTING,
    }
    UNBILLED = frozenset({"DELETED"})
    BOOT = ("PENDING", "STARTING", "ACTIVE")
    STOPPED = "STOPPED"
    REFUSALS = {
        "capacity": (400, _error(9, "no host with enough capacity"), "region"),
        "quota": (429, _error(8, "quota exceeded: gpus"), "region"),
        "auth": (403, _error(7, "permission denied"), ""),
        "invalid": (400, _error(3, "invalid machine type"), ""),
    }
    LOCKED = (401, _error(16, "invalid API key"))
    UNKNOWN = (404, _error(5, "not found"))
    ENDABLE = ("PENDING", "ACTIVE", "STOPPED", "SUSPENDED", "FAILED")
    PLACES = ("us-dallas-1", "us-newyork-1", "gb-london-1")
    TYPES = ("intel-broadwell-v100",)
    IMAGES = ("ubuntu-2204", "ubuntu-2204-nvidia-535-docker-v20240214")

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.free = 8

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    @route("GET", BASE)
    def project(self, asked: Asked) -> Any:
        return {"id": PROJECT, "billingAccountId": "my-account", "resourceCount": 1}

    @route("GET", "/v1/vms/machine-types")
    def machine_types(self, asked: Asked) -> Any:
        if not asked.query.get("vcpu") or not asked.query.get("memoryGib"):
            raise Refused(400, _error(3, "vcpu and memoryGib are required"))
        wanted = asked.query.get("dataCenterId")
        return {
            "machineTypes": [
                {
                    "dataCenterId": place,
                    "machineType": kind,
                    "maxVcpuFree": 64,
                    "maxMemoryGibFree": 256,
                    "maxGpuFree": self.free,
                }
                for place in self.PLACES
                for kind in self.TYPES
                if not wanted or wanted == place
            ]
        }

    @route("POST", f"{BASE}/vm")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        needed = {"vmId", "dataCenterId", "machineType", "vcpus", "memoryGib", "bootDiskImageId"}
        if needed - set(body) or not re.fullmatch(r"[a-z][a-z0-9-]{0,59}", body["vmId"]):
            raise self.refusal("invalid")
        if body["dataCenterId"] not in self.PLACES or body["machineType"] not in self.TYPES:
            raise self.refusal("invalid")
        if body["bootDiskImageId"] not in self.IMAGES or body["bootDisk"]["sizeGib"] < 10:
            raise self.refusal("invalid")
        groups = {t.id: t.more["dataCenterId"] for t in self._groups()}
        for group in body.get("securityGroupIds") or ():
            if groups.get(group) != body["dataCenterId"]:
                raise Refused(404, _error(5, "security group not found"))
        if body["sshKeySource"] != "SSH_KEY_SOURCE_NONE" or not body["customSshKeys"]:
            raise self.refusal("invalid")
        if body["vmId"] in self.boxes:
            raise Refused(409, _error(6, "virtual machine already exists"))
        more = {"metadata": body.get("metadata", {}), "groups": body.get("securityGroupIds", [])}
        place, kind = body["dataCenterId"], body["machineType"]
        box = self.make(body["vmId"], place, kind, id=body["vmId"], **more)
        self.keep("disk", owner=box.id)
        self.keep("address", owner=box.id)
        return {"id": box.id, "vm": _shown(box)}

    @route("GET", f"{BASE}/vms")
    def machines(self, asked: Asked) -> Any:
        shown = [_shown(box) for box in self.listed()]
        return {"VMs": shown} if shown else {}

    @route("GET", f"{BASE}/vms/(?P<box>[^/]+)")
    def machine(self, asked: Asked, box: str) -> Any:
        return {"VM": _shown(self.look(self.the(box)))}

    @route("POST", f"{BASE}/vms/(?P<box>[^/]+)/(?P<action>[a-z]+)")
    def act(self, asked: Asked, box: str, action: str) -> Any:
        machine = self.the(box)
        wanted = {"stop": ("ACTIVE", "STOPPED"), "start": ("STOPPED", "ACTIVE")}
        if action == "terminate":
            return self._terminate(machine)
        if machine.state != wanted[action][0]:
            raise Refused(400, _error(9, "it is not", f"VM_NOT_{wanted[action][0]}"))
        machine.state = wanted[action][1]
        return {}

    def _terminate(self, box: Box) -> Any:
        """What is being made or changed is refused; of what a test holds there, the change ends."""
        if box.state not in self.ENDABLE:
            if box.held:
                box.state = "ACTIVE"
            raise Refused(400, _error(9, "virtual machine is not ready", "VM_NOT_READY"))
        self.drop(box)
        return {}

    @route("PATCH", f"{BASE}/vm/(?P<box>[^/]+)/security-group/attach")
    def attach(self, asked: Asked, box: str) -> Any:
        groups, group = self.the(box).more["groups"], asked.query["securityGroupId"]
        if group not in {t.id for t in self._groups()}:
            raise Refused(*self.UNKNOWN)
        if group in groups:
            raise Refused(400, _error(9, "it is attached", "SECURITY_GROUP_IN_USE"))
        groups.append(group)
        return {}

    @route("GET", f"{BASE}/networks/security-groups")
    def groups(self, asked: Asked) -> Any:
        number, size = int(asked.query.get("pageNumber", 1)), PAGE
        found = [{"id": t.id, **t.more} for t in self._groups()]
        shown = self.page(found, number, size)
        more = {"pageNumber": number, "pageSize": size, "totalCount": len(found)}
        return {"securityGroups": shown, **more}

    @route("POST", f"{BASE}/networks/security-groups")
    def add_group(self, asked: Asked) -> Any:
        body = dict(asked.json)
        name = body.pop("id")
        for rule in body["rules"]:
            good = rule["ruleType"] in ("RULE_TYPE_INBOUND", "RULE_TYPE_OUTBOUND")
            good = good and rule["protocol"] in ("PROTOCOL_ALL", "PROTOCOL_TCP", "PROTOCOL_UDP")
            if not good or not PORTS.fullmatch(rule.get("ports", "1")):
                raise Refused(400, _error(3, "invalid rule"))
        if name in self.things:
            raise Refused(409, _error(6, "security group already exists"))
        self.keep("group", id=name, single=False, **body)
        return {"id": name}

    @route("DELETE", f"{BASE}/networks/security-groups/(?P<group>[^/]+)")
    def drop_group(self, asked: Asked, group: str) -> Any:
        if any(group in box.more.get("groups", ()) for box in self.boxes.values()):
            raise Refused(400, _error(9, "it is in use"))
        if self.things.pop(group, None) is None:
            raise Refused(*self.UNKNOWN)
        return {}

    def _groups(self) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.kind == "group"]


def _shown(box: Box) -> Mapping[str, Any]:
    shown = {
        "id": box.id,
        "datacenterId": box.region,
        "machineType": box.type,
        "internalIpAddress": box.private_ip,
        "externalIpAddress": "" if box.state == "PENDING" else box.public_ip,
        "metadata": box.more.get("metadata", {}),
        "state": box.state,
        "shortState": box.state[:4].lower(),
        "createTime": datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    if box.state == "CLONING":
        del shown["state"]  # the first word of an enumeration is left out
    return shown
