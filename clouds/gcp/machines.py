"""A machine of Compute Engine: how it is ordered, and how it is read. Source: compute v1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.gcp.wire import SCOPE, last
from stix.clouds.rented.machines import Machine, Order

STATES: Mapping[str, NodeState] = {
    "PROVISIONING": NodeState.STARTING,
    "STAGING": NodeState.STARTING,
    "PENDING": NodeState.STARTING,
    "REPAIRING": NodeState.STARTING,
    "RUNNING": NodeState.RUNNING,
    "PENDING_STOP": NodeState.STOPPED,
    "STOPPING": NodeState.STOPPED,
    "STOPPED": NodeState.STOPPED,
    "SUSPENDING": NodeState.STOPPED,
    "SUSPENDED": NodeState.STOPPED,
    "TERMINATED": NodeState.STOPPED,
    "DEPROVISIONING": NodeState.TERMINATED,
}
"""``TERMINATED`` is Google's word for stopped: the disk is there, and costs money. What was
deleted, or preempted, is not there at all."""
ATTACHED = {
    "T4": "nvidia-tesla-t4",
    "P4": "nvidia-tesla-p4",
    "P100": "nvidia-tesla-p100",
    "V100": "nvidia-tesla-v100",
}
"""GPUs that are attached to a machine of N1; with other families they are part of its type."""
IMAGE = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-{arch}"
GPU_IMAGE = (
    "projects/deeplearning-platform-release/global/images/family/"
    "common-cu129-ubuntu-2204-nvidia-580"
)
HYPERDISK = re.compile(r"(n4|c4|c4a|c4d|x4|a4|a4x|g4|h4d|m4|a3-ultragpu|a3-edgegpu)[-a-z]*-")
"""Families whose boot disk is a Hyperdisk; the others take a balanced persistent disk."""


@dataclass(frozen=True)
class Habits:
    """What the settings say of every machine; see ``cloud.SETTINGS``."""

    network: str = "default"
    subnetwork: str = ""
    disk_type: str = ""
    disk_gib: int = 100
    image: str = ""
    gpu_image: str = ""
    service_account: str = ""
    use_internal_ips: bool = False
    os_login: bool = False


def body(order: Order, zone: str, habits: Habits, tags: list[str], user: str) -> dict[str, Any]:
    """What ``instances.insert`` takes."""
    offer = order.offer
    made: dict[str, Any] = {
        "name": order.name,
        "machineType": f"zones/{zone}/machineTypes/{offer.instance_type}",
        "labels": dict(order.tags),
        "tags": {"items": tags},
        "disks": [_disk(order, zone, habits)],
        "networkInterfaces": [_interface(offer.region, habits)],
        "metadata": {"items": _metadata(order, habits, user)},
        "scheduling": _scheduling(spot=offer.spot, pinned=bool(offer.accelerators)),
    }
    if habits.service_account:
        made["serviceAccounts"] = [{"email": habits.service_account, "scopes": [SCOPE]}]
    if offer.instance_type.startswith("n1-"):
        made["guestAccelerators"] = [
            {"acceleratorType": f"zones/{zone}/acceleratorTypes/{kind}", "acceleratorCount": count}
            for kind, count in attached(offer.accelerators).items()
        ]
    return made


def attached(accelerators: Mapping[str, float]) -> dict[str, int]:
    """Accelerators by Google's names."""
    named = {k: ATTACHED.get(k, f"nvidia-{k.lower()}") for k in accelerators}
    return {named[k]: int(count) for k, count in accelerators.items()}


def machine(entry: Mapping[str, Any]) -> Machine:
    """An instance as the API shows it."""
    zone, scheduling = last(entry["zone"]), entry.get("scheduling") or {}
    interface: Mapping[str, Any] = next(iter(entry.get("networkInterfaces") or ()), {})
    outside: Mapping[str, Any] = next(iter(interface.get("accessConfigs") or ()), {})
    words = entry.get("statusMessage")
    return Machine(
        id=str(entry["id"]),
        name=entry["name"],
        state=STATES.get(entry["status"], NodeState.STARTING),
        region=zone.rpartition("-")[0],
        zone=zone,
        tags=entry.get("labels") or {},
        public_ip=outside.get("natIP") or "",
        private_ip=interface.get("networkIP") or "",
        created=moment(entry.get("creationTimestamp")),
        spot=scheduling.get("provisioningModel") == "SPOT" or bool(scheduling.get("preemptible")),
        reason=f"{entry['status']}: {words}" if words else entry["status"],
    )


def moment(text: str | None) -> float | None:
    """Unix time of a timestamp of RFC 3339."""
    return datetime.fromisoformat(text).timestamp() if text else None


def _disk(order: Order, zone: str, habits: Habits) -> dict[str, Any]:
    offer = order.offer
    usual = habits.gpu_image or GPU_IMAGE if offer.accelerators else habits.image
    image = order.image or usual or IMAGE.format(arch="arm64" if _arm(offer.arch) else "amd64")
    needs = "hyperdisk-balanced" if HYPERDISK.match(offer.instance_type) else "pd-balanced"
    return {
        "boot": True,
        "autoDelete": True,
        "initializeParams": {
            "sourceImage": image if "/" in image else f"global/images/{image}",
            "diskSizeGb": str(order.disk_gib or habits.disk_gib),
            "diskType": f"zones/{zone}/diskTypes/{habits.disk_type or needs}",
            "labels": dict(order.tags),
        },
    }


def _arm(arch: str) -> bool:
    return arch in ("arm64", "aarch64")


def _interface(region: str, habits: Habits) -> dict[str, Any]:
    made: dict[str, Any] = {"network": network_path(habits.network)}
    if habits.subnetwork:
        below = habits.subnetwork
        made["subnetwork"] = below if "/" in below else f"regions/{region}/subnetworks/{below}"
    if not habits.use_internal_ips:
        made["accessConfigs"] = [{"type": "ONE_TO_ONE_NAT", "name": "External NAT"}]
    return made


def network_path(network: str) -> str:
    return network if "/" in network else f"global/networks/{network}"


def _metadata(order: Order, habits: Habits, user: str) -> list[dict[str, str]]:
    """The key twice: Google's agent reads ``ssh-keys``, cloud-init ``user-data``.

    With OS Login the agent heeds no ``ssh-keys``; it is switched off for the machine, unless the
    setting says that the organisation demands it. Then the way in is what cloud-init wrote.
    """
    items = {"ssh-keys": f"{user}:{order.public_key}", "block-project-ssh-keys": "TRUE"}
    if order.user_data:
        items["user-data"] = order.user_data
    if not habits.os_login:
        items["enable-oslogin"] = "FALSE"
    return [{"key": key, "value": value} for key, value in items.items()]


def _scheduling(*, spot: bool, pinned: bool) -> dict[str, Any]:
    """A machine that comes back after its host failed has lost its processes: it stays away.

    A spot machine that is taken away is deleted: with ``STOP`` its disk would go on costing money
    until somebody noticed, and the same state would mean two things.
    """
    made: dict[str, Any] = {"automaticRestart": False}
    if spot or pinned:
        made["onHostMaintenance"] = "TERMINATE"
    if spot:
        made |= {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}
    return made
