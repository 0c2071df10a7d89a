"""Chunks in a store, named by their SHA-256, written and read in parallel with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore, Lock
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self, TypeVar

from stix.storage.artifacts.manifest import CHUNK_SIZE, sha256
from stix.storage.base import Corrupt, NotInStore

if TYPE_CHECKING:
    from stix.storage.artifacts.guard import Timing
    from stix.storage.artifacts.objects import Objects

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 8
WINDOW = WORKERS
"""Chunks that one store's puts (and likewise its gets) hold in memory, however many run at once."""

AHEAD = 4
"""Chunks that one stream reads ahead of its consumer."""

ASK_FIRST = 2**20
"""From this size on it is cheaper to ask whether a chunk exists than to send it in vain."""


class Readable(Protocol):
    """Where chunks come from.

    Attributes:
        get_slots: Held for each chunk that is in memory.
    """

    get_slots: BoundedSemaphore

    def get(self, digest: str) -> bytes:
        """The chunk, verified."""


class Chunks:
    """The folder ``chunks/`` of an artifact store."""

    def __init__(self, objects: Objects, timing: Timing) -> None:
        self._store = objects.store
        self._objects = objects
        self._timing = timing
        self.put_slots = BoundedSemaphore(WINDOW)
        self.get_slots = BoundedSemaphore(WINDOW)

    def url(self, digest: str) -> str:
        return self._objects.at("chunks", digest[:2], digest)

    def put(self, data: bytes) -> tuple[str, bool]:
        """Store ``data``; its digest, and whether it was new.

        One that exists is written again where it is not fresh: see `stix.storage.artifacts.guard`.
        """
        digest = sha256(data)
        url = self.url(digest)
        age = self._objects.age(url) if len(data) >= ASK_FIRST else None
        if age is None:
            if self._store.put_if_absent(url, data):
                return digest, True
            age = self._objects.age(url)
        if not self._timing.fresh(age):
            self._store.put(url, data)
        return digest, False

    def fresh(self, digest: str) -> bool:
        """Whether it is there and a writer may rely on it without sending it."""
        return self._timing.fresh(self._objects.age(self.url(digest)))

    def mend(self, digest: str, data: bytes) -> None:
        """Write a chunk over one that is missing or damaged, where its manifest stands."""
        self._store.put(self.url(digest), data)

    def all_there(self, digests: Iterable[str]) -> bool:
        """Whether none is missing."""
        return self._objects.all_there(self.url(digest) for digest in digests)

    def get(self, digest: str) -> bytes:
        """The chunk, verified.

        Raises:
            Corrupt: It is missing or is not what its name says.
        """
        url = self.url(digest)
        fix = "Delete this object and make the artifact again."
        try:
            with self._store.errors(url):
                data: bytes = self._store.filesystem().cat_file(self._store.path(url))
        except NotInStore as error:
            raise Corrupt(f"The chunk {url} is missing.", fix="Make the artifact again.") from error
        if sha256(data) != digest:
            raise Corrupt(f"The chunk {url} does not have its digest.", fix=fix)
        return data


class Upload:
    """Sends the chunks of many files side by side.

    Use as a context manager; ``pieces`` returns at once, the digests are ready after ``finish``.
    """

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="stix-put")
        self._slots = chunks.put_slots
        self._lock = Lock()
        self._failed: BaseException | None = None
        self.new_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Nothing is cancelled: each chunk under way gives its slot back, and they are few.
        self._pool.shutdown(wait=True)

    def send(self, data: bytes) -> Future[str]:
        """Store one chunk; waits while too many are in memory."""
        if self._failed is not None:
            raise self._failed
        self._slots.acquire()
        return self._pool.submit(self._send, data)

    def file(self, source: BinaryIO) -> tuple[int, list[Future[str]]]:
        """Store what ``source`` still holds; the number of bytes and the digests to come."""
        size = 0
        digests = []
        while data := read_chunk(source):
            size += len(data)
            digests.append(self.send(data))
        return size, digests

    def _send(self, data: bytes) -> str:
        try:
            digest, new = self._chunks.put(data)
        except BaseException as error:
            self._failed = error
            raise
        finally:
            self._slots.release()
        if new:
            with self._lock:
                self.new_bytes += len(data)
        return digest


def read_chunk(source: BinaryIO) -> bytes:
    """The next chunk, whole unless ``source`` ends: a read of a pipe or a tar may be short."""
    data = source.read(CHUNK_SIZE)
    if len(data) in {0, CHUNK_SIZE}:
        return data
    parts = [data]
    size = len(data)
    while size < CHUNK_SIZE and (data := source.read(CHUNK_SIZE - size)):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def ordered(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``map`` with workers ahead of the consumer, by at most ``AHEAD`` results."""
    pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="stix-get")
    ahead: deque[Future[Result]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) >= AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
