"""Large files, by pieces, and what their content is."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self, TypeVar

from stix.storage.base import Corrupt, StorageError
from stix.storage.transfer.ends.base import Data, End, Writer
from stix.storage.transfer.entries import PIECE, Entry, at_once, piece_size, plain_md5
from stix.storage.transfer.limit import Meter
from stix.storage.transfer.options import Options

Result = TypeVar("Result")


class Stopped(StorageError):
    """Another file failed first."""


class Large:
    """Copies large files with workers of its own, shared by all of them."""

    def __init__(self, source: End, target: End, options: Options, meter: Meter) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._meter = meter
        self._stopped = Event()
        self._pool = ThreadPoolExecutor(options.workers, thread_name_prefix="stix-piece")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def stop(self) -> None:
        """Let every copy under way end after its present pieces."""
        self._stopped.set()

    def copy(self, entry: Entry, name: str) -> None:
        with self._target.writer(name, entry, self._source.at("")) as writer:
            if writer is None:  # another process was faster
                self._meter.skip(entry.size)
                return
            missing = sum(end - start for start, end in map(writer.span, writer.todo))
            self._meter.there(entry.size - missing)
            self._pieces(entry, writer)
            self._check(entry, writer)
            writer.commit()
        if self._options.verify:
            self._verify(entry, name)
        self._meter.file()

    def _pieces(self, entry: Entry, writer: Writer) -> None:
        def chunks(number: int) -> Iterator[Data]:
            if self._stopped.is_set():
                raise Stopped("The copy was stopped.", fix="Try again.")
            start, end = writer.span(number)
            self._meter.take(end - start)
            return self._source.chunks(entry, start, end)

        def write(number: int, data: Iterable[Data]) -> None:
            writer.write(number, data)
            start, end = writer.span(number)
            self._meter.read(end - start)

        ahead = at_once(writer.piece, self._options.workers)
        if writer.ordered:
            pieces = _ordered(self._pool, lambda n: list(chunks(n)), writer.todo, ahead)
            for number, data in zip(writer.todo, pieces, strict=True):
                write(number, data)
        else:
            for _ in _ordered(self._pool, lambda n: write(n, chunks(n)), writer.todo, ahead):
                pass

    def _check(self, entry: Entry, writer: Writer) -> None:
        try:
            self._source.check(entry)
        except StorageError:
            writer.discard()
            raise

    def _verify(self, entry: Entry, name: str) -> None:
        """Read both again: pieces that an earlier call wrote count as well."""
        there = self._target.stat([name], False)[name]
        if not _equal(self._source, entry, self._target, there):
            raise _corrupt(self._target.at(name))


def _ordered(
    pool: ThreadPoolExecutor, work: Callable[[int], Result], items: Sequence[int], ahead: int
) -> Iterator[Result]:
    """``map`` by the pool, in order, with at most ``ahead`` results under way."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def same_content(source: End, ours: Entry, target: End, theirs: Entry) -> bool:
    """Whether two files are equal, by the digests that stores tell, or else by reading both."""
    if ours.size != theirs.size:
        return False
    one, other = plain_md5(ours.version), plain_md5(theirs.version)
    if one and other:
        return one == other
    return _equal(source, ours, target, theirs)


def _equal(source: End, ours: Entry, target: End, theirs: Entry) -> bool:
    return digest(source, ours) == digest(target, theirs)


def digest(end: End, entry: Entry) -> bytes:
    """SHA-256 of a file's content, by pieces."""
    found = hashlib.sha256()
    step = max(PIECE, piece_size(entry.size))
    for start in range(0, entry.size, step):
        found.update(end.read(entry, start, min(start + step, entry.size)))
    return found.digest()


def verify(target: End, name: str, data: Sequence[object]) -> None:
    """
    Raises:
        Corrupt: The file at the target is not what was read.
    """
    found = hashlib.sha256()
    for part in data:
        found.update(part)  # type: ignore[arg-type]
    there = target.stat([name], False)[name]
    if digest(target, there) != found.digest():
        raise _corrupt(target.at(name))


def _corrupt(what: str) -> Corrupt:
    return Corrupt(f"{what} is not what was read.", fix="Copy it again.")
