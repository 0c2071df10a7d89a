"""One end of a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from stix.storage.base import StorageError

if TYPE_CHECKING:
    from stix.storage.base import Store
    from stix.storage.transfer.entries import Entry

Data: TypeAlias = "bytes | memoryview"
"""Bytes in memory; readers may give any object with the buffer protocol."""


class Writer(Protocol):
    """A large file on its way, by pieces of ``piece`` bytes, the last one shorter.

    Attributes:
        piece: Bytes of a piece.
        todo: Numbers of the pieces that are not there yet, from 0.
        ordered: Pieces must come in the order of ``todo``.
    """

    piece: int
    todo: Sequence[int]
    ordered: bool

    def span(self, number: int) -> tuple[int, int]:
        """First byte of a piece and the one after its last; less where its start is there."""

    def write(self, number: int, chunks: Iterable[Data]) -> None:
        """Write a piece, which comes in any number of chunks."""

    def commit(self) -> None:
        """Give the complete file its name, in one step."""

    def discard(self) -> None:
        """Remove what is half done: the source changed."""


class End(Protocol):
    """Where files are read or written, below one URL. Threads may share it."""

    url: str
    store: Store
    near: bool
    """Files of this machine."""

    def one(self) -> Entry | None:
        """The file that the URL itself names."""

    def entries(self) -> list[Entry]:
        """The files below the URL; none where nothing is there."""

    def folders(self) -> list[str]:
        """Names of the folders that ``entries`` came through, where folders exist by themselves."""

    def exists(self) -> bool:
        """Whether the URL is a folder, or may be an empty prefix."""

    def stat(self, names: Sequence[str], whole: bool) -> dict[str, Entry]:
        """What is there already of ``names``, and where ``whole`` of anything else."""

    def read(self, entry: Entry, start: int, end: int) -> Data:
        """
        Raises:
            StorageError: Also where the file is no longer what ``entry`` says.
        """

    def chunks(self, entry: Entry, start: int, end: int) -> Iterator[Data]:
        """As `read`, as the bytes come: whole where the store gives them at once."""

    def check(self, entry: Entry) -> None:
        """
        Raises:
            StorageError: The file is no longer what ``entry`` says.
        """

    def put(self, name: str, entry: Entry, read: Callable[[], Data], source: str) -> int:
        """Write a small file in one step; the bytes that were read for it."""

    def writer(self, name: str, entry: Entry, source: str) -> AbstractContextManager[Writer | None]:
        """Write a large file; None where another process has just done so."""

    def make(self, folders: Iterable[str]) -> None:
        """Make folders, where folders exist by themselves."""

    def remove(self, names: Sequence[str]) -> None: ...

    def at(self, name: str) -> str:
        """The URL of ``name``."""


StateFolder: TypeAlias = Callable[[], Path]


def changed(what: str) -> StorageError:
    return StorageError(
        f"{what} changed while it was copied.", fix="Try again when nothing writes to it."
    )


def joined(chunks: Iterable[Data]) -> bytes:
    """A piece as one; not copied where it is."""
    parts = list(chunks)
    return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
