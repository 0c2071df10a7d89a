"""The canonical form of file mounts and volumes."""

from __future__ import annotations

from typing import Any

from stix.spec.stage import StageSpec


def file_mounts(stage: StageSpec) -> dict[str, Any]:
    """``file_mounts`` of a task; mounts that are disks of GCP lie in its resources instead."""
    return {}


def volumes(stage: StageSpec) -> dict[str, Any]:
    """``volumes`` of a task."""
    return {}


def requires_fuse(stage: StageSpec) -> bool:
    """Whether a bucket is mounted, which ``resources._requires_fuse`` says."""
    return any(mount.mode != "COPY" for mount in stage.file_mounts.values())


def disks(stage: StageSpec) -> list[dict[str, Any]]:
    """Mounts with ``store: volume`` as entries of ``resources.volumes``."""
    return []
