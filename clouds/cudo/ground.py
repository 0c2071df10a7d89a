"""What machines at CUDO stand on: stock, and security groups per data centre, which cost nothing.

Source: github cudoventures/cudo-compute-python-client, ``NetworksApi`` and ``VirtualMachinesApi``;
the form of rules is that of github cudoventures/terraform-provider-cudo.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stix.clouds.base import Resource
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.rented.failures import Exists
from stix.clouds.rented.http import Api
from stix.clouds.rented.machines import Order
from stix.clouds.rented.names import home_word

INSIDE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
TYPE = re.compile(r"(.+)_(\d+)x(\d+)v(\d+)gb")


@dataclass(frozen=True)
class Size:
    """A type of the catalog, such as ``intel-broadwell-v100_1x2v4gb``, in CUDO's words."""

    kind: str
    gpus: int
    vcpus: int
    memory_gib: int

    @classmethod
    def of(cls, instance_type: str) -> Size:
        found = TYPE.fullmatch(instance_type)
        if found is None:
            raise InvalidRequest(f"cudo: {instance_type} is not a type that can be ordered")
        return cls(found[1], int(found[2]), int(found[3]), int(found[4]))


class Ground:
    """The ground of one home.

    Args:
        api: CUDO's.
        home: Id of the home.
    """

    def __init__(self, api: Api, home: str) -> None:
        self._api = api
        self._home = home
        self._base = f"stix-{home_word(home)}-"
        self._turn = asyncio.Lock()
        self._last: tuple[str, Sequence[str]] | None = None

    async def of(self, order: Order, project: str) -> Sequence[str]:
        """The security groups for the machines of this wish; looked up once for all of them.

        Raises:
            CapacityError: the data centre has no room for one.
        """
        async with self._turn:
            if self._last is None or self._last[0] != order.wish:
                await self._in_stock(order.offer.region, Size.of(order.offer.instance_type))
                groups = await self.groups(project, order.offer.region, order.ports)
                self._last = order.wish, groups
            return self._last[1]

    def forget(self) -> None:
        """Look everything up again: an order was refused."""
        self._last = None

    async def groups(self, project: str, place: str, ports: Sequence[str]) -> list[str]:
        """Ids of the groups that let in SSH, machines of this home, and ``ports``."""
        wanted = {f"{self._base}{place}": _basic()}
        if ports:
            digest = hashlib.sha256(",".join(sorted(ports)).encode()).hexdigest()[:8]
            wanted[f"{self._base}{place}-{digest}"] = [_inbound(port) for port in sorted(ports)]
        there = {group["id"] for group in await self.listed(project)}
        for name, rules in wanted.items():
            if name not in there:
                await self._make(project, {"id": name, "dataCenterId": place, "rules": rules})
        return [*wanted]

    async def listed(self, project: str) -> list[Mapping[str, Any]]:
        """The groups of this home, through all pages."""
        path = f"/v1/projects/{project}/networks/security-groups"
        found: list[Mapping[str, Any]] = []
        number = 1
        while True:
            params = {"pageNumber": number, "pageSize": 100}
            answer = await self._api.call("GET", path, params=params)
            entries = answer.get("securityGroups") or []
            found += entries
            if not entries or len(found) >= int(answer.get("totalCount") or 0):
                return [group for group in found if group["id"].startswith(self._base)]
            number += 1

    async def resources(self, project: str, cloud: str) -> list[Resource]:
        return [
            Resource(
                cloud=cloud,
                kind="security group",
                id=group["id"],
                region=group["dataCenterId"],
                tags={HOME_TAG: self._home},
                shared=True,
                billed=False,
            )
            for group in await self.listed(project)
        ]

    async def _in_stock(self, place: str, size: Size) -> None:
        query = {"vcpu": size.vcpus, "memoryGib": size.memory_gib, "dataCenterId": place}
        answer = await self._api.call("GET", "/v1/vms/machine-types", params=query)
        for entry in answer.get("machineTypes") or ():
            fits = (
                int(entry.get("maxVcpuFree") or 0) >= size.vcpus
                and int(entry.get("maxMemoryGibFree") or 0) >= size.memory_gib
                and int(entry.get("maxGpuFree") or 0) >= size.gpus
            )
            if (entry["dataCenterId"], entry["machineType"]) == (place, size.kind) and fits:
                return
        raise CapacityError(f"cudo: {place} has no room for {size}", scope="region")

    async def _make(self, project: str, group: Mapping[str, Any]) -> None:
        path = f"/v1/projects/{project}/networks/security-groups"
        try:
            await self._api.call("POST", path, json=group)
        except Exists:
            return  # another engine was faster


def _basic() -> list[dict[str, str]]:
    every = [_rule("INBOUND", "ALL", ipRangeCidr=inside) for inside in INSIDE]
    return [_inbound("22"), *every, _rule("OUTBOUND", "ALL")]


def _inbound(ports: str) -> dict[str, str]:
    return _rule("INBOUND", "TCP", ports=ports.replace("-", ":"))


def _rule(kind: str, protocol: str, **more: str) -> dict[str, str]:
    return {"ruleType": f"RULE_TYPE_{kind}", "protocol": f"PROTOCOL_{protocol}", **more}
