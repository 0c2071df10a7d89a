"""A double of Azure Resource Manager: groups, machines, and what is made with them.

From Azure/azure-rest-api-specs: Compute 2024-07-01, Network 2024-05-01, Resources 2022-09-01. A
token comes from the endpoint of a managed identity, as App Service has it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Refused, route
from stix.clouds.testing.wire import Answer, Asked
from tests.support.clouds.azure_base import GROUP, ROOT, VM_TYPE, AzureGround, error, id_of

VM = rf"{GROUP}/providers/{VM_TYPE}/(?P<name>[^/]+)"
SIZES = ("Standard_D2s_v5", "Standard_D2pls_v5", "Standard_NC4as_T4_v3")
IMAGES = (
    "Canonical:ubuntu-24_04-lts:server:latest",
    "Canonical:ubuntu-24_04-lts:server-arm64:latest",
    "microsoft-dsvm:ubuntu-hpc:2204:latest",
)
PROVISIONING = ("Creating", "Updating", "Failed", "Migrating", "Deleting")
"""Words that are not about power; a machine in ``Updating`` or ``Migrating`` runs."""
BEFORE = {"Updating": "running", "Migrating": "running", "Deleting": "deallocated"}


class Azure(AzureGround):
    STATES = {
        "Creating": NodeState.STARTING,
        "Updating": NodeState.RUNNING,
        "Failed": NodeState.FAILED,
        "Deleting": NodeState.TERMINATED,
        "starting": NodeState.STARTING,
        "running": NodeState.RUNNING,
        "stopping": NodeState.STOPPED,
        "stopped": NodeState.STOPPED,
        "deallocating": NodeState.STOPPED,
        "deallocated": NodeState.STOPPED,
        "unknown": NodeState.STARTING,
    }
    BOOT: ClassVar[Sequence[str]] = ("Creating", "starting", "running")
    STOPPED = "deallocated"
    PREEMPTED = "deallocated"
    REFUSALS = {
        "capacity": (200, ("AllocationFailed", "Allocation failed: no capacity."), "region"),
        "quota": (
            409,
            error(
                "OperationNotAllowed",
                "Operation could not be completed as it results in exceeding approved Total "
                "Regional Cores quota.",
            ),
            "region",
        ),
        "auth": (403, error("AuthorizationFailed", "The client has no authorization."), ""),
        "invalid": (400, error("InvalidParameter", "The value of a parameter is invalid."), ""),
    }

    def __init__(self, stock: int = 4) -> None:
        super().__init__(stock)
        self.bodies: list[Any] = []
        """Orders as they came."""
        self.failing: tuple[str, str] | None = None
        """How the next machine turns out."""
        self.fading = 0
        """How long cards stay after their machine."""
        self.slow = 0
        """How often what is removed is seen still."""

    # Machines.

    def drop(self, box: Box) -> None:
        """Cards may go a little later than their machine."""
        for card in self._of("card"):
            if self.fading and card.owner == box.id:
                card.owner, card.more["fading"] = "", self.fading
        super().drop(box)

    @route("PUT", VM)
    def put_vm(self, asked: Asked, group: str, name: str) -> Any:
        there, body = self._group(group), asked.json
        self._vet(body, there.more["location"])
        if name in self.boxes:
            box = self.boxes[name]
            if box.state == "Deleting":
                words = f"The VM '{name}' has been marked for deletion."
                raise Refused(409, error("OperationNotAllowed", words))
            return self._shown(box)
        more = {"id": name, "spot": body["properties"].get("priority") == "Spot"}
        more |= {"group": group, "body": body}
        size = body["properties"]["hardwareProfile"]["vmSize"]
        failed, self.failing = self.failing, None
        try:
            box = self.make(name, body["location"], size, **more)
        except Refused as no:
            if not isinstance(no.answer.body, tuple):
                raise
            failed = no.answer.body
            box = self.add(name, body["location"], size, **more)
        if failed:
            box.state, box.held, box.more["failed"] = "Failed", True, failed
        self.bodies.append(body)
        self._furnish(box, body)
        return Answer(201, self._shown(box))

    def _furnish(self, box: Box, body: Any) -> None:
        """The card, the address and the disk. Only what is to go with the machine goes."""
        card = body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]
        end = card["properties"]["ipConfigurations"][0]["properties"]
        outside = end.get("publicIPAddressConfiguration")
        group, owner = box.more["group"], {"Delete": box.id}
        place = {"location": box.region}
        ends: dict[str, Any] = {"privateIPAddress": box.private_ip}
        if outside:
            going = owner.get(outside["properties"]["deleteOption"], "")
            shown = {"properties": {"ipAddress": box.public_ip}}
            named = f"{outside['name']}-1a2b"
            made = self._put_in(group, "address", named, owner=going, **place, **shown)
            ends["publicIPAddress"] = {"id": made.id.upper()}
        inside: dict[str, Any] = {"ipConfigurations": [{"properties": ends}]}
        going = owner.get(card["properties"]["deleteOption"], "")
        named = f"{card['name']}-3c4d"
        made = self._put_in(
            group, "card", named, owner=going, body=card, properties=inside, **place
        )
        box.more["card"] = made.id
        disk = body["properties"]["storageProfile"]["osDisk"]
        going = owner.get(disk["deleteOption"], "")
        self._put_in(group, "disk", f"{box.name}_OsDisk_1_5e6f", owner=going, **place)

    def _vet(self, body: Any, location: str) -> None:
        properties = body["properties"]
        size = properties["hardwareProfile"]["vmSize"]
        if size not in SIZES:
            words = f"The requested size {size} is not available in location '{location}'."
            raise Refused(409, error("SkuNotAvailable", words))
        system, spot = properties["osProfile"], properties.get("priority") == "Spot"
        image = properties["storageProfile"]["imageReference"]
        card = properties["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]
        end = card["ipConfigurations"][0]["properties"]
        if ":".join(image.values()) not in IMAGES:
            raise Refused(404, error("PlatformImageNotFound", "The platform image was not found."))
        network = end["subnet"]["id"].removesuffix("/subnets/main")
        if not {network, card["networkSecurityGroup"]["id"]} <= self.things.keys():
            raise Refused(400, error("InvalidResourceReference", "A resource was not found."))
        good = (
            body["location"] == location
            and len(body["tags"]) <= 50
            and all(len(v) <= 256 for v in body["tags"].values())
            and len(base64.b64decode(system["customData"])) <= 65_535
            and system["linuxConfiguration"]["ssh"]["publicKeys"][0]["keyData"].startswith("ssh-")
            and properties["storageProfile"]["osDisk"]["diskSizeGB"] >= 30
            and spot == ("evictionPolicy" in properties)
        )
        if not good:
            raise self.refusal("invalid")

    @route("GET", f"{ROOT}/providers/{VM_TYPE}")
    def machines(self, asked: Asked) -> Any:
        if asked.query.get("statusOnly") == "true":
            boxes = sorted(self.boxes.values(), key=lambda box: box.number)
            views = [{**_base(b), "properties": {"instanceView": _view(b)}} for b in boxes]
            return self.paged(asked, views)
        return self.paged(asked, [self._shown(box) for box in self.listed()])

    @route("GET", VM)
    def machine(self, asked: Asked, group: str, name: str) -> Any:
        box = self._box(group, name)
        if box.more.get("going"):
            box.more["going"] -= 1
            if not box.more["going"]:
                self.drop(box)
                raise Refused(*self.UNKNOWN)
        shown = self._shown(self.look(box))
        if asked.query.get("$expand") == "instanceView":
            shown["properties"]["instanceView"] = _view(box)
        return shown

    @route("DELETE", VM)
    def delete_vm(self, asked: Asked, group: str, name: str) -> Any:
        self._group(group)
        if name not in self.boxes:
            return Answer(204)
        if self.slow:
            self.put(name, "Deleting")
            self.boxes[name].more["going"] = self.slow
        else:
            self.drop(self.boxes[name])
        return Answer(202)

    @route("POST", f"{VM}/(?P<what>start|deallocate|powerOff)")
    def act(self, asked: Asked, group: str, name: str, what: str) -> Any:
        box = self._box(group, name)
        if what == "start":
            if box.state in ("stopped", "deallocated"):
                box.state, box.looks, box.held = "starting", 1, False
            return Answer(202)
        box.state = "deallocated" if what == "deallocate" else "stopped"
        box.held = False
        return Answer(202)

    def _box(self, group: str, name: str) -> Box:
        self._group(group)
        return self.the(name)

    def _shown(self, box: Box) -> dict[str, Any]:
        body = box.more.get("body", {"properties": {}})
        keep = {k: v for k, v in body["properties"].items() if k in ("priority", "hardwareProfile")}
        state = box.state if box.state in PROVISIONING else "Succeeded"
        cards = [{"id": box.more["card"].upper()}] if "card" in box.more else []
        born = datetime.fromtimestamp(box.born, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        properties = {
            **keep,
            "provisioningState": state,
            "timeCreated": f"{born}7+00:00",
            "networkProfile": {"networkInterfaces": cards},
        }
        return {**_base(box), "tags": body.get("tags", {}), "properties": properties}

    @route("GET", rf"{ROOT}/providers/Microsoft.Compute/locations/(?P<region>[^/]+)/usages")
    def usages(self, asked: Asked, region: str) -> Any:
        names = ("cores", "lowPriorityCores", "standardNCASv3_T4Family")
        entries = [
            {"name": {"value": n}, "limit": 10, "currentValue": 2, "unit": "Count"} for n in names
        ]
        return self.paged(asked, entries)


def _base(box: Box) -> dict[str, Any]:
    return {"id": id_of(box), "name": box.name, "type": VM_TYPE, "location": box.region}


def _view(box: Box) -> Mapping[str, Any]:
    failed = box.more.get("failed", ("AllocationFailed", "Allocation failed."))
    if box.state == "Failed":
        code, words = failed
        told = {"code": f"ProvisioningState/failed/{code}", "level": "Error", "message": words}
        return {"statuses": [told, {"code": "PowerState/deallocated", "level": "Info"}]}
    made = box.state if box.state in PROVISIONING else "Succeeded"
    power = BEFORE.get(box.state, "" if box.state in PROVISIONING else box.state)
    statuses = [{"code": f"ProvisioningState/{made.lower()}", "level": "Info"}]
    if power:
        words = f"VM {power}"
        statuses.append({"code": f"PowerState/{power}", "level": "Info", "displayStatus": words})
    return {"statuses": statuses}
