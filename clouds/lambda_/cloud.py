"""Lambda Cloud. Source: its public API document (api-evangelist/lambda, 2026-08).

It rents whole machines on demand; they cannot be stopped, and none is sold as spot. An order
carries tags, and at most one key for SSH, which is ours for all homes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.clouds.lambda_.errors import ERRORS
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.credentials import Key, line
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import TagRule

KEY = Key(("LAMBDA_API_KEY",), (("~/.lambda_cloud/lambda_keys", line("api_key =")),))
STATES: Mapping[str, NodeState] = {
    "booting": NodeState.STARTING,
    "active": NodeState.RUNNING,
    "unhealthy": NodeState.FAILED,
    "terminating": NodeState.TERMINATED,
    "terminated": NodeState.TERMINATED,
    "preempted": NodeState.PREEMPTED,
}
FREE = frozenset({"terminated", "preempted"})


class LambdaCloud(RentedCloud):
    """Machines of Lambda."""

    name = "lambda"
    traits = Traits(
        user="ubuntu",
        tags=TagRule(count=20, key=r"[a-z][a-z0-9:-]{0,54}", value=r"(?s:.{0,128})", chunk=128),
        user_data_bytes=1_000_000,
        at_once=1,
        poll_s=5.0,
    )
    custom_image: ClassVar[bool] = True
    rates: ClassVar[Mapping[str, float]] = {"create": 1 / 12, "*": 1.0}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._api = self.api("https://cloud.lambda.ai/api/v1", self._headers, ERRORS)

    def credentials(self) -> str:
        return KEY.find().source

    async def check(self) -> Identity:
        types = await self._data("GET", "/instance-types")
        return Identity(f"key of {KEY.need(self.name).source}", f"{len(types)} instance types")

    async def launch(self, order: Order) -> Machine:
        if order.disk_gib is not None or order.ports:
            raise InvalidRequest(
                "lambda: the disk of a machine has the size of its type, and ports are opened for "
                "the whole account alone",
                fix="remove `disk_size` and `ports`",
            )
        body: dict[str, Any] = {
            "region_name": order.offer.region,
            "instance_type_name": order.offer.instance_type,
            "ssh_key_names": [await self._key_name(order.public_key)],
            "name": order.name,
            "hostname": order.name,
            "user_data": order.user_data,
            "tags": [{"key": key, "value": value} for key, value in order.tags.items()],
        }
        if order.image:
            body["image"] = {"id": order.image}
        made = await self._data("POST", "/instance-operations/launch", body)
        return Machine(
            made["instance_ids"][0],
            order.name,
            NodeState.STARTING,
            region=order.offer.region,
            tags=order.tags,
        )

    async def machines(self, search: Search) -> list[Machine]:
        found = [_machine(entry) for entry in await self._data("GET", "/instances")]
        return [machine for machine in found if machine.tags.get(HOME_TAG) == search.home]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        for node in nodes:
            try:
                body = {"instance_ids": [node.id]}
                await self._data("POST", "/instance-operations/terminate", body)
            except NotThere:
                continue

    async def resources(self) -> list[Resource]:
        """Our SSH key, which costs nothing."""
        mine = _name_of(self.keys.public())
        keys = await self._data("GET", "/ssh-keys")
        return [
            Resource(
                cloud=self.name,
                kind="key",
                id=key["id"],
                tags={HOME_TAG: self.config.home_id},
                shared=True,
                billed=False,
            )
            for key in keys
            if key["name"] == mine
        ]

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            try:
                await self._data("DELETE", f"/ssh-keys/{resource.id}")
            except NotThere:
                continue

    async def hang_up(self) -> None:
        await self._api.close()

    async def _key_name(self, public_key: str) -> str:
        """The name of our key in the account, put there if it is not there yet."""
        name = _name_of(public_key)
        keys = await self._data("GET", "/ssh-keys")
        if name not in {key["name"] for key in keys}:
            await self._data("POST", "/ssh-keys", {"name": name, "public_key": public_key})
        return name

    async def _data(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self._api.call(method, path, json=body)
        return answer["data"] if answer else None

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


def _name_of(public_key: str) -> str:
    return f"stix-{hashlib.sha256(public_key.encode()).hexdigest()[:12]}"


def _machine(entry: Mapping[str, Any]) -> Machine:
    return Machine(
        id=entry["id"],
        name=entry.get("name") or "",
        state=STATES.get(entry["status"], NodeState.STARTING),
        region=entry["region"]["name"],
        tags={tag["key"]: tag["value"] for tag in entry.get("tags") or ()},
        public_ip=entry.get("ip") or "",
        private_ip=entry.get("private_ip") or "",
        billed=entry["status"] not in FREE,
        reason=entry["status"],
    )
