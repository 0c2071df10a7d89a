"""A double of Oracle's cloud, from API 20160918: two regions, and the identity service.

It checks every signature with the public key, from what came over the wire.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Double, Refused, Thing, route
from stix.clouds.testing.wire import Answer, Asked

TENANCY = "ocid1.tenancy.oc1..aaaa"
USER = "ocid1.user.oc1..bbbb"
PRINT = "20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34"
REGION = "us-ashburn-1"
ZONES = ("Uocm:US-ASHBURN-AD-1", "Uocm:US-ASHBURN-AD-2")
API = r"/iaas\.(?P<region>[a-z0-9-]+)\.oraclecloud\.com/20160918"
IDENTITY = r"/identity\.(?P<region>[a-z0-9-]+)\.oraclecloud\.com/20160918"
KINDS = "vcns|subnets|internetGateways|networkSecurityGroups"
GONE = ("TERMINATING", "TERMINATED")
PROOF = re.compile(r'(\w+)="([^"]*)"')


@cache
def private_key() -> rsa.RSAPrivateKey:
    """One for all tests: it takes a while to make."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(phrase: bytes = b"") -> bytes:
    hidden = serialization.BestAvailableEncryption(phrase) if phrase else None
    return private_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        hidden or serialization.NoEncryption(),
    )


def write_config(home: Path, phrase: str = "") -> Path:
    """A profile as Oracle's own clients write it."""
    key = home / "oci_api_key.pem"
    key.write_bytes(pem(phrase.encode()))
    lines = [
        "[DEFAULT]",
        f"user={USER}",
        f"fingerprint={PRINT}",
        f"tenancy={TENANCY}",
        f"region={REGION}",
        f"key_file={key}",
        *([f"pass_phrase={phrase}"] if phrase else []),
    ]
    file = home / "oci_config"
    file.write_text("\n".join(lines) + "\n")
    return file


