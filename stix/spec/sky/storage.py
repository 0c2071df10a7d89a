"""The canonical form of file mounts and volumes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stix.spec.exact import given
from stix.spec.mountconfig import whole_gb
from stix.spec.problems import Path, Problem, error
from stix.spec.stage import StageSpec
from stix.spec.storage import DISK, StorageMount

_TIERS = ("low", "medium", "high", "ultra", "best")
_MODES = ("read_write", "read_only")


def file_mounts(stage: StageSpec) -> dict[str, Any]:
    """``file_mounts`` of a task; mounts that are disks of GCP lie in its resources instead."""
    out: dict[str, Any] = {}
    buckets: dict[str, Any] = {}
    for target, mount in stage.file_mounts.items():
        short = mount.written()
        if short is not None:
            out[target] = short
        elif mount.store != DISK:
            buckets[target] = _bucket(mount)
        elif mount.source:
            # What a disk holds at first is copied to a folder on it.
            out[target.rstrip("/") + "/data"] = mount.source
    return out | buckets


def _bucket(mount: StorageMount) -> dict[str, Any]:
    out = {
        # The name of a bucket that is given by its URL is in the URL.
        "name": mount.name if mount.address is None else None,
        "source": mount.source,
        "store": mount.store,
        "_is_sky_managed": mount.is_sky_managed,
        "persistent": mount.persistent,
        "mode": mount.mode,
        "type": mount.type,
        "_force_delete": mount.force_delete or None,
        "_bucket_sub_path": mount.bucket_sub_path,
        "config": _options(mount),
    }
    return {key: value for key, value in out.items() if value is not None}


def _options(mount: StorageMount) -> dict[str, Any] | None:
    """``config`` of a bucket, without the options of disks, which SkyPilot drops."""
    if mount.config is None:
        return None
    both = {"mount_cached": mount.config.mount_cached, "mount": mount.config.mount}
    out = {key: given(options) for key, options in both.items() if options is not None}
    return {key: options for key, options in out.items() if options} or None


def volumes(stage: StageSpec) -> dict[str, Any]:
    """``volumes`` of a task, as they were written."""
    out: dict[str, Any] = {}
    for target, volume in stage.volumes.items():
        short = volume.written()
        out[target] = given(volume) if short is None else short
    return out


def volume_mounts(stage: StageSpec) -> list[dict[str, Any]] | None:
    """``volume_mounts`` of a task: volumes that SkyPilot's server has looked up."""
    if stage.volume_mounts is None:
        return None
    return [
        {
            "path": mount.path,
            "volume_name": mount.volume_name,
            "volume_config": mount.volume_config.model_dump(),
            "is_ephemeral": mount.is_ephemeral,
        }
        | ({} if mount.sub_path is None else {"sub_path": mount.sub_path})
        for mount in stage.volume_mounts
    ]


def own_modes(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """Modes of ``file_mounts`` that only STIX has."""
    for target, mount in stage.file_mounts.items():
        if mount.mode == "STREAM":
            place = (*at, "file_mounts", target, "mode")
            yield error(place, "SkyPilot has no mode STREAM", "write mode: MOUNT")


def requires_fuse(stage: StageSpec) -> bool:
    """Whether a bucket is mounted, which ``resources._requires_fuse`` says."""
    mounts = stage.file_mounts.values()
    return any(mount.mode != "COPY" and mount.store != DISK for mount in mounts)


def disks(stage: StageSpec) -> list[dict[str, Any]]:
    """Mounts with ``store: volume`` as entries of ``resources.volumes``."""
    mounts = stage.file_mounts.items()
    return [_disk(target, mount) for target, mount in mounts if mount.store == DISK]


def _disk(target: str, mount: StorageMount) -> dict[str, Any]:
    out: dict[str, Any] = {"path": target, "auto_delete": not mount.persistent}
    if mount.name:
        out["name"] = mount.name
    out |= given(mount.config) if mount.config is not None else {}
    local = str(out.get("storage_type", "")).lower() == "instance"
    out["storage_type"] = "instance" if local else "network"
    out["attach_mode"] = _word(out.get("attach_mode"), _MODES, "read_write")
    if local:
        out.pop("name", None)
    elif "disk_size" in out:
        out["disk_size"] = whole_gb(out["disk_size"])
    if "disk_tier" in out or not local:
        out["disk_tier"] = _word(out.get("disk_tier"), _TIERS, "best")
    return out


def _word(value: Any, known: tuple[str, ...], default: str) -> str:
    """A word in lower case; SkyPilot takes the default instead of one that it does not know."""
    text = str(value).lower()
    return text if text in known else default
