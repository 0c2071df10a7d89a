"""A virtual machine: how it is ordered, and how it is read.

Source: ``Microsoft.Compute`` 2024-07-01, ``VirtualMachine`` (Azure/azure-rest-api-specs).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.errors import InvalidRequest
from stix.clouds.rented.machines import Machine, Order

POWER: Mapping[str, NodeState] = {
    "starting": NodeState.STARTING,
    "running": NodeState.RUNNING,
    "stopping": NodeState.STOPPED,
    "stopped": NodeState.STOPPED,
    "deallocating": NodeState.STOPPED,
    "deallocated": NodeState.STOPPED,
    "hibernated": NodeState.STOPPED,
}
"""All of them cost money: ``stopped`` as much as ``running``, ``deallocated`` for the disk and the
address."""
AWAY = ("deallocating", "deallocated")
IMAGE = "Canonical:ubuntu-24_04-lts:server:latest"
ARM_IMAGE = "Canonical:ubuntu-24_04-lts:server-arm64:latest"
GPU_IMAGE = "microsoft-dsvm:ubuntu-hpc:2204:latest"


@dataclass(frozen=True)
class Habits:
    """What the settings say of every machine; see ``cloud.SETTINGS``."""

    disk_type: str = "StandardSSD_LRS"
    disk_gib: int = 128
    image: str = ""
    gpu_image: str = ""
    identity: str = ""
    use_internal_ips: bool = False


@dataclass(frozen=True)
class Place:
    """Ids of what a machine is plugged into."""

    subnet: str
    firewall: str


def body(order: Order, place: Place, habits: Habits, user: str) -> dict[str, Any]:
    """What ``VirtualMachines_CreateOrUpdate`` takes.

    The network interface, the address and the disk are made with the machine, and go with it.
    """
    offer = order.offer
    made: dict[str, Any] = {
        "location": offer.region,
        "tags": dict(order.tags),
        "properties": {
            "hardwareProfile": {"vmSize": offer.instance_type},
            "storageProfile": _storage(order, habits),
            "osProfile": _system(order, user),
            "networkProfile": _network(order.name, place, habits),
        },
    }
    if offer.spot:
        # An evicted machine stays, without its processor: its state says that it was taken away.
        made["properties"] |= {
            "priority": "Spot",
            "evictionPolicy": "Deallocate",
            "billingProfile": {"maxPrice": -1},
        }
    if offer.zone:
        made["zones"] = [offer.zone.rpartition("-")[2]]
    if habits.identity:
        made["identity"] = {
            "type": "UserAssigned",
            "userAssignedIdentities": {habits.identity: {}},
        }
    return made


def _storage(order: Order, habits: Habits) -> dict[str, Any]:
    offer = order.offer
    plain = ARM_IMAGE if offer.arch in ("arm64", "aarch64") else IMAGE
    usual = (habits.gpu_image or GPU_IMAGE) if offer.accelerators else (habits.image or plain)
    return {
        "imageReference": image(order.image or usual),
        "osDisk": {
            "createOption": "FromImage",
            "deleteOption": "Delete",
            "diskSizeGB": order.disk_gib or habits.disk_gib,
            "managedDisk": {"storageAccountType": habits.disk_type},
        },
    }


def image(name: str) -> dict[str, str]:
    """From ``publisher:offer:sku:version``, the id of an image, or one of a shared gallery.

    Raises:
        InvalidRequest: it is none of them.
    """
    if name.lower().startswith("/communitygalleries/"):
        return {"communityGalleryImageId": name}
    if name.lower().startswith("/sharedgalleries/"):
        return {"sharedGalleryImageId": name}
    if name.startswith("/subscriptions/"):
        return {"id": name}
    parts = name.split(":")
    if len(parts) != 4:
        raise InvalidRequest(
            f"azure: {name!r} names no image", fix="write publisher:offer:sku:version, or an id"
        )
    return dict(zip(("publisher", "offer", "sku", "version"), parts, strict=True))


def _system(order: Order, user: str) -> dict[str, Any]:
    key = {"path": f"/home/{user}/.ssh/authorized_keys", "keyData": order.public_key}
    return {
        "computerName": order.name,
        "adminUsername": user,
        "customData": base64.b64encode(order.user_data.encode()).decode(),
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {"publicKeys": [key]},
        },
    }


def _network(name: str, place: Place, habits: Habits) -> dict[str, Any]:
    end: dict[str, Any] = {"primary": True, "subnet": {"id": place.subnet}}
    if not habits.use_internal_ips:
        end["publicIPAddressConfiguration"] = {
            "name": name,
            "sku": {"name": "Standard"},
            "properties": {"deleteOption": "Delete", "publicIPAllocationMethod": "Static"},
        }
    card = {
        "primary": True,
        "deleteOption": "Delete",
        "networkSecurityGroup": {"id": place.firewall},
        "ipConfigurations": [{"name": "main", "properties": end}],
    }
    return {
        "networkApiVersion": "2020-11-01",
        "networkInterfaceConfigurations": [{"name": name, "properties": card}],
    }


def power(entry: Mapping[str, Any]) -> str:
    """The word after ``PowerState/``; empty where nothing is said."""
    return _status(entry, "PowerState/")[0]


def failure(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Code and words of why it could not be made; the code is empty where nothing went wrong."""
    if entry["properties"].get("provisioningState") != "Failed":
        return "", ""
    code, words = _status(entry, "ProvisioningState/failed/")
    return code or "AllocationFailed", words


