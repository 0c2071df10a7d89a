"""A local store that dies, or lets others go first, at any of its operations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from stix.storage.stores.local import LocalStore

BRIEF_S = 0.05


class Crash(Exception):
    """The process is dead."""


class Fate:
    """What happens at which operation.

    Args:
        crash: The operation from which on everything fails, counted from 0.
        pause: The operation at which ``meanwhile`` is called.
        briefly: ``meanwhile`` runs beside us: we go on after ``BRIEF_S``, also from between the
            look at an object and its removal. Otherwise we are held up until it ends.
    """

    def __init__(
        self,
        crash: int | None = None,
        pause: int | None = None,
        meanwhile: Callable[[], object] | None = None,
        *,
        briefly: bool = False,
    ) -> None:
        self._crash, self._pause, self._meanwhile = crash, pause, meanwhile
        self._briefly = briefly
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(1)
        self._other: Future[object] | None = None
        self.count = 0

    def tick(self, *, removal: bool = False) -> None:
        """One operation; ``removal``: it is about to remove what was found old before."""
        meanwhile = None
        with self._lock:
            number = self.count
            self.count += 1
            if self._crash is not None and number >= self._crash:
                raise Crash
            held_up = removal and not self._briefly  # which the one assumption about time excludes
            if self._pause is not None and number >= self._pause and not held_up:
                meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            self._other = self._pool.submit(meanwhile)
            wait([self._other], BRIEF_S if self._briefly else None)

    def end(self) -> None:
        """Wait for ``meanwhile``; raises what it raised."""
        self._pool.shutdown()
        if self._other is not None:
            self._other.result()


class FrailFiles:
    """The methods of the filesystem that artifacts use."""

    def __init__(self, fate: Fate, inner: Any) -> None:
        self._fate, self._inner = fate, inner

    def rm_file(self, path: str) -> None:
        self._fate.tick(removal=True)
        self._inner.rm_file(path)
        self._fate.tick()

    def info(self, path: str) -> Any:
        found = self._inner.info(path)
        self._fate.tick()
        return found

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
