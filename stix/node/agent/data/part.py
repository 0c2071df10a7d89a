"""A file that is written piece by piece, in any order, and goes on where an earlier try stopped."""

from __future__ import annotations

import os
import threading
from hashlib import sha256

from .. import files

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Callable

PIECE = 1 << 20
_LINE = 9  # digits of a number and the end of its line: a line cut short is seen


class Part:
    """The file, opened and locked by the caller, and the journal of pieces that are right.

    Args:
        finish: Called when all pieces are there and nobody writes any more.
    """

    def __init__(self, fd: int, journal: str, count: int, finish: Callable[[], None]) -> None:
        self.fd = fd
        self.done = _read(journal) if count > 1 else set()
        self._journal = -1
        if count > 1:
            self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._count = count
        self._finish = finish
        self._users = 1
        self._lock = threading.Lock()

    def hold(self) -> None:
        """One more who writes; `leave` ends it."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if not last:
            return
        try:
            if len(self.done) >= self._count:
                self._finish()
        finally:
            os.close(self.fd)
            if self._journal >= 0:
                os.close(self._journal)

    def note(self, number: int) -> None:
        """A piece is right and in the file."""
        with self._lock:
            self.done.add(number)
            if self._journal >= 0:
                os.write(self._journal, "{:08d}\n".format(number).encode())


class Piece:
    """The bytes of one piece as they come: written at its place, and compared with its digest."""

    def __init__(self, fd: int, offset: int, size: int, digest: str) -> None:
        self._fd, self._offset, self._left = fd, offset, size
        self._wanted = digest
        self._sum = sha256()

    def take(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("too many bytes came")
        if self._wanted:
            self._sum.update(data)
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, self._offset)
            view, self._offset = view[written:], self._offset + written

    def end(self) -> None:
        """Raises ValueError where these are not the bytes."""
        if self._left:
            raise ValueError("too few bytes came")
        if self._wanted and self._sum.hexdigest() != self._wanted:
            raise ValueError("the bytes do not have their digest")


def copy_piece(source: str, begin: int, piece: Piece, size: int) -> bool:
    """Take a piece from a file of this host; whether it is the right one."""
    try:
        fd = os.open(source, os.O_RDONLY)
    except OSError:
        return False
    try:
        while size:
            data = os.pread(fd, min(PIECE, size), begin)
            if not data:
                return False
            piece.take(data)
            begin, size = begin + len(data), size - len(data)
        piece.end()
        return True
    except ValueError:
        return False
    finally:
        os.close(fd)


def _read(journal: str) -> set[int]:
    try:
        with open(journal, "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return set()
    return {int(line) for line in lines if len(line) == _LINE - 1 and line.isdigit()}


def forget(journal: str) -> None:
    """The pieces are of something else."""
    files.discard(journal)
