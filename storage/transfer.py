"""Copy a file or a prefix from a store to this machine, going on where an earlier copy stopped."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stix.spec.folders.trees import bad_name
from stix.storage.artifacts.chunks import WORKERS, ordered
from stix.storage.base import NotInStore, StorageError
from stix.storage.registry import open_store

if TYPE_CHECKING:
    from stix.storage.base import Store

PIECE = 8 * 2**20
"""Bytes of one request; pieces of one file are fetched side by side."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a copy did.

    Attributes:
        files: Files now at the target.
        bytes: Sum of their sizes.
        new_bytes: What had to be read; the rest was there already.
    """

    files: int
    bytes: int
    new_bytes: int


@dataclass(frozen=True, slots=True)
class _Source:
    path: str
    size: int
    modified: float
    version: str
    executable: bool

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> _Source:
        modified = info.get("mtime", info.get("LastModified", 0.0))
        if isinstance(modified, datetime):
            modified = modified.timestamp()
        size = int(info["size"] or 0)
        return cls(
            path=str(info["name"]),
            size=size,
            modified=float(modified or 0.0),
            version=str(info.get("ETag") or f"{modified}-{info.get('ino', '')}"),
            executable=bool(stat.S_IMODE(int(info.get("mode", 0))) & 0o111),
        )


def fetch(url: str, target: str | os.PathLike[str], **options: object) -> Fetched:
    """Copy what lies at ``url`` to ``target``: a file to a file, a prefix to a folder.

    A file that is there with the source's size and time is kept. Each other file is written under
    a temporary name, which a later call goes on with if the source is still the same, and gets its
    name when complete. Times and, from local files, the x bit are kept. Other files at the target
    stay.

    Args:
        url: Such as ``s3://bucket/prefix``; a ``/`` at its end asks for a prefix.
        options: For the store.

    Raises:
        NotInStore: Nothing is there.
        StorageError: The store or the disk refuses, the source changed meanwhile, or an object's
            name cannot be a file's.
    """
    store = open_store(url, **options)
    place = Path(target)
    folders, files = _plan(store, url, place)
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="stix-fetch") as pool:
            new = list(pool.map(lambda one: _one(store, one[1], one[0], url), files.items()))
    except OSError as error:
        raise StorageError(
            f"{error.filename or place} cannot be written: {error.strerror}.",
            fix="Check the disk's space and the rights, and that no name is a file and a prefix.",
        ) from error
    return Fetched(len(files), sum(source.size for source in files.values()), sum(new))


def _plan(store: Store, url: str, place: Path) -> tuple[list[Path], dict[Path, _Source]]:
    """The folders to make and the files to copy."""
    with store.errors(url):
        path = store.path(url).rstrip("/")
        info = store.filesystem().info(path)
        if info["type"] != "directory":
            if url.endswith("/"):
                raise NotInStore(f"{url} is not a prefix.", fix="Leave out the / at the end.")
            return [], {place: _Source.of(info)}
        listing = store.filesystem().find(path, withdirs=True, detail=True)
    folders = [place]
    files = {}
    for name, one in listing.items():
        inside = str(name).removeprefix(str(info["name"]).rstrip("/")).removeprefix("/")
        if not inside or (inside.endswith("/") and not one["size"]):
            continue  # the prefix itself, or an empty object that stands for a folder
        reason = bad_name(inside)
        if reason is not None:
            raise StorageError(
                f"{inside!r} below {url} cannot become a file: {reason}.",
                fix="Rename the object or copy a narrower prefix.",
            )
        if one["type"] == "directory":
            folders.append(place / inside)
        else:
            files[place / inside] = _Source.of(one)
    return folders, files


def _one(store: Store, source: _Source, target: Path, url: str) -> int:
    """Copy one file; the bytes that had to be read."""
    if _current(target, source):
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with _part(target, source) as part:
        if _current(target, source):  # another process was faster
            return 0
        start = part.stat().st_size
        if start > source.size:
            os.truncate(part, 0)
            start = 0
        _read(store, source, part, start, url)
        _check(store, source, part, url)
        part.chmod(0o755 if source.executable else 0o644)
        os.utime(part, (source.modified, source.modified))
        part.replace(target)
    return source.size - start


def _current(target: Path, source: _Source) -> bool:
    try:
        status = target.stat()
    except OSError:
        return False
    same_time = abs(status.st_mtime - source.modified) < 1e-3
    return stat.S_ISREG(status.st_mode) and status.st_size == source.size and same_time


@contextmanager
def _part(target: Path, source: _Source) -> Iterator[Path]:
    """The temporary file of this version of the source, locked against other processes."""
    version = hashlib.sha256(f"{source.path}\n{source.version}\n{source.size}".encode())
    part = target.with_name(f".{target.name[:100]}.{version.hexdigest()[:12]}.part")
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _same(descriptor, part):
                yield part
                return
        finally:
            os.close(descriptor)


def _same(descriptor: int, part: Path) -> bool:
    """Whether the locked file still has its name: its last owner may have renamed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), part.stat())
    except FileNotFoundError:
        return False


def _read(store: Store, source: _Source, part: Path, start: int, url: str) -> None:
    filesystem = store.filesystem()

    def piece(offset: int) -> bytes:
        with store.errors(f"{source.path} of {url}"):
            end = min(offset + PIECE, source.size)
            data: bytes = filesystem.cat_file(source.path, start=offset, end=end)
            return data

    with part.open("ab") as file:
        for data in ordered(piece, range(start, source.size, PIECE)):
            file.write(data)


def _check(store: Store, source: _Source, part: Path, url: str) -> None:
    with store.errors(url):
        now = _Source.of(store.filesystem().info(source.path))
    if part.stat().st_size != source.size or (now.version, now.size) != (
        source.version,
        source.size,
    ):
        part.unlink()
        raise StorageError(
            f"{source.path} changed while it was copied.",
            fix="Try again when nothing writes to it.",
        )
