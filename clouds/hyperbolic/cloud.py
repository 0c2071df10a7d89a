"""Hyperbolic. Source: its own command line (github HyperbolicLabs/hyperbolic-cli, 2025-07) for
listing and ending, and skypilot 0.14 for the order of the cheapest machine of a kind.

It has no regions and takes neither image nor disk nor ports. What is ordered carries any JSON as
``userMetadata``: there our tags are. A machine is reached as ``sshCommand`` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.clouds.hyperbolic.errors import ERRORS, reading
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.credentials import Key, whole
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import TagRule

KEY = Key(("HYPERBOLIC_API_KEY",), (("~/.hyperbolic/api_key", whole),))
STATES: Mapping[str, NodeState] = {
    "unknown": NodeState.STARTING,
    "pending": NodeState.STARTING,
    "creating": NodeState.STARTING,
    "starting": NodeState.STARTING,
    "restarting": NodeState.STARTING,
    "busy": NodeState.STARTING,
    "online": NodeState.RUNNING,
    "running": NodeState.RUNNING,
    "offline": NodeState.FAILED,  # its host is gone: nobody can stop one
    "failed": NodeState.FAILED,
    "error": NodeState.FAILED,
    "stopping": NodeState.TERMINATED,
    "terminated": NodeState.TERMINATED,
}
TYPE = re.compile(r"(\d+)x-(.+)-\d+-\d+")
SSH = re.compile(r"([\w.-]+)@([\w.:-]+)")
MINE = "stix"


class HyperbolicCloud(RentedCloud):
    """Machines of one account."""

    name = "hyperbolic"
    traits = Traits(
        user="ubuntu",
        tags=TagRule(count=100, chunk=10_000),
        user_data_bytes=0,
        poll_s=5.0,
        lag_s=10.0,
        multi_node=False,
    )
    rates: ClassVar[Mapping[str, float]] = {"*": 1.0}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        base = "https://api.hyperbolic.xyz"
        self._api = self.api(base, self._headers, ERRORS, reading=reading)

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        found = await self._instances()
        return Identity(f"key of {KEY.need(self.name).source}", f"{len(found)} instances")

    async def launch(self, order: Order) -> Machine:
        _refuse(order)
        found = TYPE.fullmatch(order.offer.instance_type)
        if found is None:
            raise InvalidRequest(
                f"hyperbolic: {order.offer.instance_type} is not a type that can be ordered"
            )
        body = {
            "gpuModel": found[2],
            "gpuCount": found[1],
            "userMetadata": {MINE: dict(order.tags)},
            "sshPublicKey": order.public_key,
        }
        path = "/v2/marketplace/instances/create-cheapest"
        made = await self._api.call("POST", path, json=body)
        return Machine(made["instanceName"], order.name, NodeState.STARTING, tags=order.tags)

    async def machines(self, search: Search) -> list[Machine]:
        found = [_machine(entry) for entry in await self._instances()]
        return [machine for machine in found if machine.tags.get(HOME_TAG) == search.home]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            try:
                path = "/v1/marketplace/instances/terminate"
                await self._api.call("POST", path, json={"id": node.id})
            except NotThere:
                continue

    async def hang_up(self) -> None:
        await self._api.close()

    async def _instances(self) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = (
            await self._api.call("GET", "/v1/marketplace/instances")
        )["instances"]
        return found

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


def _refuse(order: Order) -> None:
    """What a machine of Hyperbolic cannot have."""
    asked = {"image": order.image, "disk_size": order.disk_gib, "ports": order.ports}
    for name, value in asked.items():
        if value:
            raise InvalidRequest(
                f"hyperbolic: machines are rented as they are, `{name}` cannot be chosen",
                fix=f"remove `{name}`",
            )


def _machine(entry: Mapping[str, Any]) -> Machine:
    status = str((entry.get("instance") or {}).get("status") or "unknown").lower()
    user, host, port = _way_in(entry.get("sshCommand") or "")
    created = entry.get("created")
    return Machine(
        id=entry["id"],
        name=entry["id"],
        state=STATES.get(status, NodeState.STARTING),
        tags=_tags(entry),
        public_ip=host,
        port=port,
        user=user,
        created=datetime.fromisoformat(created).timestamp() if created else None,
        billed=status != "terminated",
        reason=status,
    )


def _tags(entry: Mapping[str, Any]) -> Mapping[str, str]:
    mine = (entry.get("userMetadata") or {}).get(MINE)
    return mine if isinstance(mine, Mapping) else {}


def _way_in(command: str) -> tuple[str, str, int]:
    """User, host and port of ``ssh -i KEY ubuntu@host -p 31234``, in whatever order; no host where
    there is none yet."""
    found = SSH.search(command)
    port = re.search(r"(?:^|\s)-p\s*(\d+)", command)
    return (found[1], found[2], int(port[1]) if port else 22) if found else ("", "", 22)
