"""Content-addressed artifacts in any store."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stix.storage.artifacts.chunks import Chunks, Upload, ordered
from stix.storage.artifacts.manifest import FILE_MODE, Entry, Manifest, build, decode, is_digest
from stix.storage.artifacts.restore import restore
from stix.storage.artifacts.scan import scan
from stix.storage.artifacts.tars import read_tar, write_tar
from stix.storage.base import Corrupt, NotInStore
from stix.storage.registry import as_url, join, open_store


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
    chunks that no manifest names, which are harmless. Methods block and may be called from many
    threads and processes at once.

    Args:
        url: Such as ``file:///path`` or ``s3://bucket/prefix``.
        options: For the store, see its class.
    """

    def __init__(self, url: str, **options: object) -> None:
        self.url = as_url(url).rstrip("/")
        self._store = open_store(url, **options)
        self._chunks = Chunks(self._store, self.url)

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
        return self._put(lambda upload: read_tar(source, upload, limit))

    def _put(self, send: Callable[[Upload], Manifest]) -> Stored:
        with Upload(self._chunks) as upload:
            manifest = send(upload)
        digest = manifest.digest()
        self._store.put_if_absent(self.url_of(digest), manifest.encode())
        return Stored(digest, manifest.bytes, manifest.files, upload.new_bytes)

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
        restore(manifest, Path(target).absolute(), self._chunks, replace=replace)
        return manifest

    def tar(self, digest: str) -> Iterator[bytes]:
        """The artifact as a tar stream; `put_tar` of it gives the same digest."""
        return write_tar(self.manifest(digest), self._chunks)

    def read(self, digest: str) -> Iterator[bytes]:
        """The content of an artifact of kind ``file``, chunk by chunk."""
        manifest = self.manifest(digest)
        if manifest.kind != "file":
            raise NotInStore(f"Artifact {digest[:12]} is a folder.", fix="Read it by get or tar.")
        return ordered(self._chunks.get, manifest.entries[0].chunks)

    def manifest(self, digest: str) -> Manifest:
        """What the artifact consists of.

        Raises:
            NotInStore: No such artifact.
            Corrupt: Its manifest is damaged or unsafe.
        """
        url = self._known(digest)
        with self._store.errors(url):
            data: bytes = self._store.filesystem().cat_file(self._store.path(url))
        return decode(data, digest)

    def has(self, digest: str) -> bool:
        """Whether the artifact was committed."""
        if not is_digest(digest):
            return False
        url = self.url_of(digest)
        with self._store.errors(url):
            return bool(self._store.filesystem().exists(self._store.path(url)))

    def ls(self) -> list[str]:
        """The digests of all artifacts, sorted."""
        url = join(self.url, "manifests")
        try:
            with self._store.errors(url):
                paths = self._store.filesystem().find(self._store.path(url))
        except NotInStore:
            return []
        names = (str(path).rpartition("/")[2].removesuffix(".json") for path in paths)
        return sorted(name for name in names if is_digest(name))

    def verify(self, digest: str) -> Manifest:
        """Read the whole artifact and compare it with its digests.

        Raises:
            Corrupt: Names the first object that is missing or damaged.
        """
        manifest = self.manifest(digest)
        names = [name for entry in manifest.entries for name in entry.chunks]
        size = sum(ordered(lambda name: len(self._chunks.get(name)), names))
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
