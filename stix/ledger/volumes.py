"""Volumes: each is written down before it is made, and struck off once it is gone.

Whoever deletes one first says so and then looks who uses it; whoever uses one first opens an intent
that names it and then looks at its state. So of two at one time at least one sees the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stix.ledger.base import Part
from stix.ledger.sql import Statement

CREATING, READY, DELETING = "creating", "ready", "deleting"


@dataclass(frozen=True)
class NewVolume:
    """A volume that is to be.

    Attributes:
        kind: Its type, such as ``k8s-pvc``.
        region: ``-`` where the cloud has none.
        size_gib: None where the kind has no size.
        existing: The provider's id of one that others made and STIX only uses; else empty.
    """

    name: str
    kind: str
    cloud: str
    region: str = "-"
    zone: str | None = None
    size_gib: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    existing: str = ""


@dataclass(frozen=True)
class VolumeRow(NewVolume):
    """A volume as it is known.

    Attributes:
        id: The provider's id; empty until it is known.
        state: ``creating``, ``ready`` or ``deleting``.
        reason: Why it is not further, in words.
        attached: When nodes were last asked for with it.
        used_by: Keys ``run/stage`` of what holds it now.
    """

    id: str = ""
    state: str = CREATING
    reason: str = ""
    created: datetime | None = None
    attached: datetime | None = None
    used_by: list[str] = field(default_factory=list)


_ADD = Statement.of("""
    INSERT INTO volumes (name, kind, cloud, region, zone, size_gib, labels, config, existing)
    VALUES (:name, :kind, :cloud, :region, :zone, :size_gib, :labels, :config, :existing)
    ON CONFLICT (name) DO NOTHING RETURNING name""")

_LIST = Statement.of("""
    SELECT v.*, ARRAY(
        SELECT i.run_id || '/' || i.key FROM intents i
        WHERE (i.outcome IS NULL OR i.outcome = 'created')
            AND i.request->'volumes' @> to_jsonb(v.name)
        ORDER BY 1) AS used_by
    FROM volumes v
    WHERE :names::text[] IS NULL OR v.name = ANY(:names)
    ORDER BY v.created, v.name""")

_MADE = Statement.of("""
    UPDATE volumes SET id = :id, zone = coalesce(zone, :zone), reason = '',
        size_gib = coalesce(size_gib, :size_gib::float8),
        state = CASE WHEN state = 'creating' THEN 'ready' ELSE state END
    WHERE name = :name""")

_SAY = Statement.of("UPDATE volumes SET reason = :reason WHERE name = :name")

_DOOM = Statement.of("UPDATE volumes SET state = 'deleting', reason = '' WHERE name = :name")

_SPARE = Statement.of("""
    UPDATE volumes SET state = CASE WHEN id = '' THEN 'creating' ELSE 'ready' END
    WHERE name = :name AND state = 'deleting'""")

_FORGET = Statement.of("DELETE FROM volumes WHERE name = :name AND state = ANY(:states::text[])")

_ATTACHED = Statement.of("""
    UPDATE volumes SET attached = clock_timestamp() WHERE name = ANY(:names::text[])""")


class Volumes(Part):
    """Volumes."""

    async def add_volume(self, volume: NewVolume) -> tuple[VolumeRow, bool]:
        """Write a volume down before it is made.

        Returns:
            The one of this name, and whether it is certainly new.
        """
        new = await self._db.fetch(_ADD, **volume.__dict__)
        return (await self.volumes([volume.name]))[0], bool(new)

    async def volumes(self, names: Sequence[str] | None = None) -> list[VolumeRow]:
        """Those of the names that are known, or all, the oldest first."""
        wanted = None if names is None else list(names)
        return [VolumeRow(**row) for row in await self._db.fetch(_LIST, names=wanted)]

    async def volume_made(
        self, name: str, id: str, zone: str | None, size_gib: float | None
    ) -> None:
        """It is there: ``ready``, unless somebody deletes it meanwhile."""
        await self._db.fetch(_MADE, name=name, id=id, zone=zone, size_gib=size_gib)

    async def volume_stuck(self, name: str, reason: str) -> None:
        """Note why it is not made, or not deleted, yet."""
        await self._db.fetch(_SAY, name=name, reason=reason)

    async def doom_volume(self, name: str) -> None:
        """It is being deleted: nobody shall begin to use it."""
        await self._db.fetch(_DOOM, name=name)

    async def spare_volume(self, name: str) -> None:
        """It is not deleted after all."""
        await self._db.fetch(_SPARE, name=name)

    async def forget_volume(self, name: str, *states: str) -> None:
        """Strike it off, where it is in one of these states."""
        await self._db.fetch(_FORGET, name=name, states=list(states))

    async def volumes_attached(self, names: Sequence[str]) -> None:
        """Nodes are asked for with them, now."""
        await self._db.fetch(_ATTACHED, names=list(names))
