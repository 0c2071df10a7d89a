"""A double of Linode's API v4, from linode/linode-api-docs (``openapi.yaml``)."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, route
from stix.clouds.testing.wire import Asked
from tests.support.clouds.libcloud import bearer, good_tags

KEY = "linodesecrettoken0123456789"
LABEL = re.compile(r"[a-zA-Z0-9]((?!--|__|\.\.)[a-zA-Z0-9-_.])+")
USER_DATA = 65_535


def _error(words: str, field: str = "") -> dict[str, Any]:
    return {"errors": [{"reason": words, **({"field": field} if field else {})}]}


def _no(words: str, field: str = "") -> Refused:
    return Refused(400, _error(words, field))


class Linode(Double):
    STATES = {
        "provisioning": NodeState.STARTING,
        "booting": NodeState.STARTING,
        "rebooting": NodeState.STARTING,
        "rebuilding": NodeState.STARTING,
        "restoring": NodeState.STARTING,
        "cloning": NodeState.STARTING,
        "migrating": NodeState.STARTING,
        "resizing": NodeState.STARTING,
        "running": NodeState.RUNNING,
        "shutting_down": NodeState.STOPPED,
        "offline": NodeState.STOPPED,
        "stopped": NodeState.STOPPED,
        "billing_suspension": NodeState.STOPPED,
        "deleting": NodeState.TERMINATED,
    }
    UNBILLED = frozenset({"deleting"})
    BOOT = ("provisioning", "booting", "running")
    STOPPED = "offline"
    REFUSALS = {
        "capacity": (
            400,
            _error("Region is at capacity for this plan. Please choose another.", "region"),
            "region",
        ),
        "quota": (400, _error("Account Limit reached. Please open a support ticket."), "cloud"),
        "auth": (403, _error("Unauthorized: you need the grant add_linodes"), ""),
        "invalid": (400, _error("root_pass does not meet the requirements", "root_pass"), ""),
    }
    LOCKED = (401, _error("Invalid Token"))
    UNKNOWN = (404, _error("Not found"))
    TYPES = {
        "g6-standard-2": ("Linode 4GB", 2, 4096, 0, 0.036),
        "g6-dedicated-2": ("Dedicated 4GB", 2, 4096, 0, 0.054),
        "g2-gpu-rtx4000a1-s": ("RTX4000 Ada x1 Small", 4, 16384, 1, 0.52),
    }
    REGIONS = {"us-ord": ["Linodes", "GPU Linodes"], "eu-west": ["Linodes"], "nl-ams": ["Linodes"]}
    IMAGES = ("linode/ubuntu24.04", "linode/debian12")

    def authorised(self, asked: Asked) -> bool:
        return bearer(KEY, asked.headers.get("authorization"))

    def new_id(self) -> str:
        return str(45501392 + self._made)

    @route("GET", "/v4/profile")
    def profile(self, asked: Asked) -> Any:
        return {"username": "exampleUser", "email": "a@example.com", "restricted": False}

    @route("GET", "/v4/regions")
    def regions(self, asked: Asked) -> Any:
        regions = [
            {"id": name, "country": "us", "status": "ok", "capabilities": can, "resolvers": {}}
            for name, can in self.REGIONS.items()
        ]
        return self._paged(asked, regions)

    @route("GET", "/v4/linode/types")
    def types(self, asked: Asked) -> Any:
        types = [
            {
                "id": name,
                "label": label,
                "vcpus": cpus,
                "memory": mib,
                "disk": 81920,
                "gpus": gpus,
                "price": {"hourly": price, "monthly": price * 667},
                "region_prices": [{"id": "nl-ams", "hourly": price * 2, "monthly": 1.0}],
                "transfer": 4000,
                "network_out": 4000,
                "class": "standard",
                "addons": {},
                "successor": None,
            }
            for name, (label, cpus, mib, gpus, price) in self.TYPES.items()
        ]
        return self._paged(asked, types)

    @route("POST", "/v4/linode/instances")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        if body["region"] not in self.REGIONS:
            raise _no("region is not valid", "region")
        if body["type"] not in self.TYPES:
            raise _no("A valid plan type by that ID was not found", "type")
        if body["image"] not in self.IMAGES:
            raise _no("image is not valid", "image")
        if not 7 <= len(body["root_pass"]) <= 128:
            raise self.refusal("invalid")
        label = body["label"]
        if not LABEL.fullmatch(label) or not 3 <= len(label) <= 64:
            raise _no("Label must be 3 to 64 characters", "label")
        if label in {box.name for box in self.boxes.values() if box.state != "deleting"}:
            raise _no("Label must be unique among your linodes", "label")
        data = base64.b64decode(body["metadata"]["user_data"], validate=True)
        if len(data) > USER_DATA:
            raise _no("decoded user_data must not exceed 65535 bytes", "metadata.user_data")
        tags = good_tags(body.get("tags") or [], _no("Invalid tag", "tags"))
        kept = {"user_data": data, "keys": body["authorized_keys"], "tags": tags}
        return _shown(self.make(label, body["region"], body["type"], **kept))

    @route("GET", "/v4/linode/instances")
    def instances(self, asked: Asked) -> Any:
        boxes = [*self.boxes.values()]
        # Time goes on with the first page only, so that the pages are of one listing.
        seen = self.listed(boxes) if asked.query.get("page", "1") == "1" else boxes
        return self._paged(asked, [_shown(box) for box in seen])

    @route("GET", "/v4/linode/instances/(?P<box>[^/]+)")
    def instance(self, asked: Asked, box: str) -> Any:
        return _shown(self.the(box))

    @route("DELETE", "/v4/linode/instances/(?P<box>[^/]+)")
    def destroy(self, asked: Asked, box: str) -> Any:
        self.drop(self.the(box))
        return {}

    @route("POST", "/v4/linode/instances/(?P<box>[^/]+)/(?P<act>boot|shutdown)")
    def act(self, asked: Asked, box: str, act: str) -> Any:
        linode, wanted = self.the(box), "running" if act == "boot" else "offline"
        if linode.state == wanted:
            raise _no(f"Linode is already {wanted}")
        linode.state = wanted
        return {}

    def _paged(self, asked: Asked, entries: Sequence[Any]) -> Any:
        number, size = int(asked.query.get("page", 1)), int(asked.query.get("page_size", 100))
        if not 25 <= size <= 500:
            raise _no("page_size must be between 25 and 500", "page_size")
        pages = max(1, math.ceil(len(entries) / PAGE))
        shown = self.page(entries, number)
        return {"data": shown, "page": number, "pages": pages, "results": len(entries)}


def _shown(box: Box) -> Mapping[str, Any]:
    born = datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "id": int(box.id),
        "label": box.name,
        "group": "",
        "status": box.state,
        "created": born,
        "updated": born,
        "type": box.type,
        "region": box.region,
        "image": "linode/ubuntu24.04",
        "hypervisor": "kvm",
        "ipv4": [f"45.79.0.{box.number % 250 + 2}", f"192.168.130.{box.number % 250 + 2}"],
        "ipv6": "2a39:7b00::f03c:92dd:f277:4ff4/64",
        "specs": {"disk": 81920, "gpus": 0, "memory": 4096, "transfer": 4000, "vcpus": 2},
        "alerts": {},
        "backups": {"enabled": False},
        "watchdog_enabled": True,
        "tags": box.more.get("tags", []),
    }
