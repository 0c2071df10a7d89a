"""Volumes of a cluster: persistent volume claims."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stix.clouds.agents import finish
from stix.clouds.base import CreateRequest
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CapacityError, InvalidRequest, TransientError, VolumeInUse
from stix.clouds.kubernetes.api import KubeApi, Object
from stix.clouds.kubernetes.claimspec import (
    ALONE,
    KIND,
    TYPE,
    claim_spec,
    claims_in,
    gib_in,
)
from stix.clouds.kubernetes.pods import MANAGED_LABEL, TAGS, WISH_LABEL, label_value, wish_of
from stix.clouds.kubernetes.reading import tags_of
from stix.clouds.kubernetes.sizes import HOME_LABEL
from stix.clouds.rented.cloud import understood
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.volumes import VOLUME_TAG, Volume, VolumeKind, VolumeWish

GONE_SECONDS = 60.0
POLL_SECONDS = (0.05, 1.0)


class Claims:
    """The part of the cloud that is about volumes."""

    name: str
    _config: CloudConfig

    if TYPE_CHECKING:  # the cloud has them

        def _apis(self) -> dict[str, KubeApi]: ...

        def _api(self, context: str) -> KubeApi: ...

    @classmethod
    def volume_kinds(cls) -> Mapping[str, VolumeKind]:
        return {TYPE: KIND}

    async def create_volume(self, wish: VolumeWish) -> Volume:
        """A claim; whether it is bound at once is the storage class's affair."""
        api = self._api(wish.region)
        with understood(self.name):
            if wish.existing:
                return self._volume(api, await self._claim(api, wish.existing), [])
            claim = self._manifest(api, wish)
            path = _path(api, claim["metadata"]["name"])
            try:
                made = await finish(lambda: api.post(_path(api), claim))
            except Exists:
                made = await self._own(api, path, wish)
            return self._volume(api, made, [])

    async def volumes(self) -> list[Volume]:
        query = {"labelSelector": f"{HOME_LABEL}={label_value(self._config.home_id)}"}
        found: list[Volume] = []
        for api in self._apis().values():
            with understood(self.name):
                claims = await api.items(_path(api), query)
                pods = await _pods(api) if claims else []
                found += [self._volume(api, c, pods) for c in claims if self._is_ours(c)]
        return found

    async def delete_volume(self, wish: VolumeWish) -> None:
        """A claim that is deleted while a pod has it goes for ever once the pod ends: so it is
        looked for pods first."""
        if wish.existing:
            return
        api = self._api(wish.region)
        name = wish.id_at(self._config.home_id)
        with understood(self.name):
            users = _users(name, await _pods(api))
            if users:
                raise VolumeInUse(f"{self.name}: {name} is in use by {', '.join(users)}")
            await finish(lambda: api.delete(_path(api, name)))
            await self._gone(api, name)

    async def demand_claims(self, api: KubeApi, request: CreateRequest) -> None:
        """Pods whose claim is missing, or is held elsewhere, would wait without an end.

        Raises:
            InvalidRequest: a claim is missing.
            CapacityError: a claim that one node can have is held by another wish.
        """
        named = [each.id.rpartition("/")[2] for each in request.volumes if each.id]
        if not named:
            return
        mine = wish_of(self._config.home_id, request.token)
        pods = [p for p in await _pods(api) if _label(p, WISH_LABEL) != mine]
        for name in named:
            claim = await self._claim(api, name)
            users = _users(name, pods)
            if users and set(claim["spec"].get("accessModes") or ()) <= set(ALONE):
                said = f"{self.name}: {name} is held by {', '.join(users)}"
                raise CapacityError(said, scope="region")

    async def _claim(self, api: KubeApi, name: str) -> Object:
        try:
            return await api.get(_path(api, name.rpartition("/")[2]))
        except NotThere:
            where = f"{api.place.context} ({api.place.namespace})"
            fix = "see `kubectl get pvc` and `stix volumes ls`"
            said = f"{self.name}: there is no claim {name} in {where}"
            raise InvalidRequest(said, fix=fix) from None

    async def _own(self, api: KubeApi, path: str, wish: VolumeWish) -> Object:
        """The claim of this name, which is there."""
        try:
            there = await api.get(path)
        except NotThere:
            raise TransientError(f"{self.name}: {path} comes and goes") from None
        if not self._is_ours(there) or tags_of(there).get(VOLUME_TAG) != wish.name:
            raise InvalidRequest(f"{self.name}: {path} is somebody else's", fix="rename it")
        if there["metadata"].get("deletionTimestamp"):
            raise TransientError(f"{self.name}: {path} is just being deleted")
        return there

    async def _gone(self, api: KubeApi, name: str) -> None:
        stop, pause = time.monotonic() + GONE_SECONDS, POLL_SECONDS[0]
        while time.monotonic() < stop:
            try:
                await api.get(_path(api, name))
            except NotThere:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, POLL_SECONDS[1])
        raise TransientError(f"{self.name}: the claim {name} does not go")

    def _manifest(self, api: KubeApi, wish: VolumeWish) -> Object:
        home = self._config.home_id
        labels = {MANAGED_LABEL: "stix", HOME_LABEL: label_value(home)}
        tags = wish.tags(home)
        shown = {key: label_value(value) for key, value in wish.labels.items()}
        meta = {
            "name": wish.id_at(home),
            "namespace": api.place.namespace,
            "labels": {**shown, **labels},
            "annotations": {TAGS: json.dumps(tags, ensure_ascii=False)},
        }
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": meta,
            "spec": claim_spec(wish),
        }

    def _is_ours(self, claim: Object) -> bool:
        tags = tags_of(claim)
        return tags.get(HOME_TAG) == self._config.home_id and VOLUME_TAG in tags

    def _volume(self, api: KubeApi, claim: Object, pods: Sequence[Object]) -> Volume:
        meta = claim["metadata"]
        ours = self._is_ours(claim)
        return Volume(
            cloud=self.name,
            kind=TYPE,
            id=f"{meta['namespace']}/{meta['name']}",
            name=tags_of(claim)[VOLUME_TAG] if ours else "",
            region=api.place.context,
            size_gib=gib_in(claim),
            used_by=tuple(_users(meta["name"], pods)),
            state=str((claim.get("status") or {}).get("phase", "")),
        )


def _path(api: KubeApi, name: str = "") -> str:
    base = f"/api/v1/namespaces/{api.place.namespace}/persistentvolumeclaims"
    return f"{base}/{name}" if name else base


async def _pods(api: KubeApi) -> list[Object]:
    """Those of everybody, in our namespace."""
    return await api.items(f"/api/v1/namespaces/{api.place.namespace}/pods")


def _users(claim: str, pods: Sequence[Object]) -> list[str]:
    """Ids of the pods that hold a claim: one that has ended does not."""
    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods
        if claim in claims_in(pod)
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]


def _label(item: Mapping[str, Any], name: str) -> str:
    return str((item["metadata"].get("labels") or {}).get(name, ""))
