"""Network volumes of RunPod. Source: its API document (runpod/docs, REST API v2, 2026-08).

They have no tags, and several may have one name: ours is found by a name that nobody else gives,
and made under a lock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stix.clouds.agents import finish
from stix.clouds.errors import InvalidRequest, UnsupportedFeature, VolumeInUse
from stix.clouds.locks import TokenLocks
from stix.clouds.rented.cloud import understood
from stix.clouds.rented.failures import NotThere
from stix.clouds.rented.http import Api
from stix.clouds.volumes import Attachment, Volume, VolumeKind, VolumeWish

TYPE = "runpod-network-volume"
PATH = "/v2/network-volumes"
KIND = VolumeKind("a network volume of RunPod", reach="region", least_gib=10.0, per_node=1)


class NetworkVolumes:
    """Those of one home.

    Args:
        pods: All pods of the account, as the API shows them.
    """

    def __init__(self, home: str, locks: TokenLocks, pods: Callable[[], Any]) -> None:
        self._home, self._locks, self._pods = home, locks, pods

    async def create(self, api: Api, wish: VolumeWish) -> Volume:
        """See ``HasVolumes``."""
        name = wish.id_at(self._home)
        async with self._locks.hold(f"volume {wish.name}"):
            with understood("runpod"):
                there = await self._listed(api)
                found = [v for v in there if name in (v["name"], v["id"] if wish.existing else "")]
                if not found and wish.existing:
                    fix = "see `runpodctl network-volume list`"
                    raise InvalidRequest(f"runpod: there is no network volume {name}", fix=fix)
                if not found:
                    body = {
                        "name": name,
                        "size": math.ceil(wish.size_gib or KIND.least_gib),
                        "dataCenter": wish.region,
                    }
                    found = [await finish(lambda: api.call("POST", PATH, json=body))]
                made = min(found, key=lambda volume: str(volume["id"]))
                self._demand_place(made, wish)
                return self._volume(made, ())

    async def all(self, api: Api) -> list[Volume]:
        """See ``HasVolumes``."""
        with understood("runpod"):
            ours = [v for v in await self._listed(api) if v["name"].startswith(self._prefix)]
            pods = await self._pods() if ours else ()
            return [self._volume(each, pods) for each in ours]

    async def delete(self, api: Api, wish: VolumeWish) -> None:
        """See ``HasVolumes``."""
        name = wish.id_at(self._home)
        if wish.existing:
            return
        with understood("runpod"):
            doomed = [v for v in await self._listed(api) if v["name"] == name]
            pods = await self._pods() if doomed else ()
            users = [user for each in doomed for user in _users(each["id"], pods)]
            if users:
                raise VolumeInUse(f"runpod: {name} is in use by {', '.join(users)}")
            for each in doomed:
                try:
                    await api.call("DELETE", f"{PATH}/{each['id']}")
                except NotThere:
                    continue

    async def demand(self, api: Api, wanted: Sequence[Attachment]) -> None:
        """Raises ``InvalidRequest`` where a volume is missing."""
        if not wanted:
            return
        one(wanted)
        with understood("runpod"):
            there = {volume["id"] for volume in await self._listed(api)}
        for each in wanted:
            if each.id not in there:
                fix = "see `stix volumes ls -r`"
                raise InvalidRequest(f"runpod: there is no network volume {each.id}", fix=fix)

    @property
    def _prefix(self) -> str:
        return VolumeWish("", TYPE).id_at(self._home)

    async def _listed(self, api: Api) -> list[Mapping[str, Any]]:
        return list((await api.call("GET", PATH))["networkVolumes"])

    def _demand_place(self, made: Mapping[str, Any], wish: VolumeWish) -> None:
        if made["dataCenter"] != wish.region:
            fix = f"write infra: runpod/{made['dataCenter']}"
            said = f"runpod: {made['name']} is in {made['dataCenter']}, and not in {wish.region}"
            raise InvalidRequest(said, fix=fix)

    def _volume(self, made: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> Volume:
        name = str(made["name"])
        return Volume(
            cloud="runpod",
            kind=TYPE,
            id=str(made["id"]),
            name=name.removeprefix(self._prefix) if name.startswith(self._prefix) else "",
            region=str(made["dataCenter"]),
            size_gib=float(made["size"]),
            used_by=tuple(_users(made["id"], pods)),
            state=str(made.get("type", "")),
        )


def one(wanted: Sequence[Attachment]) -> tuple[str, str] | None:
    """Id and path of the one volume that a pod can have; None where it has none."""
    if len(wanted) > 1 or any(each.sub_path or not each.id for each in wanted):
        raise UnsupportedFeature(
            "runpod: a pod has one network volume, all of it",
            fix="use one volume by its name, without sub_path",
        )
    return (wanted[0].id, wanted[0].at("/root")) if wanted else None


def mounted(wanted: Sequence[Attachment]) -> dict[str, Any]:
    """What the body of an order says of it."""
    found = one(wanted)
    return {"mounts": {"network": [{"volumeId": found[0], "path": found[1]}]}} if found else {}


def mounted_by_bid(wanted: Sequence[Attachment]) -> dict[str, Any]:
    """The same in GraphQL."""
    found = one(wanted)
    return {"networkVolumeId": found[0], "volumeMountPath": found[1]} if found else {}


def _users(volume: str, pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ids of the pods that have it."""
    return [
        str(pod["id"])
        for pod in pods
        for mount in (pod.get("mounts") or {}).get("network") or ()
        if mount["volumeId"] == volume and pod["status"] != "TERMINATED"
    ]
