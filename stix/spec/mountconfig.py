"""``config`` of a mount: how a bucket is mounted, or what disk is attached."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from stix.spec.base import Accepts
from stix.spec.exact import Exact, Flag, Items, Number, Text, needed

_SIZE = "[0-9]+[bBkKmMgGtTpP]?"
_NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_TIME = rf"(?:{_NUMBER}(?:ms|[smhdwMy]))+|{_NUMBER}"
_DISK = "[0-9]+(?:[kmgtpKMGTP][bi]|[KMGTP][BI])?"

Size = Annotated[str | None, Text(pattern=_SIZE, example='"64M"')]
Span = Annotated[str | None, Text(pattern=_TIME, example='"1h"')]


class CacheOptions(Exact):
    """How ``mode: MOUNT_CACHED`` caches; each is the option of rclone of the same name.

    Attributes:
        transfers: How many files are transferred at a time, from 1.
        buffer_size: Memory per open file, in bytes with a unit, such as ``64M``.
        vfs_cache_max_size: Disk for the cache, such as ``20G``.
        vfs_cache_max_age: How long a file stays in the cache unused, such as ``1h``.
        vfs_read_ahead: How much is read ahead, such as ``128M``.
        vfs_read_chunk_size: How much is asked for at first, such as ``32M``.
        vfs_read_chunk_streams: How many parts of a file are read at a time, from 0.
        vfs_write_back: How long a changed file waits before it is uploaded, such as ``5s``.
        read_only: Whether nothing can be written.
    """

    transfers: Annotated[int | None, Number(least=1, whole=True)] = None
    buffer_size: Size = None
    vfs_cache_max_size: Size = None
    vfs_cache_max_age: Span = None
    vfs_read_ahead: Size = None
    vfs_read_chunk_size: Size = None
    vfs_read_chunk_streams: Annotated[int | None, Number(least=0, whole=True)] = None
    vfs_write_back: Span = None
    read_only: Annotated[bool | None, Flag()] = None


class MountOptions(Exact):
    """How ``mode: MOUNT`` mounts.

    Attributes:
        read_only: Whether nothing can be written.
        hf_mount_args: Further arguments of the program that mounts from Hugging Face.
    """

    read_only: Annotated[bool | None, Flag()] = None
    hf_mount_args: Annotated[list[str] | None, Items(Text())] = None


def _disk_size(value: Any) -> Any:
    if isinstance(value, str):
        return Text(pattern=_DISK, example="100").check(value, "disk_size")
    return Number(whole=True, unit="GB").check(value, "disk_size")


def whole_gb(size: int | str) -> int:
    """The size of a disk in GB, at least 1; a part of one counts as one."""
    if isinstance(size, int):
        return size
    digits = size.rstrip("bikmgtpBIKMGTP")
    unit = size[len(digits) :][:1].lower()
    return max(1, math.ceil(int(digits) * _GB[unit or "g"]))


_GB = {"k": 1 / 1024**2, "m": 1 / 1024, "g": 1, "t": 1024, "p": 1024**2}
_FORMS = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^(?:{_DISK})$"}]}


class StorageConfig(Exact):
    """``config`` of a mount.

    Attributes:
        disk_size: Size of a disk (``store: volume``) in GB, or text such as ``100GB``.
        disk_tier: Tier of a disk: low, medium, high, ultra or best.
        storage_type: Kind of a disk: ``network`` or ``instance``.
        attach_mode: How a disk is attached: ``read_write`` or ``read_only``.
        mount_cached: Options of ``mode: MOUNT_CACHED``.
        mount: Options of ``mode: MOUNT``.
    """

    model_config = ConfigDict(extra="allow")

    disk_size: Annotated[int | str | None, BeforeValidator(_disk_size), Accepts(_FORMS)] = None
    disk_tier: Annotated[str | None, Text(example="best")] = None
    storage_type: Annotated[str | None, Text(example="network")] = None
    attach_mode: Annotated[str | None, Text(example="read_write")] = None
    mount_cached: Annotated[
        CacheOptions | None, BeforeValidator(needed("write mount_cached: {transfers: 4}"))
    ] = None
    mount: Annotated[
        MountOptions | None, BeforeValidator(needed("write mount: {read_only: true}"))
    ] = None
