"""A double of Vultr's API v2, from its document (vultr.com/api)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, route
from stix.clouds.testing.wire import Answer, Asked
from tests.support.clouds.libcloud import bearer, good_tags

KEY = "VULTRSECRETKEY0123456789"
USER_DATA = 65_536


def _no(status: int, words: str) -> Refused:
    return Refused(status, {"error": words, "status": status})


class Vultr(Double):
    # Three words of Vultr, with a slash between.
    STATES = {
        "pending/running/none": NodeState.STARTING,
        "active/running/none": NodeState.STARTING,
        "active/running/installingbooting": NodeState.STARTING,
        "active/running/locked": NodeState.STARTING,
        "active/running/ok": NodeState.RUNNING,
        "active/stopped/ok": NodeState.STOPPED,
        "resizing/running/locked": NodeState.STARTING,
        "suspended/stopped/ok": NodeState.STOPPED,
    }
    BOOT = ("pending/running/none", "active/running/installingbooting", "active/running/ok")
    STOPPED = "active/stopped/ok"
    REFUSALS = {
        "capacity": (
            400,
            {"error": "Server add failed: This plan is out of stock.", "status": 400},
            "region",
        ),
        "quota": (
            400,
            {
                "error": "Server add failed: You have reached the maximum number of active "
                "instances for this account.",
                "status": 400,
            },
            "cloud",
        ),
        "auth": (
            403,
            {"error": "Forbidden: you may not create instances", "status": 403},
            "",
        ),
        "invalid": (400, {"error": "Invalid hostname", "status": 400}, ""),
    }
    LOCKED = (401, {"error": "Invalid API token.", "status": 401})
    UNKNOWN = (404, {"error": "Invalid instance", "status": 404})
    PLANS = {
        "vc2-2c-4gb": {"vcpu_count": 2, "ram": 4096, "hourly_cost": 0.027, "type": "vc2"},
        "vcg-a40-24c-120g-48vram": {
            "vcpu_count": 24,
            "ram": 122880,
            "hourly_cost": 1.712,
            "type": "vcg",
            "gpu_type": "NVIDIA_A40",
            "gpu_vram_gb": 48,
        },
        "vhf-1c-1gb": {"vcpu_count": 1, "ram": 1024, "hourly_cost": 0.009, "type": "vhf"},
    }
    REGIONS = ("ewr", "fra")
    SYSTEMS = (2284, 477)

    def authorised(self, asked: Asked) -> bool:
        return bearer(KEY, asked.headers.get("authorization"))

    @route("GET", "/v2/account")
    def account(self, asked: Asked) -> Any:
        shown = {"name": "Example", "email": "a@example.com", "acls": ["manage_users"]}
        return {"account": {**shown, "balance": -10.0, "pending_charges": 1.0}}

    @route("GET", "/v2/plans")
    def plans(self, asked: Asked) -> Any:
        plans = [
            {
                "id": name,
                "disk": 80,
                "disk_count": 1,
                "bandwidth": 3072,
                "monthly_cost": plan["hourly_cost"] * 730,  # type: ignore[operator]
                "locations": [*self.REGIONS],
                **plan,
            }
            for name, plan in self.PLANS.items()
        ]
        return self._paged(asked, "plans", plans)

    @route("GET", "/v2/plans-metal")
    def metal(self, asked: Asked) -> Any:
        plan = {
            "id": "vbm-4c-32gb",
            "cpu_count": 4,
            "cpu_threads": 8,
            "ram": 32768,
            "disk": 240,
            "disk_count": 2,
            "hourly_cost": 0.25,
            "monthly_cost": 185,
            "locations": ["ewr"],
        }
        return self._paged(asked, "plans_metal", [plan])

    @route("POST", "/v2/instances")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        if body["region"] not in self.REGIONS or body["plan"] not in self.PLANS:
            raise _no(400, "Server add failed: Plan is not available in the selected region")
        if body.get("os_id") not in self.SYSTEMS and "snapshot_id" not in body:
            raise _no(400, "Invalid OS")
        if len(base64.b64decode(body.get("user_data", ""), validate=True)) > USER_DATA:
            raise _no(400, "User data is too large")
        good_tags(body.get("tags") or [], _no(400, "Invalid tag"))
        box = self.make(body["label"], body["region"], body["plan"], **_kept(body))
        return Answer(202, {"instance": _shown(box)})

    @route("GET", "/v2/instances")
    def instances(self, asked: Asked) -> Any:
        boxes = [*self.boxes.values()]
        # Time goes on with the first page only, so that the pages are of one listing.
        seen = boxes if asked.query.get("cursor") else self.listed(boxes)
        return self._paged(asked, "instances", [_shown(box) for box in seen])

    @route("GET", "/v2/instances/(?P<box>[^/]+)")
    def instance(self, asked: Asked, box: str) -> Any:
        return {"instance": _shown(self.the(box))}

    @route("DELETE", "/v2/instances/(?P<box>[^/]+)")
    def destroy(self, asked: Asked, box: str) -> Any:
        self.drop(self.the(box))
        return Answer(204)

    @route("POST", "/v2/instances/halt")
    def halt(self, asked: Asked) -> Any:
        for box in asked.json["instance_ids"]:
            self.the(box).state = self.STOPPED
        return Answer(204)

    @route("POST", "/v2/instances/(?P<box>[^/]+)/start")
    def boot(self, asked: Asked, box: str) -> Any:
        self.the(box).state = self.BOOT[-1]
        return Answer(204)

    def _paged(self, asked: Asked, key: str, entries: Sequence[Any]) -> Any:
        if int(asked.query.get("per_page", 100)) > 500:
            raise _no(400, "per_page is at most 500")
        cursor = asked.query.get("cursor", "")
        number = int(base64.b64decode(cursor)) if cursor else 1
        more = number * PAGE < len(entries)
        next_page = base64.b64encode(str(number + 1).encode()).decode() if more else ""
        links = {"next": next_page, "prev": ""}
        return {key: self.page(entries, number), "meta": {"total": len(entries), "links": links}}


def _kept(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in ("tags", "user_data", "os_id") if name in body}


def _shown(box: Box) -> Mapping[str, Any]:
    status, power, server = box.state.split("/")
    born = datetime.fromtimestamp(box.born, UTC).isoformat(timespec="seconds")
    return {
        "id": box.id,
        "os": "Ubuntu 24.04 LTS x64",
        "os_id": box.more.get("os_id", 2284),
        "ram": 4096,
        "disk": 80,
        "vcpu_count": 2,
        "main_ip": box.public_ip if status != "pending" else "0.0.0.0",
        "internal_ip": "",
        "region": box.region,
        "plan": box.type,
        "label": box.name,
        "date_created": born,
        "status": status,
        "power_status": power,
        "server_status": server,
        "allowed_bandwidth": 3072,
        "netmask_v4": "255.255.254.0",
        "gateway_v4": "198.51.100.1",
        "v6_network": "",
        "v6_main_ip": "",
        "v6_network_size": 0,
        "kvm": "",
        "app_id": 0,
        "image_id": "",
        "firewall_group_id": "",
        "features": [],
        "tags": box.more.get("tags", []),
    }
