"""Put an artifact, whose files the host has, to its place: whole, or not at all."""

from __future__ import annotations

import os
import time

from .. import copying, files, mounts
from .cache import Cache, Lock, key_of

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Dict

    Entry = Dict[str, Any]

RESERVE = 1 << 30
"""Bytes that a copy which is kept leaves free on the disk."""


class Vanished(Exception):
    """A file went out of the cache after it was seen there."""


class Place:
    """One artifact at one target.

    The order's ``shared`` asks for links to the host's one copy of each file instead of copies of
    its own. ``keep`` is false on a host that no other node will use: its files are moved.
    """

    def __init__(self, kept: Cache, manifest: dict[str, Any], request: dict[str, Any]) -> None:
        self._cache = kept
        self._manifest = manifest
        self._chunk_size = int(manifest["chunk_size"])
        self._target = os.path.abspath(os.path.expanduser(request["target"]))
        self._shared = bool(request.get("shared"))
        self._keep = bool(request.get("keep")) and self._room(int(request.get("limit", 0)))
        self._uses: dict[str, int] = {}
        self._copied = 0

    def _room(self, limit: int) -> bool:
        """Whether the host can have the files twice: here, and for the next who asks."""
        size = int(self._manifest["bytes"])
        disk = os.statvfs(self._cache.root)
        return size <= limit and disk.f_bavail * disk.f_frsize > size + RESERVE

    def run(self) -> dict[str, int]:
        """Returns: ``bytes`` that were copied."""
        target = self._target
        new, old = target + ".stix-new", target + ".stix-old"
        folder = os.path.join(self._cache.root, "place")
        files.private_dir(folder)
        # An earlier call may be at work still, where the way to its caller broke.
        with Lock(os.path.join(folder, files.digest_text(target))):
            for path in (new, old):
                _clear(path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            self._build(new)
            _swap(new, target, old)
        return {"bytes": self._copied}

    def _build(self, new: str) -> None:
        entries: list[Entry] = self._manifest["entries"]
        for entry in entries:
            if entry["type"] == "file" and entry["chunks"]:
                key = self._key(entry)
                self._uses[key] = self._uses.get(key, 0) + 1
        if self._manifest["kind"] == "file":
            self._file(entries[0], new)
            return
        os.mkdir(new)
        links = []
        for entry in entries:
            path = os.path.join(new, entry["path"])
            if entry["type"] == "dir":
                os.mkdir(path)
            elif entry["type"] == "link":
                links.append((entry["target"], path))
            else:
                self._file(entry, path)
        # Links come last, so that nothing is ever written through one.
        for destination, path in links:
            os.symlink(destination, path)

    def _key(self, entry: Entry) -> str:
        return key_of(entry["chunks"], self._chunk_size, entry["mode"] & 0o111 != 0)

    def _file(self, entry: Entry, path: str) -> None:
        mode = 0o755 if entry["mode"] & 0o111 else 0o644
        if not entry["chunks"]:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            return
        key = self._key(entry)
        self._uses[key] -= 1
        source = self._cache.path(key)
        if not self._cache.has(key, entry["size"]):
            raise Vanished
        try:
            self._bring(source, path, mode, last=self._uses[key] == 0)
        except FileNotFoundError:
            raise Vanished from None

    def _bring(self, source: str, path: str, mode: int, last: bool) -> None:
        if self._shared:
            try:
                os.link(source, path)
                return
            except FileNotFoundError:
                raise
            except OSError:
                # Another file system, or too many links.
                self._copied += copy(source, path, mode & ~0o222)
                return
        if not self._keep and last and os.lstat(source).st_nlink == 1:
            os.rename(source, path)
            for end in (".list", ".done"):
                files.discard(source + end)
            os.chmod(path, mode)
            os.utime(path, (time.time(), time.time()))
            return
        self._copied += copy(source, path, mode)


def copy(source: str, path: str, mode: int) -> int:
    """A copy that shares its blocks where the file system can; the bytes that were written."""
    out = os.open(source, os.O_RDONLY)
    try:
        into = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode | 0o200)
        try:
            written = copying.fill(into, out)
            os.fchmod(into, mode)
            return written
        finally:
            os.close(into)
    finally:
        os.close(out)


def _swap(new: str, target: str, old: str) -> None:
    real = os.path.isdir(target) and not os.path.islink(target)
    if not real:
        if os.path.lexists(target) and os.path.isdir(new):
            os.unlink(target)
        os.replace(new, target)
        return
    os.rename(target, old)
    os.rename(new, target)
    _clear(old)


def _clear(path: str) -> None:
    """Remove a tree, but never what is mounted in it."""
    if os.path.lexists(path):
        mounts.unmount_below(path)
        files.remove_tree(path)
