"""A local store that dies, or lets others go first, at any of its operations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from stix.storage.stores.local import LocalStore


class Crash(Exception):
    """The process is dead."""


class Fate:
    """What happens at which operation.

    Args:
        crash: The operation from which on everything fails, counted from 0.
        pause: The operation at which ``meanwhile`` is called.
    """

    def __init__(
        self,
        crash: int | None = None,
        pause: int | None = None,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        self._crash, self._pause, self._meanwhile = crash, pause, meanwhile
        self._lock = RLock()
        self.count = 0

    def check(self) -> None:
        """Fail where the process is dead; waits for nobody."""
        if self._crash is not None and self.count >= self._crash:
            raise Crash

    def tick(self) -> None:
        with self._lock:
            number = self.count
            self.count += 1
            if self._crash is not None and number >= self._crash:
                raise Crash
            if self._meanwhile is None or self._pause is None:
                return
            if number >= self._pause:
                meanwhile, self._meanwhile = self._meanwhile, None
                meanwhile()


class FrailFiles:
    """The methods of the filesystem that artifacts use."""

    def __init__(self, fate: Fate, inner: Any) -> None:
        self._fate, self._inner = fate, inner

    def rm_file(self, path: str) -> None:
        # No pause before: a collection that was held up there breaks the one assumption about time.
        self._fate.check()
        self._inner.rm_file(path)
        self._fate.tick()

    def cat_file(self, path: str) -> bytes:
        self._fate.tick()
        data: bytes = self._inner.cat_file(path)
        return data

    def ls(self, path: str, detail: bool = True) -> Any:
        self._fate.tick()
        return self._inner.ls(path, detail=detail)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FrailStore:
    """A `LocalStore` with a fate."""

    scheme = "file"

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        self._inner = LocalStore(fsync=False)

    def filesystem(self) -> Any:
        return FrailFiles(self._fate, self._inner.filesystem())

    def path(self, url: str) -> str:
        return self._inner.path(url)

    def put(self, url: str, data: bytes) -> None:
        self._fate.tick()
        self._inner.put(url, data)
        self._fate.tick()

    def put_if_absent(self, url: str, data: bytes) -> bool:
        self._fate.tick()
        new = self._inner.put_if_absent(url, data)
        self._fate.tick()
        return new

    def errors(self, url: str) -> AbstractContextManager[None]:
        return self._inner.errors(url)


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def grow_old(root: Path, seconds: float) -> None:
    """Let time pass for everything below ``root``."""
    for path in files(root):
        stat = path.stat()
        os.utime(path, (stat.st_atime, stat.st_mtime - seconds))


@contextmanager
def flipped(path: Path, offset: int) -> Iterator[None]:
    """One byte of a file is another."""
    data, stat = path.read_bytes(), path.stat()
    offset %= len(data)
    path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
    yield
    path.write_bytes(data)
    os.utime(path, (stat.st_atime, stat.st_mtime))