def _error(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


class Oci(Double):
    STATES = {
        "PROVISIONING": NodeState.STARTING,
        "STARTING": NodeState.STARTING,
        "MOVING": NodeState.STARTING,
        "CREATING_IMAGE": NodeState.STARTING,
        "RUNNING": NodeState.RUNNING,
        "STOPPING": NodeState.STOPPED,
        "STOPPED": NodeState.STOPPED,
        "TERMINATING": NodeState.TERMINATED,
        "TERMINATED": NodeState.TERMINATED,
        "A_WORD_OF_NEXT_YEAR": NodeState.STARTING,
    }
    UNBILLED = frozenset(GONE)
    BOOT = ("PROVISIONING", "STARTING", "RUNNING")
    STOPPED = "STOPPED"
    PREEMPTED = "TERMINATED"
    REFUSALS = {
        "capacity": (500, _error("InternalError", "Out of host capacity."), "zone"),
        "quota": (400, _error("LimitExceeded", "standard-e4-core-count is exceeded"), "region"),
        "auth": (403, _error("NotAuthorized", "Not authorized"), ""),
        "invalid": (400, _error("InvalidParameter", "Invalid shape"), ""),
    }
    LOCKED = (401, _error("NotAuthenticated", "The required information was not provided"))
    UNKNOWN = (404, _error("NotAuthorizedOrNotFound", "Authorization failed or not found."))
    SHAPES = ("VM.Standard.E4.Flex", "VM.Standard.A1.Flex", "VM.GPU.A10.1")

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.tokens: dict[str, str] = {}
        self.readonly = False
        self.ended: dict[str, Box] = {}

    def the(self, box_id: str) -> Box:
        return self.ended[box_id] if box_id in self.ended else super().the(box_id)

    def new_id(self) -> str:
        return f"ocid1.thing.oc1..{super().new_id()}"

    def authorised(self, asked: Asked) -> bool:
        proof = dict(PROOF.findall(asked.headers.get("authorization", "")))
        names = proof.get("headers", "").split()
        wanted = {"date", "(request-target)", "host"}
        if asked.method in ("POST", "PUT"):
            wanted |= {"content-length", "content-type", "x-content-sha256"}
            digest = base64.b64encode(hashlib.sha256(asked.body).digest()).decode()
            if asked.headers.get("x-content-sha256") != digest:
                return False
        if set(names) != wanted or proof["keyId"] != f"{TENANCY}/{USER}/{PRINT}":
            return False
        query = urlencode(dict(asked.query), quote_via=quote, safe="")
        target = f"{asked.method.lower()} {asked.path}{'?' + query if query else ''}"
        lines = [
            f"{name}: {target if name == '(request-target)' else asked.headers[name]}"
            for name in names
        ]
        try:
            private_key().public_key().verify(
                base64.b64decode(proof["signature"]),
                "\n".join(lines).encode(),
                padding.PKCS1v15(),
                SHA256(),
            )
        except InvalidSignature:
            return False
        return True

    @route("GET", rf"{IDENTITY}/tenancies/(?P<tenancy>[^/]+)")
    def tenancy(self, asked: Asked, region: str, tenancy: str) -> Any:
        if tenancy != TENANCY:
            raise Refused(*self.UNKNOWN)
        return {"id": TENANCY, "name": "acme", "homeRegionKey": "IAD"}

    @route("GET", rf"{IDENTITY}/availabilityDomains")
    def domains(self, asked: Asked, region: str) -> Any:
        if asked.query["compartmentId"] != TENANCY or region != REGION:
            raise Refused(*self.UNKNOWN)
        return [{"name": zone, "compartmentId": TENANCY} for zone in ZONES]

    @route("GET", rf"{API}/images")
    def images(self, asked: Asked, region: str) -> Any:
        if asked.query.get("shape") not in self.SHAPES:
            return []
        assert asked.query["sortOrder"] == "DESC"
        return self._page(asked, [{"id": "ocid1.image.new"}, {"id": "ocid1.image.old"}])

    @route("POST", rf"{API}/instances")
    def create(self, asked: Asked, region: str) -> Any:
        token = asked.headers.get("opc-retry-token", "")
        if token in self.tokens:
            box = self.the(self.tokens[token])
            if box.state in GONE:
                raise Refused(409, _error("InvalidatedRetryToken", "the token was invalidated"))
            return _shown(box)
        body, card = asked.json, asked.json["createVnicDetails"]
        self._vet(region, body)
        tags, spot = body.get("freeformTags", {}), "preemptibleInstanceConfig" in body
        more = {"tags": tags, "groups": card["nsgIds"], "subnet": card["subnetId"]}
        place = {"zone": body["availabilityDomain"], "spot": spot}
        box = self.make(body["displayName"], region, body["shape"], **place, **more)
        box.more["order"] = body
        self.tokens[token] = box.id
        self.keep("bootVolume", owner=box.id)
        return _shown(box)

    def _vet(self, region: str, body: Mapping[str, Any]) -> None:
        card, source = body["createVnicDetails"], body["sourceDetails"]
        if body["availabilityDomain"] not in ZONES or body["shape"] not in self.SHAPES:
            raise self.refusal("invalid")
        if body["shape"].endswith("Flex") != ("shapeConfig" in body):
            raise self.refusal("invalid")
        if source["sourceType"] != "image" or not source["imageId"].startswith("ocid1.image"):
            raise self.refusal("invalid")
        if not 50 <= source.get("bootVolumeSizeInGBs", 50) <= 32_768:
            raise self.refusal("invalid")
        tags = body.get("freeformTags", {})
        if len(tags) > 10 or any(len(k) > 100 or len(v) > 256 for k, v in tags.items()):
            raise self.refusal("invalid")
        if sum(map(len, body["metadata"].values())) > 32_000:
            raise self.refusal("invalid")
        base64.b64decode(body["metadata"]["user_data"], validate=True)
        if not self._ready(self._thing(region, "subnets", card["subnetId"])):
            raise Refused(409, _error("IncorrectState", "the subnet is not available"))
        for group in card["nsgIds"]:
            self._thing(region, "networkSecurityGroups", group)

    @route("GET", rf"{API}/instances")
    def instances(self, asked: Asked, region: str) -> Any:
        if "page" not in asked.query:
            self._age()
        boxes = [box for box in self.boxes.values() if box.region == region]
        boxes = boxes if "page" in asked.query else self.listed(boxes)
        return self._page(asked, [_shown(box) for box in boxes])

    def _age(self) -> None:
        """What ended is listed once more, and known by its id for longer."""
        for box in [box for box in self.boxes.values() if box.state in GONE]:
            box.more["shown"] = box.more.get("shown", 0) + 1
            if box.more["shown"] > 1:
                self.ended[box.id] = self.boxes.pop(box.id)

    @route("GET", rf"{API}/instances/(?P<box>[^/]+)")
    def instance(self, asked: Asked, region: str, box: str) -> Any:
        return _shown(self.the(box))

    @route("POST", rf"{API}/instances/(?P<box>[^/]+)")
    def act(self, asked: Asked, region: str, box: str) -> Any:
        wanted = {"SOFTSTOP": ("RUNNING", "STOPPED"), "START": ("STOPPED", "RUNNING")}
        there, action = self.the(box), asked.query["action"]
        if there.state != wanted[action][0]:
            raise Refused(409, _error("IncorrectState", f"it is {there.state}"))
        there.state = wanted[action][1]
        return _shown(there)

    @route("DELETE", rf"{API}/instances/(?P<box>[^/]+)")
    def destroy(self, asked: Asked, region: str, box: str) -> Any:
        there = self.the(box)
        if self.readonly:
            raise Refused(*self.UNKNOWN)
        if there.state in GONE:
            raise Refused(409, _error("IncorrectState", f"it is {there.state}"))
        self._end(there, disk=asked.query.get("preserveBootVolume") != "true")
        return Answer(204)

    def take_away(self, node_id: str) -> None:
        box = self.boxes[node_id]
        action = box.more["order"]["preemptibleInstanceConfig"]["preemptionAction"]
        self._end(box, disk=not action["preserveBootVolume"])

    def _end(self, box: Box, *, disk: bool) -> None:
        """It stays listed, for hours."""
        box.state, box.held = "TERMINATED", True
        for thing in [t for t in self.things.values() if t.owner == box.id]:
            thing.owner = ""
            if disk:
                del self.things[thing.id]

    def stranger(self, name: str) -> str:
        stranger = super().stranger(name)
        self.boxes[stranger].region = REGION
        return stranger

    @route("GET", rf"{API}/vnicAttachments")
    def attachments(self, asked: Asked, region: str) -> Any:
        box = self.the(asked.query["instanceId"])
        up = box.state not in ("PROVISIONING", *GONE)
        state = "ATTACHED" if up else "ATTACHING"
        card = {"instanceId": box.id, "vnicId": f"vnic-{box.id}", "lifecycleState": state}
        return self._page(asked, [card])

    @route("GET", rf"{API}/vnics/vnic-(?P<box>[^/]+)")
    def card(self, asked: Asked, region: str, box: str) -> Any:
        there = self.the(box)
        places = {"publicIp": there.public_ip, "privateIp": there.private_ip}
        return {"id": f"vnic-{box}", "nsgIds": there.more["groups"], **places}

    @route("PUT", rf"{API}/vnics/vnic-(?P<box>[^/]+)")
    def change_card(self, asked: Asked, region: str, box: str) -> Any:
        for group in asked.json["nsgIds"]:
            self._thing(region, "networkSecurityGroups", group)
        if len(asked.json["nsgIds"]) > 5:
            raise self.refusal("invalid")
        self.the(box).more["groups"] = asked.json["nsgIds"]
        return self.card(asked, region, box)

    @route("POST", rf"{API}/(?P<kind>{KINDS})")
    def add_thing(self, asked: Asked, region: str, kind: str) -> Any:
        body, token = asked.json, asked.headers["opc-retry-token"]
        if token in self.tokens:
            if self.tokens[token] not in self.things:
                raise Refused(409, _error("InvalidatedRetryToken", "the token was invalidated"))
            return self._shown_thing(self.things[self.tokens[token]])
        if kind != "vcns" and not self._ready(self._thing(region, "vcns", body["vcnId"])):
            raise Refused(409, _error("IncorrectState", "the network is not available"))
        more = {**body, "region": region, "looks": 0, "rules": []}
        if kind == "vcns":
            table = self.keep("routeTables", single=False, region=region, routeRules=[])
            more["defaultRouteTableId"] = table.id
        made = self.keep(kind, single=False, **more)
        self.tokens[token] = made.id
        return self._shown_thing(made)

    @route("GET", rf"{API}/(?P<kind>{KINDS})")
    def list_things(self, asked: Asked, region: str, kind: str) -> Any:
        every = [thing for thing in self.things.values() if thing.kind == kind]
        found = [thing for thing in every if thing.more["region"] == region]
        for name in ("vcnId", "displayName"):
            if name in asked.query:
                found = [t for t in found if t.more[name] == asked.query[name]]
        return self._page(asked, [self._shown_thing(thing) for thing in found])

    @route("GET", rf"{API}/(?P<kind>vcns|subnets|routeTables)/(?P<thing>[^/]+)")
    def show_thing(self, asked: Asked, region: str, kind: str, thing: str) -> Any:
        there = self._thing(region, kind, thing)
        there.more["looks"] = 1
        return self._shown_thing(there)

    @route("PUT", rf"{API}/routeTables/(?P<thing>[^/]+)")
    def change_routes(self, asked: Asked, region: str, thing: str) -> Any:
        table = self._thing(region, "routeTables", thing)
        for rule in asked.json["routeRules"]:
            self._thing(region, "internetGateways", rule["networkEntityId"])
        table.more["routeRules"] = asked.json["routeRules"]
        return self._shown_thing(table)

    @route("DELETE", rf"{API}/(?P<kind>{KINDS})/(?P<thing>[^/]+)")
    def drop_thing(self, asked: Asked, region: str, kind: str, thing: str) -> Any:
        self._thing(region, kind, thing)
        living = [box.more for box in self.boxes.values() if box.state not in GONE]
        used = any(thing in (more.get("subnet"), *more.get("groups", ())) for more in living)
        used = used or any(t.more.get("vcnId") == thing for t in self.things.values())
        for table in [t for t in self.things.values() if t.kind == "routeTables"]:
            used = used or thing in [r["networkEntityId"] for r in table.more["routeRules"]]
        if used:
            raise Refused(409, _error("Conflict", "it is in use"))
        del self.things[thing]
        return Answer(204)

    @route("GET", rf"{API}/networkSecurityGroups/(?P<thing>[^/]+)/securityRules")
    def rules(self, asked: Asked, region: str, thing: str) -> Any:
        return self._thing(region, "networkSecurityGroups", thing).more["rules"]

    @route("POST", rf"{API}/networkSecurityGroups/(?P<thing>[^/]+)/actions/addSecurityRules")
    def add_rules(self, asked: Asked, region: str, thing: str) -> Any:
        for rule in asked.json["securityRules"]:
            ports = rule.get("tcpOptions", {}).get("destinationPortRange", {"min": 1, "max": 1})
            good = rule["direction"] in ("INGRESS", "EGRESS") and rule["protocol"] in ("6", "all")
            if not good or rule["sourceType"] != "CIDR_BLOCK" or ports["min"] > ports["max"]:
                raise self.refusal("invalid")
        rules = self._thing(region, "networkSecurityGroups", thing).more["rules"]
        rules += asked.json["securityRules"]
        return {"securityRules": rules}

    def _thing(self, region: str, kind: str, thing: str) -> Thing:
        there = self.things.get(thing)
        if there is None or (there.kind, there.more["region"]) != (kind, region):
            raise Refused(*self.UNKNOWN)
        return there

    @staticmethod
    def _ready(thing: Thing) -> bool:
        return bool(thing.more.get("looks"))

    def _shown_thing(self, thing: Thing) -> dict[str, Any]:
        slow = thing.kind in ("vcns", "subnets")
        state = "PROVISIONING" if slow and not self._ready(thing) else "AVAILABLE"
        made = {"id": thing.id, "timeCreated": "2026-10-01T10:00:00Z", "lifecycleState": state}
        return {**made, **thing.more}

    @staticmethod
    def _page(asked: Asked, found: Sequence[Any]) -> Answer:
        if asked.query.get("compartmentId") != TENANCY:
            raise Refused(*Oci.UNKNOWN)
        start = int(asked.query.get("page", 0))
        following = {"opc-next-page": str(start + PAGE)} if start + PAGE < len(found) else {}
        return Answer(200, [*found[start : start + PAGE]], following)


def _shown(box: Box) -> Mapping[str, Any]:
    born = datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    shown = {
        "id": box.id,
        "displayName": box.name,
        "availabilityDomain": box.zone or ZONES[0],
        "compartmentId": TENANCY,
        "region": "iad",
        "shape": box.type,
        "lifecycleState": box.state,
        "freeformTags": box.more.get("tags", {}),
        "timeCreated": born,
    }
    if box.spot:
        shown["preemptibleInstanceConfig"] = box.more["order"]["preemptibleInstanceConfig"]
    return shown
