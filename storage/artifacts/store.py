"""Content-addressed artifacts in any store."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from stix.storage.artifacts.chunks import WORKERS, Chunks, Readable, Upload, ordered
from stix.storage.artifacts.garbage import Collected, Garbage, Wish
from stix.storage.artifacts.guard import TIMING, Guard, Notices, Timing
from stix.storage.artifacts.manifest import FILE_MODE, Entry, Manifest, build, decode, is_digest
from stix.storage.artifacts.objects import Objects
from stix.storage.artifacts.restore import restore
from stix.storage.artifacts.scan import scan
from stix.storage.artifacts.tars import read_tar, write_tar
from stix.storage.base import (
    CanSign,
    CanSignPut,
    Corrupt,
    NotInStore,
    Signed,
    StorageError,
    Store,
)
from stix.storage.registry import as_url, join, open_store

TRIES = 5
"""How often a path is sent where a collection took a part of it meanwhile."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An artifact in the store.

    Attributes:
        digest: SHA-256 of its manifest, 64 hexadecimal digits.
        bytes: Sum of its files.
        files: Number of its files.
        new_bytes: What the store did not hold before.
    """

    digest: str
    bytes: int
    files: int
    new_bytes: int


class ArtifactStore:
    """Artifacts below one URL: ``chunks/<2>/<sha256>`` and ``manifests/<2>/<sha256>.json``.

    A manifest is written after all of its chunks: it is the commit. Whatever dies half way leaves
    chunks that no manifest names, which are harmless and are collected when they are old. Methods
    block and may be called from many threads and processes at once.

    Args:
        url: Such as ``file:///path`` or ``s3://bucket/prefix``.
        options: For the store, see its class.

    Attributes:
        backend: The store that holds it all.
        chunks: Its chunks.
    """

    def __init__(self, url: str, **options: object) -> None:
        self._open(open_store(url, **options), url, TIMING)

    @classmethod
    def over(cls, store: Store, url: str, timing: Timing = TIMING) -> Self:
        """The artifacts in a store that is open; all who use it must agree on the timing."""
        made = cls.__new__(cls)
        made._open(store, url, timing)
        return made

    def _open(self, store: Store, url: str, timing: Timing) -> None:
        self.url = as_url(url).rstrip("/")
        self.backend = store
        self._objects = Objects(store, self.url)
        self._guard = Guard(self._objects, timing)
        self.chunks = Chunks(self._objects, timing)

    def put_path(self, path: str | os.PathLike[str]) -> Stored:
        """Store a file or a folder.

        Raises:
            StorageError: Names the file that cannot be read, changed meanwhile, or is a link that
                is absolute or leaves the folder.
        """
        return self._put(lambda upload: scan(Path(path), upload))

    def put_bytes(self, data: bytes, name: str) -> Stored:
        """Store ``data`` as a file called ``name``."""

        def send(upload: Upload) -> Manifest:
            size, chunks = upload.file(io.BytesIO(data))
            digests = tuple(chunk.result() for chunk in chunks)
            return build("file", [Entry(name, "file", FILE_MODE, size, digests)])

        return self._put(send)

    def put_tar(self, source: IO[bytes], limit: int | None = None) -> Stored:
        """Store the content of a plain tar stream; see `read_tar`.

        Args:
            limit: Most bytes that its files may hold together.
        """
        return self._put(lambda upload: read_tar(source, upload, limit), tries=1)

    def copy(self, manifest: Manifest, chunks: Readable) -> Stored:
        """Store an artifact of another store; its manifest is written last, as of any other.

        Args:
            chunks: Where those come from that are not here, or not fresh.
        """

        def send(upload: Upload) -> Manifest:
            missing = self._not_fresh(manifest)
            for sent in [upload.send(data) for data in ordered(chunks.get, missing)]:
                sent.result()
            return manifest

        return self._put(send)

    def take(self, manifest: Manifest, bring: Callable[[Sequence[str]], int]) -> Stored:
        """Store an artifact whose chunks somebody else writes, such as the node that made it.

        Args:
            bring: Has these chunks written, by `signed_put`; how many bytes that were.

        Raises:
            StorageError: A chunk did not come.
        """

        def send(upload: Upload) -> Manifest:
            missing = self._not_fresh(manifest)
            upload.new_bytes += bring(missing) if missing else 0
            if not self.chunks.all_there(missing):
                raise StorageError("A chunk was not written to the store.", fix="Try again.")
            return manifest

        return self._put(send)

    def _not_fresh(self, manifest: Manifest) -> list[str]:
        """The chunks that have to be written, although some of them may exist."""
        names = list(dict.fromkeys(name for e in manifest.entries for name in e.chunks))
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="stix-look") as pool:
            fresh = list(pool.map(self.chunks.fresh, names))
        return [name for name, there in zip(names, fresh, strict=True) if not there]

    def signed(self, chunk: str, *, seconds: int) -> Signed | None:
        """A GET of a chunk for who has no credentials; None where the store can sign none."""
        if not isinstance(self.backend, CanSign):
            return None
        return self.backend.sign(self.chunks.url(chunk), seconds=seconds)

    def signed_put(self, chunk: str) -> Signed | None:
        """A PUT of a chunk, and of nothing else; None where the store can sign none."""
        if not isinstance(self.backend, CanSignPut):
            return None
        return self.backend.sign_put(self.chunks.url(chunk), sha256=chunk)

    def mend(self, manifest: Manifest) -> None:
        """Write a manifest over a damaged one."""
        self.backend.put(self.url_of(manifest.digest()), manifest.encode())

    def _put(self, send: Callable[[Upload], Manifest], tries: int = TRIES) -> Stored:
        """``send`` until all of what it sent is there at once; a stream can be sent only once."""
        new_bytes = 0
        for _ in range(tries):
            begun, since = self._guard.look(), time.monotonic()
            with Upload(self.chunks) as upload:
                manifest = send(upload)
            new_bytes += upload.new_bytes
            if self._commit(manifest, begun, since):
                return Stored(manifest.digest(), manifest.bytes, manifest.files, new_bytes)
        raise StorageError(
            "What the artifact shares with old ones was collected as garbage meanwhile.",
            fix="Try again.",
        )

    def _commit(self, manifest: Manifest, begun: Notices, since: float) -> bool:
        """Write the manifest, unless a chunk is gone; see `stix.storage.artifacts.guard`."""
        timing = self._guard.timing
        chunks = {chunk for entry in manifest.entries for chunk in entry.chunks}
        now, disturbed = self._guard.settle(begun, chunks)
        if disturbed and not self.chunks.all_there(chunks):
            return False
        digest, data = manifest.digest(), manifest.encode()
        url = self.url_of(digest)
        while time.monotonic() - since < timing.fresh_s:
            if not (self.backend.put_if_absent(url, data) or timing.fresh(self._objects.age(url))):
                self.backend.put(url, data)
            now, disturbed = self._guard.settle(now, {digest})
            if not disturbed or self._objects.age(url) is not None:
                return True
        return False

    def probe(self) -> None:
        """Ask the store something small.

        Raises:
            StorageError: It is of no use now.
        """
        self._guard.look()

    def keep(self, digest: str) -> bool:
        """Rely on an artifact that exists; False where it does not.

        It then stays for at least twice `Timing.fresh_s`: time to record it as a root.
        """
        if not is_digest(digest):
            return False
        url = self.url_of(digest)
        age = self._objects.age(url)
        if age is None or self._guard.timing.fresh(age):
            return age is not None
        pin = self._guard.pin(digest)
        self._guard.settle(Notices(), {digest})
        if self._objects.age(url) is not None:
            return True
        self._objects.remove(pin)
        return False

    def gc(self, wish: Wish) -> Collected:
        """Delete what is old and not reached from the roots; safe while others write.

        Raises:
            Corrupt: A manifest that stays cannot be read.
            StorageError: The store refused, or it took too long: run it again.
        """
        return Garbage(Objects(self.backend, self.url), self._guard.timing, wish).collect()

    def get(
        self, digest: str, target: str | os.PathLike[str], *, replace: bool = False
    ) -> Manifest:
        """Write the artifact to ``target``, whole or not at all.

        Args:
            target: The file or folder itself, not its parent. An empty folder may be there.
            replace: Remove what lies at ``target``.

        Raises:
            NotInStore: No such artifact.
            Corrupt: A chunk is missing or damaged.
            StorageError: ``target`` exists or cannot be written.
        """
        manifest = self.manifest(digest)
        restore(manifest, Path(target).absolute(), self.chunks, replace=replace)
        return manifest

    def tar(self, digest: str) -> Iterator[bytes]:
        """The artifact as a tar stream; `put_tar` of it gives the same digest."""
        return write_tar(self.manifest(digest), self.chunks)

    def read(self, digest: str) -> Iterator[bytes]:
        """The content of an artifact of kind ``file``, chunk by chunk."""
        manifest = self.manifest(digest)
        if manifest.kind != "file":
            raise NotInStore(f"Artifact {digest[:12]} is a folder.", fix="Read it by get or tar.")
        return ordered(self.chunks.get, manifest.entries[0].chunks)

    def manifest(self, digest: str) -> Manifest:
        """What the artifact consists of.

        Raises:
            NotInStore: No such artifact.
            Corrupt: Its manifest is damaged or unsafe.
        """
        url = self._known(digest)
        with self.backend.errors(url):
            data: bytes = self.backend.filesystem().cat_file(self.backend.path(url))
        return decode(data, digest)

    def has(self, digest: str) -> bool:
        """Whether the artifact was committed."""
        if not is_digest(digest):
            return False
        url = self.url_of(digest)
        with self.backend.errors(url):
            return bool(self.backend.filesystem().exists(self.backend.path(url)))

    def ls(self) -> list[str]:
        """The digests of all artifacts, sorted."""
        names = (name.removesuffix(".json") for name in self._objects.list("manifests"))
        return sorted(name for name in names if is_digest(name))

    def verify(self, digest: str) -> Manifest:
        """Read the whole artifact and compare it with its digests.

        Raises:
            Corrupt: Names the first object that is missing or damaged.
        """
        manifest = self.manifest(digest)
        names = [name for entry in manifest.entries for name in entry.chunks]
        size = sum(ordered(lambda name: len(self.chunks.get(name)), names))
        if size != manifest.bytes:
            raise Corrupt(
                f"Artifact {digest[:12]} has chunks of the wrong size.",
                fix="Make the artifact again.",
            )
        return manifest

    def url_of(self, digest: str) -> str:
        """The URL of the artifact's manifest."""
        return join(self.url, "manifests", digest[:2], f"{digest}.json")

    def _known(self, digest: str) -> str:
        if not is_digest(digest):
            raise NotInStore(
                "This is not the digest of an artifact.", fix="Give all 64 hexadecimal digits."
            )
        return self.url_of(digest)
