"""A double of Paperspace, from the calls of SkyPilot 0.14.1 and api-evangelist/paperspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

KEY = "secret_paperspace_key"
REGION = "East Coast (NY2)"
KINDS = {"startup-scripts": "script", "private-networks": "network"}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


class Paperspace(Double):
    STATES = {
        "off": NodeState.STOPPED,
        "stopping": NodeState.STOPPED,
        "provisioning": NodeState.STARTING,
        "starting": NodeState.STARTING,
        "restarting": NodeState.STARTING,
        "upgrading": NodeState.STARTING,
        "serviceready": NodeState.STARTING,
        "ready": NodeState.RUNNING,
        "failed": NodeState.FAILED,
    }
    BOOT = ("provisioning", "starting", "serviceready", "ready")
    STOPPED = "off"
    REFUSALS = {
        "capacity": (
            400,
            _error(
                "BAD_REQUEST",
                "We are currently out of capacity for the selected VM type. Try again in a few "
                "minutes, or select a different instance.",
            ),
            "type",
        ),
        "quota": (400, _error("BAD_REQUEST", "machine limit reached for this type"), "type"),
        "auth": (403, _error("FORBIDDEN", "the key may not create machines"), ""),
        "invalid": (400, _error("BAD_REQUEST", "invalid templateId"), ""),
    }
    LOCKED = (401, _error("UNAUTHORIZED", "invalid API key"))
    UNKNOWN = (404, _error("NOT_FOUND", "not found"))
    TYPES = ("C5", "A100-80Gx8", "A4000")
    TEMPLATES = ("t0nspur5", "twnlo3zj", "tvimtol9")

    def authorised(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Bearer {KEY}"

    @route("GET", "/machines")
    def machines(self, asked: Asked) -> Any:
        # Time goes on with the first page only, so that the pages are of one listing.
        boxes = [*self.boxes.values()]
        seen = boxes if "after" in asked.query else self.listed(boxes)
        return self._paged(asked, [_shown(box) for box in seen])

    @route("POST", "/machines")
    def create(self, asked: Asked) -> Any:
        body = asked.json
        if body["machineType"] not in self.TYPES or body["region"] != REGION:
            raise self.refusal("invalid")
        if body["templateId"] not in self.TEMPLATES:
            raise self.refusal("invalid")
        if body["diskSize"] not in (100, 250, 500, 1000, 2000):
            raise self.refusal("invalid")
        if body["enableNvlink"] is not (body["machineType"] == "A100-80Gx8"):
            raise self.refusal("invalid")
        if not {body["networkId"], body["startupScriptId"]} <= set(self.things):
            raise Refused(*self.UNKNOWN)
        box = self.make(body["name"], body["region"], body["machineType"], disk=body["diskSize"])
        box.more["network"] = body["networkId"]
        return Answer(201, {"event": {"id": "e1", "state": "new"}, "data": _shown(box)})

    @route("GET", "/machines/(?P<box>[^/]+)")
    def machine(self, asked: Asked, box: str) -> Any:
        return _shown(self.the(box))

    @route("DELETE", "/machines/(?P<box>[^/]+)")
    def delete(self, asked: Asked, box: str) -> Any:
        self.drop(self.the(box))
        return {"event": {"id": "e2", "state": "new"}}

    @route("PATCH", "/machines/(?P<box>[^/]+)/(?P<action>start|stop)")
    def power(self, asked: Asked, box: str, action: str) -> Any:
        found = self.the(box)
        if (found.state == "off") is not (action == "start"):
            raise Refused(400, _error("BAD_REQUEST", f"machine is {found.state}"))
        found.state = "ready" if action == "start" else "off"
        return {"event": {"id": "e3", "state": "new"}, "data": _shown(found)}

    @route("GET", "/(?P<kind>startup-scripts|private-networks)")
    def things_of(self, asked: Asked, kind: str) -> Any:
        return self._paged(asked, [{"id": t.id, **t.more} for t in self._kind(KINDS[kind])])

    @route("POST", "/(?P<kind>startup-scripts|private-networks)")
    def add_thing(self, asked: Asked, kind: str) -> Any:
        made = self.keep(KINDS[kind], single=False, **asked.json)
        return Answer(201, {"id": made.id, **made.more})

    @route("DELETE", "/(startup-scripts|private-networks)/(?P<thing>[^/]+)")
    def drop_thing(self, asked: Asked, thing: str) -> Any:
        if thing not in self.things:
            raise Refused(*self.UNKNOWN)
        if any(box.more.get("network") == thing for box in self.boxes.values()):
            raise Refused(400, _error("BAD_REQUEST", "the network is in use"))
        del self.things[thing]
        return Answer(204)

    def _kind(self, kind: str) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.kind == kind]

    def _paged(self, asked: Asked, entries: Sequence[Any]) -> Any:
        start = int(asked.query.get("after") or 0)
        size = min(PAGE, int(asked.query.get("limit", PAGE)))
        more = start + size < len(entries)
        following = str(start + size) if more else None
        return {"items": entries[start : start + size], "hasMore": more, "nextPage": following}


def _shown(box: Box) -> Mapping[str, Any]:
    up = box.state == "ready"
    return {
        "id": box.id,
        "name": box.name,
        "state": box.state,
        "machineType": box.type,
        "region": box.region,
        "publicIp": box.public_ip if up else None,
        "privateIp": box.private_ip if up else None,
        "teamId": "tkzmg6y3m",
        "dtCreated": datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }
