"""Large objects written by parts that the server keeps, so that a later call can go on."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from stix.storage.base import NotInStore, Part, StorageError
from stix.storage.transfer.ends.base import Data, StateFolder, changed, joined
from stix.storage.transfer.entries import Entry, piece_size

if TYPE_CHECKING:
    from stix.storage.base import HasParts


class PartsWriter:
    """An upload; its parts may come in any order, from any thread."""

    ordered = False

    def __init__(self, store: HasParts, url: str, entry: Entry, upload: str) -> None:
        self._store = store
        self._url = url
        self._entry = entry
        self._upload = upload
        self.piece = piece_size(entry.size)
        self._lock = Lock()
        self._there = dict(store.list_parts(url, upload))
        count = -(-entry.size // self.piece)
        self.todo: Sequence[int] = [n for n in range(count) if not self._has(n)]

    def _has(self, number: int) -> bool:
        part = self._there.get(number)
        start, end = self.span(number)
        return part is not None and part.size == end - start

    def span(self, number: int) -> tuple[int, int]:
        start = number * self.piece
        return start, min(start + self.piece, self._entry.size)

    def write(self, number: int, chunks: Iterable[Data]) -> None:
        data = joined(chunks)
        part = self._store.put_part(self._url, self._upload, number, data)
        with self._lock:
            self._there[number] = part

    def commit(self) -> None:
        count = -(-self._entry.size // self.piece)
        parts = [self._there[number] for number in range(count)]
        if sum(part.size for part in parts) != self._entry.size:
            raise changed(self._url)
        self._store.finish_parts(self._url, self._upload, parts)

    def discard(self) -> None:
        self._store.abort_parts(self._url, self._upload)


@contextmanager
def parts_writer(
    store: HasParts, url: str, entry: Entry, source: str, state: StateFolder
) -> Iterator[PartsWriter | None]:
    """An upload to ``url``: the one that an earlier call began for the same source, or a new one.

    What is under way to a URL is kept in a small file, locked while a process works on it.
    """
    identity = entry.identity(source)
    with _note(state(), f"{store!r} {url}") as note:
        upload = _known(store, url, note, identity)
        if upload is None:
            upload = store.begin_parts(url, identity)
            note.write(identity, upload)
        writer = PartsWriter(store, url, entry, upload)
        yield writer
        note.remove()


def _known(store: HasParts, url: str, note: _Note, identity: str) -> str | None:
    """The upload that goes on; one for another version of the source ends."""
    before, upload = note.read()
    if not upload:
        return None
    try:
        if before == identity:
            store.list_parts(url, upload)
            return upload
        store.abort_parts(url, upload)
    except NotInStore:
        pass  # it was completed, or the server dropped it
    return None


class _Note:
    """Which upload is under way to one URL."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def read(self) -> tuple[str, str]:
        data = os.pread(self._descriptor, 2**16, 0)
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(data)
            return str(told["source"]), str(told["upload"])
        return "", ""

    def write(self, identity: str, upload: str) -> None:
        data = json.dumps({"source": identity, "upload": upload}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


@contextmanager
def _note(folder: Path, target: str) -> Iterator[_Note]:
    path = folder / f"{hashlib.sha256(target.encode()).hexdigest()[:32]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _named(descriptor, path):
                break
            os.close(descriptor)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.",
            fix="Check the disk's space and the rights, or set STIX_HOME.",
        ) from error
    try:
        yield _Note(path, descriptor)
    finally:
        os.close(descriptor)


def _named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


__all__ = ["Part", "PartsWriter", "parts_writer"]