def _status(entry: Mapping[str, Any], prefix: str) -> tuple[str, str]:
    view = entry["properties"].get("instanceView") or {}
    for each in view.get("statuses") or ():
        if each["code"].startswith(prefix):
            words = each.get("message") or each.get("displayStatus") or ""
            return each["code"].removeprefix(prefix), words
    return "", ""


def state(entry: Mapping[str, Any]) -> NodeState:
    """From how far Azure is with it, and whether it is switched on.

    A machine for which there was no room stays as ``Failed``, and was never on.
    """
    word, made = power(entry), entry["properties"].get("provisioningState")
    if made == "Deleting":
        return NodeState.TERMINATED
    if made == "Failed" and word in ("", *AWAY):
        return NodeState.FAILED
    if made == "Creating":
        return NodeState.STARTING
    if spot(entry) and word in AWAY:
        return NodeState.PREEMPTED
    return POWER.get(word, NodeState.STARTING)


def spot(entry: Mapping[str, Any]) -> bool:
    return entry["properties"].get("priority") in ("Spot", "Low")


def machine(
    entry: Mapping[str, Any], cards: Mapping[str, Any], addresses: Mapping[str, str]
) -> Machine:
    """A machine as the API shows it.

    Args:
        entry: With its instance view.
        cards: Network interfaces by their ids, in small letters.
        addresses: Public ones, likewise.
    """
    profile = entry["properties"].get("networkProfile") or {}
    inside = outside = ""
    for each in profile.get("networkInterfaces") or ():
        card = cards.get(each["id"].lower()) or {"properties": {}}
        for end in card["properties"].get("ipConfigurations") or ():
            inside = inside or end["properties"].get("privateIPAddress") or ""
            named = (end["properties"].get("publicIPAddress") or {}).get("id", "")
            outside = outside or addresses.get(named.lower(), "")
    words = filter(None, (entry["properties"].get("provisioningState"), power(entry)))
    return Machine(
        id=entry["name"],
        name=entry["name"],
        state=state(entry),
        region=entry["location"],
        zone=next(iter(entry.get("zones") or ()), None),
        tags=entry.get("tags") or {},
        public_ip=outside,
        private_ip=inside,
        created=moment(entry["properties"].get("timeCreated")),
        spot=spot(entry),
        reason=", ".join(words),
    )


def moment(text: str | None) -> float | None:
    """Unix time of a timestamp; Azure writes seven digits after the point."""
    if not text:
        return None
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
