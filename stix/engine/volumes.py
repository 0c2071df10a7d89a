"""Volumes of stages: where they are, and what nodes get of them."""

from __future__ import annotations

from collections.abc import Collection

from stix.clouds.base import HasVolumes
from stix.clouds.volumes import Attachment, VolumeWish
from stix.engine.runtime import Attempt
from stix.errors import StixError
from stix.ledger import Ledger, NewVolume, VolumeRow
from stix.plan.where import Where
from stix.spec.models import PipelineSpec
from stix.spec.stage import StageSpec
from stix.spec.volumes import VolumeMount, gib_of


class VolumeAway(StixError):
    """A volume that a stage names cannot be had."""


def names_of(stage: StageSpec) -> list[str]:
    """Names of the volumes of a stage, each once."""
    return list(dict.fromkeys(mount.name for mount in stage.volumes.values() if mount.name))


def names_in(pipeline: PipelineSpec) -> list[str]:
    """Those of all stages."""
    stages = pipeline.resolved().stages.values()
    return list(dict.fromkeys(name for stage in stages for name in names_of(stage)))


def wish_of(row: NewVolume) -> VolumeWish:
    """What a cloud is asked for."""
    return VolumeWish(
        name=row.name,
        kind=row.kind,
        region=row.region,
        zone=row.zone,
        size_gib=row.size_gib,
        labels=row.labels,
        config=row.config,
        existing=row.existing,
    )


def where_of(row: VolumeRow) -> Where:
    """The place of a volume."""
    return Where(row.name, row.cloud, row.region, row.zone)


async def whereabouts(ledger: Ledger, names: Collection[str]) -> dict[str, Where]:
    """The places of volumes, of those that are known."""
    if not names:
        return {}
    return {row.name: where_of(row) for row in await ledger.volumes(sorted(names))}


async def attachments(attempt: Attempt) -> tuple[Attachment, ...]:
    """What the nodes of an attempt get. Its intent names the volumes already, so that nobody who
    sees it deletes one.

    Raises:
        VolumeAway: one is not there, or not ready.
    """
    stage = attempt.spec
    if not stage.volumes:
        return ()
    if not isinstance(attempt.cloud, HasVolumes):
        raise VolumeAway(f"{attempt.cloud.name} has no volumes")
    ledger, names = attempt.run.runtime.ledger, names_of(stage)
    rows = {row.name: row for row in await ledger.volumes(names)} if names else {}
    found = [_attachment(target, mount, rows) for target, mount in stage.volumes.items()]
    await ledger.volumes_attached(names)
    return tuple(found)


def _attachment(target: str, mount: VolumeMount, rows: dict[str, VolumeRow]) -> Attachment:
    if not mount.name:
        wish = VolumeWish(
            name="",
            kind=(mount.type or "").lower(),
            size_gib=gib_of(mount.size),
            labels=mount.labels or {},
            config=mount.config or {},
        )
        return Attachment(target, wish)
    row = rows.get(mount.name)
    if row is None or row.state != "ready":
        said = "is not there any more" if row is None else f"is not ready: it is {row.state}"
        raise VolumeAway(f"the volume {mount.name} {said}", fix="see `stix volumes ls`")
    return Attachment(target, wish_of(row), row.id, mount.sub_path or "")
