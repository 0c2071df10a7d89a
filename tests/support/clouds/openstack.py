"""A double of an OpenStack: Keystone v3, Nova v2.1, Glance v2 and Neutron v2.0, by their API
references (docs.openstack.org/api-ref)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.testing.double import PAGE, Box, Refused, route
from stix.clouds.testing.wire import Answer, Asked
from tests.support.clouds.openstack_network import Neutron

USER, PASSWORD, PROJECT = "demo", "openstack secret 0123", "research"
CREDENTIAL, SECRET = "app-credential-id", "application secret 0123"
TOKEN = "gAAAAABtoken0123456789"
COMPUTE = "/compute/(?P<region>[^/]+)/v2.1"
USER_DATA = 65_535
KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")


def _no(status: int, name: str, words: str) -> Refused:
    return Refused(status, {name: {"code": status, "message": words}})


class OpenStack(Neutron):
    STATES = {
        "BUILD": NodeState.STARTING,
        "REBUILD": NodeState.STARTING,
        "REBOOT": NodeState.STARTING,
        "HARD_REBOOT": NodeState.STARTING,
        "RESIZE": NodeState.STARTING,
        "MIGRATING": NodeState.STARTING,
        "RESCUE": NodeState.STARTING,
        "PASSWORD": NodeState.RUNNING,
        "ACTIVE": NodeState.RUNNING,
        "VERIFY_RESIZE": NodeState.RUNNING,
        "SHUTOFF": NodeState.STOPPED,
        "PAUSED": NodeState.STOPPED,
        "SUSPENDED": NodeState.STOPPED,
        "SHELVED": NodeState.STOPPED,
        "SHELVED_OFFLOADED": NodeState.STOPPED,
        "ERROR": NodeState.FAILED,
        "DELETED": NodeState.TERMINATED,
        "SOFT_DELETED": NodeState.TERMINATED,
    }
    UNBILLED = frozenset({"SHELVED_OFFLOADED", "DELETED", "SOFT_DELETED"})
    BOOT = ("BUILD", "BUILD", "ACTIVE")
    STOPPED = "SHUTOFF"
    REFUSALS = {
        # The scheduler says so, after the order was taken.
        "capacity": (
            0,
            "No valid host was found. There are not enough hosts available.",
            "zone",
        ),
        "quota": (
            403,
            {
                "forbidden": {
                    "code": 403,
                    "message": "Quota exceeded for cores, instances: Requested 2, 1, but already "
                    "used 20, 10 of 20, 10 cores, instances",
                }
            },
            "region",
        ),
        "auth": (
            403,
            {
                "forbidden": {
                    "code": 403,
                    "message": "Policy doesn't allow os_compute_api:servers:create to be "
                    "performed.",
                }
            },
            "",
        ),
        "invalid": (
            400,
            {"badRequest": {"code": 400, "message": "Invalid input for field/attribute name."}},
            "",
        ),
    }
    LOCKED = (
        401,
        {
            "error": {
                "code": 401,
                "title": "Unauthorized",
                "message": "The request you have made requires authentication.",
            }
        },
    )
    UNKNOWN = (
        404,
        {"itemNotFound": {"code": 404, "message": "Instance could not be found."}},
    )
    REGIONS: Sequence[str] = ("RegionOne", "RegionTwo")
    FLAVORS: Mapping[str, tuple[int, int]] = {"m1.large": (4, 8192), "g1.xlarge": (16, 65536)}

    def authorised(self, asked: Asked) -> bool:
        if asked.method == "POST" and asked.path == "/v3/auth/tokens":
            return self._knows(asked.json["auth"])
        return asked.headers.get("x-auth-token") == TOKEN

    def stranger(self, name: str) -> str:
        found = super().stranger(name)
        self.boxes[found].region = self.REGIONS[0]
        return found

    # Keystone.

    def _knows(self, auth: Mapping[str, Any]) -> bool:
        how = auth["identity"]
        if how["methods"] == ["application_credential"]:
            return bool(how["application_credential"] == {"id": CREDENTIAL, "secret": SECRET})
        scope = auth.get("scope", {}).get("project", {})
        user = {"domain": {"name": "Default"}, "name": USER, "password": PASSWORD}
        project = {"domain": {"id": "default"}, "name": PROJECT}
        return bool(how["password"]["user"] == user and scope == project)

    @route("POST", "/v3/auth/tokens")
    def log_in(self, asked: Asked) -> Any:
        return Answer(201, {"token": self._token()}, {"X-Subject-Token": TOKEN})

    @route("GET", "/v3/auth/tokens")
    def show_token(self, asked: Asked) -> Any:
        if asked.headers.get("x-subject-token") != TOKEN:
            raise Refused(*self.UNKNOWN)
        return Answer(200, {"token": self._token()}, {"X-Subject-Token": TOKEN})

    def _token(self) -> Mapping[str, Any]:
        paths = {
            ("compute", "nova"): "/compute/{}/v2.1",
            ("network", "neutron"): "/network/{}",
            ("image", "glance"): "/image/{}",
        }
        catalog = [
            {
                "type": kind,
                "name": name,
                "id": name,
                "endpoints": [
                    {
                        "interface": "public",
                        "region": region,
                        "region_id": region,
                        "url": f"{self.url}{path.format(region)}",
                        "id": f"{name} {region}",
                    }
                    for region in self.REGIONS
                ],
            }
            for (kind, name), path in paths.items()
        ]
        return {
            "methods": ["password"],
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "user": {"id": "u1", "name": USER, "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p1", "name": PROJECT, "domain": {"id": "default"}},
            "roles": [{"id": "r1", "name": "member"}],
            "catalog": catalog,
        }

    # Nova.

    @route("GET", f"{COMPUTE}/flavors/detail")
    def flavors(self, asked: Asked, region: str) -> Any:
        flavors = [
            {"id": f"id-{name}", "name": name, "vcpus": cpus, "ram": mib, "disk": 80, "swap": ""}
            for name, (cpus, mib) in self.FLAVORS.items()
        ]
        return {"flavors": flavors}

    @route("GET", f"{COMPUTE}/limits")
    def limits(self, asked: Asked, region: str) -> Any:
        absolute = {
            "maxTotalInstances": 10,
            "totalInstancesUsed": 1,
            "maxTotalCores": 20,
            "totalCoresUsed": 2,
            "maxTotalRAMSize": -1,
            "totalRAMUsed": 4096,
        }
        return {"limits": {"rate": [], "absolute": absolute}}

    @route("POST", f"{COMPUTE}/servers")
    def create(self, asked: Asked, region: str) -> Any:
        body = asked.json["server"]
        self._vet(body)
        flavor = body["flavorRef"].removeprefix("id-")
        more = {"metadata": body.get("metadata", {}), "user_data": body.get("user_data", "")}
        more |= {"walls": [wall["name"] for wall in body.get("security_groups", ())]}
        try:
            box = self.make(body["name"], region, flavor, chooses=1, fault="", **more)
        except Refused as refused:
            if refused.answer.status:
                raise
            words = refused.answer.body
            box = self.add(body["name"], region, flavor, chooses=1, fault=words, **more)
            box.foreign = True  # it takes none of the stock
        links = [{"rel": "self", "href": f"{self.url}/servers/{box.id}"}]
        return Answer(202, {"server": {"id": box.id, "links": links, "adminPass": "x"}})

    def _vet(self, body: Mapping[str, Any]) -> None:
        groups = {t.id for t in self.things.values() if t.kind == "security group"}
        metadata = body.get("metadata", {})
        if body["flavorRef"].removeprefix("id-") not in self.FLAVORS:
            raise _no(400, "badRequest", "Flavor could not be found.")
        if body["imageRef"] not in {"i-1", "i-2"}:
            raise _no(400, "badRequest", "Image could not be found.")
        if len(metadata) > 128 or not all(KEY.fullmatch(key) for key in metadata):
            raise _no(403, "forbidden", "Quota exceeded, too many metadata items")
        if any(len(value) > 255 for value in metadata.values()):
            raise _no(400, "badRequest", "Metadata property value greater than 255 characters")
        data = body.get("user_data", "")
        if len(data) > USER_DATA or not base64.b64decode(data, validate=True):
            raise _no(400, "badRequest", "User data too large.")
        if not {wall["name"] for wall in body.get("security_groups", ())} <= groups:
            raise _no(400, "badRequest", "Unable to find security_group with name or id")
        if not 1 <= len(body["name"]) <= 255:
            raise self.refusal("invalid")

    @route("GET", f"{COMPUTE}/servers/detail")
    def servers(self, asked: Asked, region: str) -> Any:
        boxes = [box for box in self.boxes.values() if box.region == region]
        marker = asked.query.get("marker")
        # Time goes on with the first page only, so that the pages are of one listing.
        seen = boxes if marker else self.listed(boxes)
        names = [box.id for box in seen]
        if marker and marker not in names:
            raise _no(400, "badRequest", f"marker [{marker}] not found")
        start = names.index(marker) + 1 if marker else 0
        shown = [self._shown(box) for box in seen[start : start + PAGE]]
        if start + PAGE >= len(seen):
            return {"servers": shown}
        href = f"{self.url}{asked.path}?limit={PAGE}&marker={shown[-1]['id']}"
        return {"servers": shown, "servers_links": [{"rel": "next", "href": href}]}

    @route("GET", f"{COMPUTE}/servers/(?P<box>(?!detail)[^/]+)")
    def server_of(self, asked: Asked, region: str, box: str) -> Any:
        return {"server": self._shown(self._in(region, box))}

    @route("DELETE", f"{COMPUTE}/servers/(?P<box>[^/]+)")
    def destroy(self, asked: Asked, region: str, box: str) -> Any:
        self.drop(self._in(region, box))
        return Answer(204)

    @route("POST", f"{COMPUTE}/servers/(?P<box>[^/]+)/action")
    def act(self, asked: Asked, region: str, box: str) -> Any:
        server = self._in(region, box)
        name, about = next(iter(asked.json.items()))
        if name == "addSecurityGroup":
            if about["name"] not in self.things:
                raise _no(404, "itemNotFound", "Security group not found.")
            server.more["walls"].append(about["name"])
            return Answer(202)
        wanted = {"os-stop": ("ACTIVE", "SHUTOFF"), "os-start": ("SHUTOFF", "ACTIVE")}[name]
        if server.state != wanted[0]:
            words = f"Cannot '{name}' instance while it is in vm_state {server.state}"
            raise _no(409, "conflictingRequest", words)
        server.state = wanted[1]
        return Answer(202)

    def _in(self, region: str, box: str) -> Box:
        found = self.the(box)
        if found.region != region:
            raise Refused(*self.UNKNOWN)
        return found

    def _shown(self, box: Box) -> Mapping[str, Any]:
        scheduling = box.more.get("chooses", 0) > 0
        if scheduling and box.state == "BUILD":
            box.more["chooses"] -= 1
        elif box.more.get("fault") and not box.held:
            box.state = "ERROR"
        return _server(box, "scheduling" if scheduling else "spawning", self.url)

    # Glance.

    @route("GET", "/image/(?P<region>[^/]+)/v2/images")
    def images(self, asked: Asked, region: str) -> Any:
        images = [_image("i-1", "Debian 12"), _image("i-2", "Ubuntu 24.04")]
        if asked.query.get("marker"):
            return {"images": images[1:]}
        return {"images": images[:1], "next": "/v2/images?marker=i-1"}


class Ovh(OpenStack):
    """Public Cloud of OVHcloud."""

    REGIONS = ("BHS5", "GRA9")
    FLAVORS: Mapping[str, tuple[int, int]] = {"t1-45": (8, 46080), "t2-45": (15, 46080)}


def _image(name: str, label: str) -> Mapping[str, Any]:
    born = "2026-01-01T00:00:00Z"
    return {
        "id": name,
        "name": label,
        "status": "active",
        "created_at": born,
        "updated_at": born,
        "visibility": "public",
        "min_disk": 0,
        "min_ram": 0,
    }


def _server(box: Box, task: str, url: str) -> Mapping[str, Any]:
    born = datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    addresses = {}
    if box.state not in ("BUILD", "ERROR"):
        fixed = {"addr": box.private_ip, "version": 4, "OS-EXT-IPS:type": "fixed"}
        public = {"addr": f"45.79.0.{box.number + 1}", "version": 4, "OS-EXT-IPS:type": "fixed"}
        addresses = {"private": [fixed], "public": [public]}
    shown = {
        "id": box.id,
        "name": box.name,
        "status": box.state,
        "OS-EXT-STS:task_state": task if box.state == "BUILD" else None,
        "OS-EXT-STS:vm_state": "building" if box.state == "BUILD" else "active",
        "OS-EXT-AZ:availability_zone": "nova",
        "addresses": addresses,
        "created": born,
        "updated": born,
        "hostId": "",
        "tenant_id": "p1",
        "user_id": "u1",
        "metadata": box.more.get("metadata", {}),
        "flavor": {"id": f"id-{box.type}", "links": []},
        "image": {"id": "i-2", "links": []},
        "links": [{"rel": "self", "href": f"{url}/servers/{box.id}"}],
        "accessIPv4": "",
        "accessIPv6": "",
        "key_name": None,
    }
    if box.state == "ERROR":
        fault = {"code": 500, "message": box.more.get("fault") or "Build failed", "created": born}
        shown["fault"] = fault
    return shown
