"""Artifacts as tar streams, in and out, without a file in between."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, BinaryIO, Self, cast

from stix.spec.folders.trees import TAR_END, tar_header, tar_padding
from stix.storage.artifacts.chunks import ordered
from stix.storage.artifacts.manifest import (
    EXECUTABLE_MODE,
    FILE_MODE,
    Entry,
    Kind,
    Manifest,
    build,
)
from stix.storage.artifacts.scan import Pending
from stix.storage.base import StorageError

if TYPE_CHECKING:
    from stix.storage.artifacts.chunks import Readable, Upload

BLOCK = tarfile.BLOCKSIZE
MAX_ENTRIES = 2_000_000


class _Member(tarfile.TarInfo):
    """Where ``tarfile`` takes a cut or damaged header for the end, this raises."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if len(buf) != BLOCK:
            raise tarfile.ReadError("the end is missing")
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):
                raise  # a block of zeros is the proper end
            raise tarfile.ReadError(f"a header is damaged: {error}") from error


def read_tar(source: IO[bytes], upload: Upload, limit: int | None) -> Manifest:
    """Store the members of a plain tar stream.

    An archive of exactly one regular member and no root folder (``./``) is an artifact of kind
    ``file``, any other a ``tree``.

    Args:
        limit: Most bytes that the files may hold together.

    Raises:
        StorageError: Not a whole tar archive, too big, or a member with a dangerous name, link or
            type; says which member.
    """
    found: dict[str, Entry | Pending] = {}
    root = False
    size = 0
    try:
        with tarfile.open(fileobj=source, mode="r|", tarinfo=_Member) as archive:
            for count, member in enumerate(archive):
                path = _normal(member)
                size += member.size if member.isreg() else 0
                if count >= MAX_ENTRIES or (limit is not None and size > limit):
                    raise _too_big(limit)
                if path:
                    found[path] = _store(archive, member, path, found, upload)
                else:
                    root = True
                archive.members.clear()  # type: ignore[attr-defined]  # it would grow with the archive
    except tarfile.TarError as error:
        raise StorageError(f"Not a whole tar archive: {error}.", fix="Send it again.") from error
    entries = [one.entry() if isinstance(one, Pending) else one for one in found.values()]
    single = not root and len(entries) == 1 and entries[0].type == "file"
    kind: Kind = "file" if single and "/" not in entries[0].path else "tree"
    return build(kind, entries)


def _store(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: str,
    found: dict[str, Entry | Pending],
    upload: Upload,
) -> Entry | Pending:
    if member.isdir():
        return Entry(path, "dir")
    if member.issym():
        return Entry(path, "link", target=member.linkname)
    if member.islnk():
        first = found.get(member.linkname.removeprefix("./"))
        if not isinstance(first, Pending):
            raise _refused(member, "it is a hard link to something that is not an earlier file")
        return Pending(path, first.mode, first.size, first.chunks)
    if not member.isreg():
        raise _refused(member, "it is a device, pipe or other special file")
    content = archive.extractfile(member)
    size, chunks = upload.file(cast(BinaryIO, content))
    if size != member.size:
        raise tarfile.ReadError(f"{member.name!r} is cut")
    mode = EXECUTABLE_MODE if member.mode & 0o111 else FILE_MODE
    return Pending(path, mode, size, chunks)


def _normal(member: tarfile.TarInfo) -> str:
    """The member's path without ``./``; empty for the root."""
    if member.name.startswith("/"):
        raise _refused(member, "its name is absolute")
    parts = [part for part in member.name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise _refused(member, "its name holds '..'")
    return "/".join(parts)


def _refused(member: tarfile.TarInfo, reason: str) -> StorageError:
    return StorageError(
        f"{member.name!r} in the archive cannot be stored: {reason}.",
        fix="Leave it out of what is sent.",
    )


def _too_big(limit: int | None) -> StorageError:
    bound = f"{limit} bytes" if limit is not None else f"{MAX_ENTRIES} entries"
    return StorageError(
        f"The archive holds more than {bound}.",
        fix="Leave out what the run does not need, for example by .skyignore.",
    )


def write_tar(manifest: Manifest, chunks: Readable) -> Iterator[bytes]:
    """The artifact as a tar stream, the same bytes each time (times 0, owner root)."""
    if manifest.kind == "tree":
        yield tar_header("./", "dir")
    data = ordered(chunks.get, (digest for entry in manifest.entries for digest in entry.chunks))
    for entry in manifest.entries:
        mode = entry.mode or EXECUTABLE_MODE
        yield tar_header(entry.path, entry.type, mode=mode, size=entry.size, target=entry.target)
        for _ in entry.chunks:
            yield next(data)
        yield tar_padding(entry.size)
    yield TAR_END
