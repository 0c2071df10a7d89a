"""A double of Prime Intellect, from its API document: availability, pods and SSH keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, route
from stix.clouds.testing.wire import Asked

KEY = "pit_secret_prime_key"
POD_FIELDS = {
    "name",
    "cloudId",
    "gpuType",
    "socket",
    "gpuCount",
    "diskSize",
    "vcpus",
    "memory",
    "image",
    "dataCenterId",
    "country",
    "security",
    "sshKeyId",
}
IMAGES = ("ubuntu_22_cuda_12", "cuda_12_1_pytorch_2_2")


def _refusal(status: int, param: str, details: str) -> tuple[int, dict[str, Any]]:
    return status, {"errors": [{"param": param, "details": details}]}


def _spec(count: int | None, *, per_unit: float | None = None, most: int = 0) -> dict[str, Any]:
    return {
        "minCount": count,
        "defaultCount": count,
        "maxCount": most or count,
        "pricePerUnit": per_unit,
        "step": 1,
        "defaultIncludedInPrice": per_unit is None,
        "additionalInfo": None,
    }


def item(cloud_id: str, price: float | None, **more: Any) -> dict[str, Any]:
    """An entry of the availability, as the document describes it."""
    return {
        "cloudId": cloud_id,
        "gpuType": "RTX4090_24GB",
        "socket": "PCIe",
        "provider": "datacrunch",
        "region": "eu_north",
        "dataCenter": "FIN-01",
        "country": "FI",
        "gpuCount": 1,
        "gpuMemory": 24,
        "disk": _spec(50, per_unit=0.0002, most=500),
        "sharedDisk": _spec(None),
        "vcpu": _spec(16),
        "memory": _spec(64),
        "stockStatus": "Available",
        "security": "secure_cloud",
        "prices": {
            "onDemand": price,
            "communityPrice": None,
            "isVariable": False,
            "currency": "USD",
        },
        "images": list(IMAGES),
        "isSpot": None,
        "prepaidTime": None,
        **more,
    }


class PrimeIntellect(Double):
    STATES = {
        "PENDING": NodeState.STARTING,
        "PROVISIONING": NodeState.STARTING,
        "UNKNOWN": NodeState.STARTING,
        "ACTIVE": NodeState.RUNNING,
        "STOPPED": NodeState.STOPPED,
        "ERROR": NodeState.FAILED,
        "DELETING": NodeState.TERMINATED,
        "TERMINATED": NodeState.TERMINATED,
    }
    UNBILLED = frozenset({"TERMINATED"})
    BOOT = ("PROVISIONING", "PENDING", "ACTIVE")
    PREEMPTED = "STOPPED"
    REFUSALS = {
        "capacity": (*_refusal(400, "cloudId", "The GPU is out of stock."), "type"),
        "quota": (*_refusal(402, "wallet", "Insufficient funds."), "cloud"),
        "auth": (403, {"detail": "This key may not make pods."}, ""),
        "invalid": (*_refusal(422, "pod", "Field required"), ""),
    }
    LOCKED = (401, {"detail": "Authorization failed"})
    UNKNOWN = (404, {"detail": "Pod not found"})

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.items = [
            item("1RTX4090", 0.40),
            item("1RTX4090_SPOT", 0.20, isSpot=True),
            item("CPU.8V", 0.10, gpuType="CPU_NODE", region=None, dataCenter=None, country=None),
            item("8H100", 16.0, gpuType="H100_80GB", gpuCount=8, stockStatus="Unavailable"),
            item("1H200", None, gpuType="H200_141GB"),
        ]

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    @route("GET", "/api/v1/availability/gpus")
    def available(self, asked: Asked) -> Any:
        only = asked.query.get("cloud_id")
        found = [each for each in self.items if only in (None, each["cloudId"])]
        page, size = int(asked.query["page"]), min(int(asked.query["page_size"]), 100)
        if page < 1 or size < 1:
            raise self.refusal("invalid")
        return {"items": self.page(found, page), "totalCount": len(found)}

    @route("POST", "/api/v1/pods/")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        pod, provider = body["pod"], body["provider"]["type"]
        keys = {t.id for t in self.things.values() if t.kind == "key"}
        sold = [
            each
            for each in self.items
            if each["cloudId"] == pod["cloudId"]
            and each["provider"] == provider
            and each["dataCenter"] == pod.get("dataCenterId")
            and each["gpuType"] == pod["gpuType"]
            and each["gpuCount"] == pod["gpuCount"]
            and each["socket"] == pod["socket"]
        ]
        good = set(pod) <= POD_FIELDS and pod["image"] in IMAGES and pod["sshKeyId"] in keys
        if not sold or not good or not 50 <= pod["diskSize"] <= 500:
            raise self.refusal("invalid")
        box = self.make(pod["name"], "eu_north", pod["cloudId"], spot=bool(sold[0]["isSpot"]))
        return _shown(box)

    @route("GET", "/api/v1/pods/")
    def pods(self, asked: Asked) -> Any:
        return self._some([_shown(box) for box in self.listed()], asked)

    @route("DELETE", "/api/v1/pods/(?P<pod>[^/]+)")
    def delete(self, asked: Asked, pod: str) -> Any:
        self.drop(self.the(pod))
        return {"status": "TERMINATED"}

    @route("GET", "/api/v1/ssh_keys/")
    def keys(self, asked: Asked) -> Any:
        found = [{"id": t.id, **t.more} for t in self.things.values() if t.kind == "key"]
        return self._some(found, asked)

    @route("POST", "/api/v1/ssh_keys/")
    def add_key(self, asked: Asked) -> Any:
        if set(asked.json) != {"name", "publicKey"}:
            raise self.refusal("invalid")
        thing = self.keep("key", single=False, **asked.json)
        return {"id": thing.id, **thing.more}

    @route("DELETE", "/api/v1/ssh_keys/(?P<key>[^/]+)")
    def drop_key(self, asked: Asked, key: str) -> Any:
        if self.things.pop(key, None) is None:
            raise Refused(404, {"detail": "SSH key not found"})
        return {}

    def _some(self, found: list[Any], asked: Asked) -> Any:
        offset = int(asked.query.get("offset", 0))
        limit = min(int(asked.query.get("limit", 100)), PAGE)
        page = found[offset : offset + limit]
        return {"total_count": len(found), "offset": offset, "limit": limit, "data": page}


def _shown(box: Box) -> Mapping[str, Any]:
    up = box.state == "ACTIVE"
    return {
        "id": box.id,
        "userId": "user-1",
        "name": box.name,
        "type": "HOSTED",
        "providerType": "datacrunch",
        "status": box.state,
        "installationStatus": "FINISHED" if up else "PENDING",
        "installationFailure": None,
        "createdAt": datetime.fromtimestamp(box.born, UTC).isoformat(),
        "gpuName": "RTX4090_24GB",
        "gpuCount": 1,
        "socket": "PCIe",
        "priceHr": 0.4,
        "sshConnection": f"ubuntu@{box.public_ip} -p {2200 + box.number}" if up else None,
        "ip": box.public_ip if up else None,
        "isSpot": box.spot,
    }
