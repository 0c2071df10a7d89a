"""A double of Vast.ai, from its API document: a market of machines, and instances on them."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, route
from stix.clouds.testing.faults import Refusal
from stix.clouds.testing.wire import Answer, Asked

KEY = "secret_vast_key"
ASK_FIELDS = {
    "image",
    "label",
    "disk",
    "runtype",
    "onstart",
    "env",
    "target_state",
    "cancel_unavail",
    "price",
}


@dataclass
class Ask:
    """A machine on offer. ``gone``: rented by somebody since it was last shown. ``bid_now``: what
    the lowest bid has become since then."""

    id: int
    price: float
    min_bid: float
    gpu: str = "RTX 3090"
    gpus: int = 1
    place: str = "Bucharest, RO"
    cpus: float = 32.0
    ram: int = 65536
    gone: bool = False
    bid_now: float = 0.0

    def shown(self) -> Mapping[str, Any]:
        return {
            "id": self.id,
            "gpu_name": self.gpu,
            "num_gpus": self.gpus,
            "geolocation": self.place,
            "cpu_cores_effective": self.cpus,
            "cpu_ram": self.ram,
            "disk_space": 500.0,
            "direct_port_count": 100,
            "reliability": 0.99,
            "dph_total": self.price,
            "min_bid": self.min_bid,
            "verified": True,
            "rentable": True,
            "rented": False,
        }


def _error(status: int, code: str, msg: str) -> tuple[int, dict[str, Any]]:
    return status, {"success": False, "error": code, "msg": msg}


class Vast(Double):
    STATES = {
        "null": NodeState.STARTING,
        "loading": NodeState.STARTING,
        "created": NodeState.STARTING,
        "scheduling": NodeState.STARTING,
        "restarting": NodeState.STARTING,
        "rebooting": NodeState.STARTING,
        "unknown": NodeState.STARTING,
        "running": NodeState.RUNNING,
        "stopped": NodeState.STOPPED,
        "frozen": NodeState.STOPPED,
        "exited": NodeState.FAILED,
        "offline": NodeState.FAILED,
    }
    BOOT = ("null", "loading", "running")
    STOPPED = "stopped"
    PREEMPTED = "exited"
    GONE = _error(410, "no_such_ask", "error 410/3907: no_such_ask Instance type is gone.")
    REFUSALS = {
        "capacity": (*GONE, "type"),
        "quota": (*_error(400, "insufficient_balance", "Your account lacks credit."), "cloud"),
        "auth": (*_error(403, "forbidden", "This key may not rent."), ""),
        "invalid": (*_error(400, "invalid_args", "error 400/3467: Invalid args."), ""),
    }
    LOCKED = _error(401, "auth_error", "Invalid user key")
    UNKNOWN = _error(404, "no_such_instance", "Instance with that ID does not exist.")

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.asks = {ask.id: ask for ask in (Ask(11, 0.25, 0.10), Ask(12, 0.26, 0.12))}
        self._ids = itertools.count(1_234_568)

    def new_id(self) -> str:
        return str(next(self._ids))

    def refuse(self, why: Refusal, times: int = 1) -> None:
        super().refuse(why, times * len(self.asks) if why == "capacity" else times)

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    @route("GET", "/api/v0/users/current/")
    def user(self, asked: Asked) -> Any:
        return {"id": 123456, "email": "you@example.com", "credit": 25.0}

    @route("POST", "/api/v0/bundles/")
    def bundles(self, asked: Asked) -> Any:
        search = dict(asked.json)
        limit, order = search.pop("limit"), search.pop("order")
        if search.pop("type") not in ("ondemand", "bid", "reserved"):
            raise Refused(*_error(400, "invalid_request", "type"))
        search.pop("allocated_storage", None)
        shown = [ask.shown() for ask in self.asks.values()]
        found = [ask for ask in shown if all(_agrees(ask, k, v) for k, v in search.items())]
        found.sort(key=lambda ask: ask[order[0][0]])
        return {"offers": found[:limit]}

    @route("PUT", r"/api/v0/asks/(?P<ask>\d+)/")
    def rent(self, asked: Asked, ask: str) -> Any:
        body, wanted = asked.json, self.asks.get(int(ask))
        good = (
            set(body) <= ASK_FIELDS
            and body.get("image")
            and len(body["label"]) <= 256
            and len(body["onstart"]) <= 4096
            and body["disk"] >= 8
            and body["runtype"] == "ssh_direct"
            and all(key.startswith("-p ") for key in body["env"])
        )
        if not good:
            raise self.refusal("invalid")
        if wanted is None or wanted.gone:
            raise Refused(*self.GONE)
        bid = body.get("price")
        low = bid is not None and bid < max(wanted.min_bid, wanted.bid_now)
        box = self.make(body["label"], wanted.place, "1x", spot=bid is not None, env=body["env"])
        if low:
            box.state, box.held = "stopped", True
            said = _error(400, "invalid_price", "The bid is too low to run now.")[1]
            return Answer(400, {**said, "new_contract": int(box.id)})
        return {"success": True, "new_contract": int(box.id)}

    @route("GET", "/api/v1/instances/")
    def instances(self, asked: Asked) -> Any:
        json.loads(asked.query["order_by"])
        if not 0 < int(asked.query["limit"]) <= 25:
            raise Refused(*_error(400, "invalid_request", "limit"))
        token = asked.query.get("after_token")
        after = int(base64.b64decode(token)) if token else 0
        left = sorted(int(b.id) for b in self.boxes.values() if int(b.id) > after)
        page = left[:PAGE]
        more = base64.b64encode(str(page[-1]).encode()).decode() if left[PAGE:] else None
        shown = self.listed([self.boxes[str(number)] for number in page])
        return {
            "success": True,
            "instances": [_shown(box) for box in shown],
            "instances_found": len(shown),
            "next_token": more,
        }

    @route("PUT", r"/api/v0/instances/(?P<box>\d+)/")
    def manage(self, asked: Asked, box: str) -> Any:
        wanted, found = asked.json["state"], self.the(box)
        found.more["intended"] = wanted
        if wanted == "stopped":
            found.state = self.STOPPED
        elif found.state in ("stopped", "exited"):
            found.state, found.looks = "loading", 1
        return {"success": True}

    @route("DELETE", r"/api/v0/instances/(?P<box>\d+)/")
    def destroy(self, asked: Asked, box: str) -> Any:
        self.drop(self.the(box))
        return {"success": True}


def _agrees(ask: Mapping[str, Any], field: str, rule: Mapping[str, Any]) -> bool:
    (operator, wanted), *_ = rule.items()
    value = ask[field]
    if field == "geolocation":
        value = value.rpartition(",")[2].strip()
    if operator == "gte":
        return bool(value >= wanted)
    if operator == "in":
        allowed: Sequence[Any] = wanted
        return value in allowed
    return bool(value == wanted)


def _shown(box: Box) -> Mapping[str, Any]:
    up = box.state == "running"
    mapped = {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(20_000 + box.number)}]}
    return {
        "id": int(box.id),
        "label": box.name,
        "actual_status": None if box.state == "null" else box.state,
        "intended_status": box.more.get("intended", "running"),
        "cur_state": "running",
        "status_msg": f"success, {box.state}",
        "public_ipaddr": box.public_ip,
        "ports": mapped if up else None,
        "is_bid": box.spot,
        "start_date": box.born,
        "geolocation": box.region,
    }
