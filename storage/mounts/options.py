"""What an entry of ``file_mounts`` asks of its mount, as options of rclone."""

from __future__ import annotations

from stix.spec.mountconfig import CacheOptions
from stix.spec.storage import StorageMount

_CHECKPOINTS = ["--vfs-read-chunk-streams=16", "--vfs-read-chunk-size=32M"]
_DATASETS = ["--vfs-read-chunk-streams=0", "--vfs-read-chunk-size=8M"]
_TYPES: dict[str, list[str]] = {
    "MODEL_CHECKPOINT_RO": _CHECKPOINTS,
    "MODEL_CHECKPOINT_RW": [*_CHECKPOINTS, "--transfers=8"],
    "DATASET_RO": _DATASETS,
    "DATASET_RW": [*_DATASETS, "--transfers=16"],
}
"""Few large files are read in parts side by side, many small ones are not."""


def options_of(mount: StorageMount) -> tuple[str, ...]:
    """Arguments for rclone; what ``config`` says wins over what ``type`` means."""
    cached = mount.config.mount_cached if mount.config is not None else None
    given = [] if cached is None else _given(cached)
    return (*_TYPES.get(mount.type or "", ()), *given)


def _given(cached: CacheOptions) -> list[str]:
    said = {name: getattr(cached, name) for name in CacheOptions.model_fields}
    said.pop("read_only")
    return [f"--{n.replace('_', '-')}={v}" for n, v in said.items() if v is not None]
