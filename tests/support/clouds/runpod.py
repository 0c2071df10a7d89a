"""A double of RunPod, from its API document (REST v2), and of the GraphQL calls for spot pods."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

KEY = "rpa_SECRETRUNPODKEY"
LARGEST_ENV = 128 * 1024 - 1
"""Of one variable, in bytes; Linux takes no longer ones."""
FIELDS = {"name", "image", "args", "env", "ports", "disk", "gpu", "cpu", "cloud", "dataCenterIds"}
FIELDS |= {"mounts"}
SPOT_FIELDS = {
    "name",
    "imageName",
    "dockerArgs",
    "env",
    "ports",
    "gpuTypeId",
    "gpuCount",
    "cloudType",
    "bidPerGpu",
    "containerDiskInGb",
    "volumeInGb",
    "dataCenterId",
    "networkVolumeId",
    "volumeMountPath",
}


def _problem(status: int, title: str, detail: str) -> tuple[int, dict[str, Any]]:
    return status, {"title": title, "status": status, "detail": detail}


def _graphql_error(message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": "RUNPOD"}}], "data": None}


class Runpod(Double):
    STATES = {
        "PROVISIONING": NodeState.STARTING,
        "STARTING": NodeState.STARTING,
        "RUNNING": NodeState.RUNNING,
        "EXITED": NodeState.STOPPED,
        "ERROR": NodeState.FAILED,
        "TERMINATED": NodeState.TERMINATED,
        "MIGRATING_SOMEWHERE": NodeState.STARTING,
    }
    UNBILLED = frozenset({"EXITED", "TERMINATED"})
    BOOT = ("PROVISIONING", "STARTING", "RUNNING")
    PREEMPTED = "EXITED"
    REFUSALS = {
        "capacity": (
            *_problem(
                400,
                "Bad Request",
                "There are no longer any instances available with the requested specifications. "
                "Please refresh and try again.",
            ),
            "type",
        ),
        "quota": (*_problem(402, "Payment Required", "Insufficient balance."), "cloud"),
        "auth": (*_problem(403, "Forbidden", "access denied"), ""),
        "invalid": (*_problem(422, "Unprocessable Entity", "Request validation failed."), ""),
    }
    LOCKED = _problem(401, "Unauthorized", "missing bearer token")
    UNKNOWN = _problem(404, "Not Found", "resource not found")
    BIDS = {"NVIDIA GeForce RTX 4090": 0.35}
    PLACES = ("EU-RO-1", "US-TX-3")
    GPUS = ("NVIDIA GeForce RTX 4090", "NVIDIA L4")
    CPUS = ("cpu5c", "cpu5g", "cpu5m")

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    @route("POST", "/v2/pods")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        good = (
            set(body) <= FIELDS
            and body.get("name")
            and len(body["name"]) <= 191
            and body.get("image")
            and ("gpu" in body) != ("cpu" in body)
            and isinstance(body.get("args", ""), str)
            and isinstance(body.get("disk", 1), int)
            and set(body.get("dataCenterIds", [])) <= set(self.PLACES)
        )
        if not good:
            raise self.refusal("invalid")
        if "gpu" in body:
            known = body["gpu"]["id"] in self.GPUS and body["gpu"]["count"] >= 1
        else:
            vcpus = body["cpu"]["vcpuCount"]
            known = body["cpu"]["id"] in self.CPUS and vcpus >= 2 and not vcpus & (vcpus - 1)
        if not known:
            raise self.refusal("invalid")
        self._vet_env(body["env"])
        mounts = body.get("mounts", {})
        self._vet_mounts(mounts)
        more = {"env": body["env"], "ports": body["ports"], "mounts": mounts}
        box = self.make(body["name"], "EU-RO-1", "pod", **more)
        return Answer(201, _shown(box))

    @route("GET", "/v2/pods")
    def pods(self, asked: Asked) -> Any:
        return {"pods": [_shown(box) for box in self.listed()]}

    @route("DELETE", "/v2/pods/(?P<pod>[^/]+)")
    def delete(self, asked: Asked, pod: str) -> Any:
        self.drop(self.the(pod))
        return Answer(204)

    @route("POST", "/v2/network-volumes")
    def create_volume(self, asked: Asked) -> Any:
        body = asked.json
        size = body.get("size")
        good = (
            set(body) <= {"name", "size", "dataCenter", "type"}
            and body.get("name")
            and isinstance(size, int)
            and 10 <= size <= 4096
            and body.get("dataCenter") in self.PLACES
        )
        if not good:
            raise self.refusal("invalid")
        made = {"id": f"vol{len(self.things)}{self.new_id()}", "type": "STANDARD", **body}
        self.things[made["id"]] = Thing(made["id"], "network volume", single=False, more=made)
        return Answer(201, made)

    @route("GET", "/v2/network-volumes")
    def volumes(self, asked: Asked) -> Any:
        return {"networkVolumes": [thing.more for thing in self.things.values()]}

    @route("DELETE", "/v2/network-volumes/(?P<volume>[^/]+)")
    def delete_volume(self, asked: Asked, volume: str) -> Any:
        if self.things.pop(volume, None) is None:
            raise Refused(*self.UNKNOWN)
        return Answer(204)

    def _vet_mounts(self, mounts: Mapping[str, Any]) -> None:
        network = mounts.get("network", [])
        if len(network) > 1 or set(mounts) - {"network"}:
            raise self.refusal("invalid")
        for mount in network:
            if mount["volumeId"] not in self.things or not mount["path"].startswith("/"):
                raise self.refusal("invalid")

    @route("POST", "/graphql")
    def graphql(self, asked: Asked) -> Any:
        query, wish = asked.json["query"], asked.json.get("variables", {}).get("input")
        if "gpuTypes" in query:
            gpus = [
                {"id": gpu, "lowestPrice": {"minimumBidPrice": self.BIDS.get(gpu)}}
                for gpu in self.GPUS
            ]
            return {"data": {"gpuTypes": gpus}}
        assert "podRentInterruptable" in query
        if set(wish) - SPOT_FIELDS or wish["gpuTypeId"] not in self.GPUS:
            return Answer(400, _graphql_error("Field is not defined by the type"))
        if wish["bidPerGpu"] < self.BIDS[wish["gpuTypeId"]]:
            return _graphql_error("The bid must be at least the minimum price")
        env = {each["key"]: each["value"] for each in wish["env"]}
        self._vet_env(env)
        more: dict[str, Any] = {"env": env, "ports": wish["ports"].split(",")}
        if "networkVolumeId" in wish:
            mount = {"volumeId": wish["networkVolumeId"], "path": wish["volumeMountPath"]}
            more["mounts"] = {"network": [mount]}
        try:
            box = self.make(wish["name"], "EU-RO-1", "pod", spot=True, **more)
        except Refused as refused:
            return _graphql_error(refused.answer.body["detail"])
        return {"data": {"podRentInterruptable": {"id": box.id, "desiredStatus": "RUNNING"}}}

    def _vet_env(self, env: Mapping[str, str]) -> None:
        for key, value in env.items():
            if not isinstance(value, str) or len(f"{key}={value}".encode()) > LARGEST_ENV:
                raise self.refusal("invalid")


def _shown(box: Box) -> Mapping[str, Any]:
    direct = None
    if box.state == "RUNNING" and "22/tcp" in box.more.get("ports", []):
        direct = {
            "host": box.public_ip,
            "port": 10_000 + box.number,
            "username": "root",
            "command": f"ssh root@{box.public_ip} -p {10_000 + box.number}",
        }
    return {
        "id": box.id,
        "name": box.name,
        "status": box.state,
        "actions": [],
        "image": "any",
        "args": "",
        "env": json.loads(json.dumps(box.more.get("env", {}))),
        "mounts": box.more.get("mounts", {}),
        "dataCenterId": None if box.state == "PROVISIONING" else box.region,
        "ssh": {"proxy": None, "direct": direct},
        "cost": 0.0 if box.state in Runpod.UNBILLED else 0.69,
    }
