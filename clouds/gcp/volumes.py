"""Persistent disks as volumes: made in a zone, attached to one machine at a time.

Source: the discovery document of compute v1. Names are unique in a zone, which makes orders
idempotent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stix.clouds.base import Node
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import (
    CapacityError,
    InvalidRequest,
    TransientError,
    UnsupportedFeature,
    VolumeInUse,
)
from stix.clouds.gcp.wire import Google, last
from stix.clouds.rented.disks import Disk
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.tags import TagRule, pack, unpack
from stix.clouds.volumes import VOLUME_TAG, Attachment, Volume, VolumeKind, VolumeWish

TYPE, TIER = "gcp-pd", "disk_type"
KIND = VolumeKind(
    "a persistent disk",
    reach="zone",
    least_gib=10.0,
    sub_path=True,
    shared=False,
    per_node=15,
    config={TIER: ("pd-balanced", "pd-standard", "pd-ssd", "hyperdisk-balanced")},
)
_NUMBER = re.compile(r"[0-9]+")


class PersistentDisks:
    """Those of one home. Ids are ``zone/name``."""

    def __init__(self, google: Google, home: str, rule: TagRule) -> None:
        self._google, self._home, self._rule = google, home, rule

    async def create(self, wish: VolumeWish) -> Volume:
        """See ``HasVolumes``."""
        zone = wish.zone
        if not zone or zone.rpartition("-")[0] != wish.region:
            fix = f"write infra: gcp/{wish.region}/{wish.region}-a"
            raise InvalidRequest("gcp: a disk lies in one zone of its region", fix=fix)
        name = wish.id_at(self._home)
        if wish.existing:
            return self._volume(await self._get(zone, name), {})
        tier = wish.config.get(TIER, "pd-balanced")
        body = {
            "name": name,
            "sizeGb": str(math.ceil(wish.size_gib or KIND.least_gib)),
            "type": f"zones/{zone}/diskTypes/{tier}",
            "labels": pack(wish.tags(self._home), self._rule),
        }
        try:
            done = await self._google.call("POST", f"/zones/{zone}/disks", body)
        except Exists:
            made = self._volume(await self._get(zone, name), {})
            if made.name != wish.name:
                raise InvalidRequest(f"gcp: {name} is somebody else's", fix="rename it") from None
            return made
        if not await self._google.done(done):
            raise TransientError(f"gcp: the disk {name} is not made yet")
        return self._volume(await self._get(zone, name), {})

    async def all(self, ids: Mapping[str, str]) -> list[Volume]:
        """See ``HasVolumes``.

        Args:
            ids: Name of a machine to its id.
        """
        found = await self._google.pages(
            "/aggregated/disks", "disks", filter=f'labels.{HOME_TAG} = "{self._home}"'
        )
        volumes = [self._volume(entry, ids) for entry in found]
        return [volume for volume in volumes if volume.name]

    async def delete(self, wish: VolumeWish) -> None:
        """See ``HasVolumes``."""
        name, zone = wish.id_at(self._home), wish.zone
        if wish.existing or not zone:
            return
        try:
            entry = await self._google.call("GET", f"/zones/{zone}/disks/{name}")
            if users := [last(user) for user in entry.get("users") or ()]:
                raise VolumeInUse(f"gcp: {wish.name} is attached to {', '.join(users)}")
            done = await self._google.call("DELETE", f"/zones/{zone}/disks/{name}")
        except NotThere:
            return
        if not await self._google.done(done):
            raise TransientError(f"gcp: the disk {name} is not removed yet")

    async def attach(self, node: Node, wanted: Sequence[Attachment]) -> None:
        """See ``CanMount``."""
        if not _NUMBER.fullmatch(node.ref.id):
            fix = "use machines of Compute Engine, or copy the data with file_mounts"
            raise UnsupportedFeature("gcp: volumes are not attached to TPU VMs", fix=fix)
        for each in wanted:
            zone, _, name = each.id.rpartition("/")
            entry = await self._get(zone, name)
            if zone != node.ref.zone:
                raise InvalidRequest(f"gcp: {name} is in {zone}, and not in {node.ref.zone}")
            path = f"/zones/{zone}/instances/{node.ref.id}"
            machine = await self._google.call("GET", path)
            users = [last(user) for user in entry.get("users") or ()]
            if machine["name"] in users:
                continue
            if users:
                said = f"gcp: {each.wish.name or name} is attached to {', '.join(users)}"
                raise CapacityError(said, scope="zone")
            project = await self._google.project()
            body = {
                "source": f"projects/{project}/zones/{zone}/disks/{name}",
                "deviceName": name,
                "mode": "READ_WRITE",
                "autoDelete": False,
            }
            done = await self._google.call("POST", f"{path}/attachDisk", body)
            if not await self._google.done(done):
                raise TransientError(f"gcp: {name} is not attached yet")

    async def _get(self, zone: str, name: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = await self._google.call("GET", f"/zones/{zone}/disks/{name}")
        except NotThere:
            fix = "see `gcloud compute disks list` and `stix volumes ls -r`"
            raise InvalidRequest(f"gcp: there is no disk {name} in {zone}", fix=fix) from None
        return found

    def _volume(self, entry: Mapping[str, Any], ids: Mapping[str, str]) -> Volume:
        zone, tags = last(entry["zone"]), unpack(entry.get("labels") or {})
        ours = tags.get(HOME_TAG) == self._home
        users = [last(user) for user in entry.get("users") or ()]
        return Volume(
            cloud="gcp",
            kind=TYPE,
            id=f"{zone}/{entry['name']}",
            name=tags.get(VOLUME_TAG, "") if ours else "",
            region=zone.rpartition("-")[0],
            zone=zone,
            size_gib=float(entry["sizeGb"]),
            used_by=tuple(ids.get(user, user) for user in users),
            state=str(entry.get("status", "")),
        )


def disks(wanted: Sequence[Attachment]) -> list[Disk]:
    """Where they appear on the machine."""
    return [Disk(each, [f"/dev/disk/by-id/google-{each.id.rpartition('/')[2]}"]) for each in wanted]
