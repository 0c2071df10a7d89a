"""TPU VMs. Source: the discovery document of tpu v2 (``projects.locations.nodes``).

A slice of one host is a machine as any other. Slices of several hosts are one node of Google's
with many machines, which start and end together; they are not rented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stix.clouds.base import NodeState
from stix.clouds.catalog import locations
from stix.clouds.catalog.catalog import Catalog
from stix.clouds.errors import InvalidRequest, TransientError, UnsupportedFeature
from stix.clouds.gcp.machines import Habits, moment
from stix.clouds.gcp.wire import SCOPE, Google, last
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.machines import Machine, Order
from stix.clouds.rented.tags import WISH_TAG
from stix.plan.offers import Offer

TPU_VM = "TPU-VM"
STATES: Mapping[str, NodeState] = {
    "CREATING": NodeState.STARTING,
    "STARTING": NodeState.STARTING,
    "RESTARTING": NodeState.STARTING,
    "REIMAGING": NodeState.STARTING,
    "REPAIRING": NodeState.STARTING,
    "UNHIDING": NodeState.STARTING,
    "READY": NodeState.RUNNING,
    "STOPPING": NodeState.STOPPED,
    "STOPPED": NodeState.STOPPED,
    "HIDING": NodeState.STOPPED,
    "HIDDEN": NodeState.STOPPED,
    "DELETING": NodeState.TERMINATED,
    "PREEMPTED": NodeState.PREEMPTED,
    "TERMINATED": NodeState.FAILED,
    "UNKNOWN": NodeState.FAILED,
}
HOSTS: Mapping[str, tuple[float, float]] = {
    "tpu-v2-8": (96, 334),
    "tpu-v3-8": (96, 334),
    "tpu-v4-8": (240, 400),
    "tpu-v5litepod-1": (24, 48),
    "tpu-v5litepod-4": (112, 192),
    "tpu-v5litepod-8": (224, 384),
    "tpu-v5p-8": (208, 448),
    "tpu-v6e-1": (44, 176),
    "tpu-v6e-4": (180, 720),
    "tpu-v6e-8": (180, 1440),
}
"""vCPUs and GiB of the slices of one host: cloud.google.com/tpu/docs, the pages of each version."""
RUNTIMES = {
    "v5litepod": "v2-alpha-tpuv5-lite",
    "v5p": "v2-alpha-tpuv5",
    "v6e": "v2-alpha-tpuv6e",
}
RUNTIME = "tpu-ubuntu2204-base"


def offers(home: Path) -> list[Offer]:
    """The slices of one host in the catalog, with the size of their hosts."""
    rows = Catalog.load(["gcp"], locations.folders(home)).offers(cloud="gcp", scopes=("slice",))
    found = []
    for offer in rows:
        host = HOSTS.get(next(iter(offer.accelerators), ""))
        if host and offer.zone:
            found.append(replace(offer, cpus=float(host[0]), memory_gib=float(host[1])))
    return found


class Tpus:
    """The TPU VMs of a project.

    Args:
        google: At the host of the TPU API.
    """

    def __init__(self, google: Google, habits: Habits) -> None:
        self._google = google
        self._habits = habits

    async def launch(self, order: Order, zone: str, tags: list[str], user: str) -> Machine:
        wanted = _body(order, self._habits, tags, user)
        nodes = f"/locations/{zone}/nodes"
        try:
            done = await self._google.call("POST", nodes, wanted, nodeId=order.name)
        except Exists:
            return await self._same(f"{nodes}/{order.name}", order)
        await self._google.done(done)
        return Machine(
            id=order.name,
            name=order.name,
            state=NodeState.STARTING,
            region=order.offer.region,
            zone=zone,
            tags=order.tags,
            spot=order.offer.spot,
        )

    async def _same(self, path: str, order: Order) -> Machine:
        found = _machine(await self._google.call("GET", path))
        if found.tags.get(WISH_TAG) != order.wish or found.state is not NodeState.TERMINATED:
            return found
        raise TransientError(f"gcp: the former {order.name} is still being removed")

    async def machines(self) -> list[Machine]:
        """All of the project; the API has no filter."""
        found = await self._google.pages("/locations/-/nodes", "nodes", pageSize=500)
        return [_machine(entry) for entry in found]

    async def remove(self, name: str, zone: str) -> None:
        """Silent where it is gone."""
        try:
            path = f"/locations/{zone}/nodes/{name}"
            await self._google.done(await self._google.call("DELETE", path))
        except NotThere:
            return

    async def act(self, name: str, zone: str, what: str) -> None:
        """``stop`` or ``start`` it."""
        path = f"/locations/{zone}/nodes/{name}:{what}"
        await self._google.done(await self._google.call("POST", path, {}))

    async def preemption(self, name: str, zone: str) -> str | None:
        try:
            found = await self._google.call("GET", f"/locations/{zone}/nodes/{name}")
        except NotThere:
            return None
        words = found.get("healthDescription") or "preempted by Google"
        return str(words) if found["state"] == "PREEMPTED" else None


def _body(order: Order, habits: Habits, tags: list[str], user: str) -> dict[str, Any]:
    kind = next(iter(order.offer.accelerators), "")
    if kind not in HOSTS:
        raise UnsupportedFeature(
            f"gcp: a slice {kind} has several hosts", fix=f"use one of: {', '.join(HOSTS)}"
        )
    if order.disk_gib is not None:
        raise InvalidRequest("gcp: TPU VMs have a disk of 100 GiB", fix="remove `disk_size`")
    kind = kind.removeprefix("tpu-")
    network: dict[str, Any] = {
        "network": habits.network,
        "enableExternalIps": not habits.use_internal_ips,
    }
    if habits.subnetwork:
        network["subnetwork"] = habits.subnetwork
    made: dict[str, Any] = {
        "acceleratorType": kind,
        "runtimeVersion": order.image or RUNTIMES.get(kind.partition("-")[0], RUNTIME),
        "networkConfig": network,
        "labels": dict(order.tags),
        "tags": tags,
        "metadata": {"ssh-keys": f"{user}:{order.public_key}"},
        "schedulingConfig": {"spot": order.offer.spot},
    }
    if habits.service_account:
        made["serviceAccount"] = {"email": habits.service_account, "scope": [SCOPE]}
    return made


def _machine(entry: Mapping[str, Any]) -> Machine:
    """A node; it is named ``projects/<p>/locations/<zone>/nodes/<name>``."""
    zone, name = entry["name"].split("/")[3], last(entry["name"])
    end: Mapping[str, Any] = next(iter(entry.get("networkEndpoints") or ()), {})
    scheduling = entry.get("schedulingConfig") or {}
    return Machine(
        id=name,
        name=name,
        state=STATES.get(entry["state"], NodeState.STARTING),
        region=zone.rpartition("-")[0],
        zone=zone,
        tags=entry.get("labels") or {},
        public_ip=(end.get("accessConfig") or {}).get("externalIp") or "",
        private_ip=end.get("ipAddress") or "",
        created=moment(entry.get("createTime")),
        spot=bool(scheduling.get("spot") or scheduling.get("preemptible")),
        reason=entry.get("healthDescription") or entry["state"],
    )
