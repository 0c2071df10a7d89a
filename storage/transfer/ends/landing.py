"""Files of this machine on their way: under another name, locked, until they are whole."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from stix.storage.transfer.ends.base import Data, Writer, changed
from stix.storage.transfer.entries import Entry, piece_size

DISK = Lock()
"""Around making, filling and naming a small file: a file system does that with one thread as fast
as with two, and with many several times slower (measured on ext4)."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NO_SUCH_CALL = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_THERE = b"\1"


class Part:
    """A temporary file, open and locked."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def truncate(self, size: int) -> None:
        if self.size != size:
            os.ftruncate(self._descriptor, size)
            self.size = size

    def reserve(self, size: int) -> None:
        """Take the disk's space at once: a full disk says so now, and writes cost half as much."""
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(self._descriptor, 0, size)
            except OSError as error:
                if error.errno not in _NO_SUCH_CALL:
                    raise
            self.size = os.fstat(self._descriptor).st_size
        self.truncate(size)

    def read(self, size: int, start: int) -> bytes:
        return os.pread(self._descriptor, size, start)

    def write(self, data: Data, start: int) -> int:
        """Write all of it at ``start``; the offset that follows. Threads may share the file."""
        with memoryview(data) as view:
            left = view
            while left:
                written = os.pwrite(self._descriptor, left, start)
                start += written
                left = left[written:]
        return start

    def finish(self, place: str, entry: Entry) -> None:
        os.fchmod(self._descriptor, 0o755 if entry.executable else 0o644)
        os.utime(self._descriptor, (entry.modified, entry.modified))
        os.replace(self.path, place)


@contextmanager
def part_of(place: str, entry: Entry, source: str) -> Iterator[Part]:
    """The temporary file of this version of the source, locked against other processes."""
    folder, _, name = place.rpartition("/")
    path = f"{folder}/.{name[:50]}.{entry.identity(source)[:12]}.part"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    while True:
        with DISK:
            try:
                descriptor = os.open(path, flags, 0o600)
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)
                descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _same(descriptor, path):
                try:
                    yield Part(path, descriptor)
                finally:
                    _drop_empty(descriptor, path)
                return
        finally:
            os.close(descriptor)


def _drop_empty(descriptor: int, path: str) -> None:
    """Leave nothing where nothing was written: what is half done is kept to go on with."""
    status = os.fstat(descriptor)
    if status.st_size == 0 and status.st_nlink and _same(descriptor, path):
        os.unlink(path)


def _same(descriptor: int, path: str) -> bool:
    """Whether the locked file still has its name: its last owner may have renamed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def landing(part: Part, place: str, entry: Entry) -> Iterator[Writer]:
    """Write a large file by pieces in any order; nothing is left where no piece came."""
    writer = _Landing(part, place, entry)
    try:
        yield writer
    finally:
        writer.end()


class _Landing:
    """Pieces in any order, from any thread.

    Behind the bytes of the file stand, until it is whole, a word for how it was begun and a byte
    for each piece that is there. A piece is marked when it was handed to the system, not when it
    is on the disk: what was begun before the machine started is begun again.
    """

    ordered = False

    def __init__(self, part: Part, place: str, entry: Entry) -> None:
        self._part, self._place, self._entry = part, place, entry
        self.piece = piece_size(entry.size)
        count = -(-entry.size // self.piece)
        begun = _begun(entry.size, self.piece)
        self._marks = entry.size + len(begun)
        if part.size == self._marks + count and part.read(len(begun), entry.size) == begun:
            marks = part.read(count, self._marks)
        else:
            marks = bytes(count)
            part.truncate(0)
            part.reserve(self._marks + count)
            part.write(begun, entry.size)
        self._left = {number for number in range(count) if marks[number : number + 1] != _THERE}
        self._some = len(self._left) < count
        self.todo: Sequence[int] = sorted(self._left)

    def span(self, number: int) -> tuple[int, int]:
        start = number * self.piece
        return start, min(start + self.piece, self._entry.size)

    def write(self, number: int, chunks: Iterable[Data]) -> None:
        at, end = self.span(number)
        for data in chunks:
            at = self._part.write(data, at)
        if at != end:
            raise changed(self._place)
        self._part.write(_THERE, self._marks + number)
        self._some = True
        self._left.discard(number)

    def commit(self) -> None:
        if self._left:
            raise changed(self._place)
        self._part.truncate(self._entry.size)
        self._part.finish(self._place, self._entry)

    def discard(self) -> None:
        self._some = False

    def end(self) -> None:
        """Free the space where there is nothing to go on with."""
        if not self._some:
            self._part.truncate(0)


def _begun(size: int, piece: int) -> bytes:
    boot = ""
    with suppress(OSError):
        boot = _BOOT.read_text()
    return hashlib.sha256(f"{boot}\n{size}\n{piece}".encode()).digest()
