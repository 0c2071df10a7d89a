"""What an artifact consists of: canonical JSON whose digest names the artifact."""

from __future__ import annotations

import builtins
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stix.spec.folders.trees import bad_link, bad_name
from stix.storage.base import Corrupt, StorageError

CHUNK_SIZE = 16 * 2**20
"""Bytes of each chunk but the last. A change of it changes the digest of every big file."""

FORMAT = 1
FILE_MODE = 0o644
EXECUTABLE_MODE = 0o755
_DIGEST = re.compile(r"[0-9a-f]{64}")

Kind = Literal["file", "tree"]
EntryType = Literal["file", "dir", "link"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of an artifact.

    Attributes:
        path: Relative to the artifact's root, parts split by ``/``. For an artifact of kind
            ``file``, the file's own name.
        mode: 0o755 for an executable file, else 0o644; 0 for the other types.
        size: Bytes of a file; 0 for the other types.
        chunks: SHA-256 digests of the file's chunks, in order.
        target: Where a link points.
    """

    path: str
    type: EntryType
    mode: int = 0
    size: int = 0
    chunks: tuple[str, ...] = ()
    target: str = ""

    def wire(self) -> dict[str, object]:
        body: dict[str, object] = {"path": self.path, "type": self.type}
        if self.type == "file":
            body |= {"mode": self.mode, "size": self.size, "chunks": list(self.chunks)}
        elif self.type == "link":
            body["target"] = self.target
        return body


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of an artifact, sorted by path; equal content gives equal bytes.

    Attributes:
        bytes: Sum of the sizes of the files.
        chunk_size: Bytes of each chunk but a file's last.
    """

    kind: Kind
    entries: tuple[Entry, ...]
    bytes: int
    chunk_size: int = CHUNK_SIZE

    @property
    def files(self) -> int:
        """How many files, without folders and links."""
        return sum(entry.type == "file" for entry in self.entries)

    def encode(self) -> builtins.bytes:
        """Canonical JSON: sorted keys, no spaces, ASCII."""
        body = {
            "format": FORMAT,
            "kind": self.kind,
            "bytes": self.bytes,
            "chunk_size": self.chunk_size,
            "entries": [entry.wire() for entry in self.entries],
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")

    def digest(self) -> str:
        return sha256(self.encode())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def build(kind: Kind, entries: Iterable[Entry]) -> Manifest:
    """The manifest of ``entries`` in any order; folders that only a path names are added.

    Raises:
        StorageError: A name or link that would lead out of the tree, with its path.
    """
    by_path: dict[str, Entry] = {}
    for entry in entries:
        reason = bad_name(entry.path)
        if reason is not None:
            raise StorageError(f"{entry.path!r} cannot be stored: {reason}.", fix="Rename it.")
        by_path[entry.path] = entry
    for path in list(by_path):
        for parent in _parents(path):
            by_path.setdefault(parent, Entry(parent, "dir"))
    manifest = Manifest(
        kind=kind,
        entries=tuple(by_path[path] for path in sorted(by_path)),
        bytes=sum(entry.size for entry in by_path.values()),
    )
    problem = _problem(manifest)
    if problem is not None:
        raise StorageError(
            f"{problem[0]!r} cannot be stored: {problem[1]}.",
            fix="Make it a relative link inside the folder, replace it by a file, or leave it out.",
        )
    return manifest


def decode(data: bytes, digest: str) -> Manifest:
    """The manifest in ``data``, checked in full: it may come from a store others can write.

    Raises:
        Corrupt: Not the bytes of ``digest``, or not a manifest that is safe to unpack.
    """
    if sha256(data) != digest:
        raise _corrupt(digest, "its manifest does not have this digest")
    try:
        manifest = _parse(json.loads(data))
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(digest, "its manifest cannot be read") from error
    problem = _problem(manifest)
    if problem is not None:
        raise _corrupt(digest, f"{problem[0]!r} is not safe: {problem[1]}")
    return manifest


def _corrupt(digest: str, reason: str) -> Corrupt:
    return Corrupt(
        f"Artifact {digest[:12]}: {reason}.",
        fix="Delete the artifact's manifest from the store and make the artifact again.",
    )


def _parse(body: Mapping[str, Any]) -> Manifest:
    if body["format"] != FORMAT or body["kind"] not in {"file", "tree"}:
        raise ValueError("unknown format or kind")
    entries = tuple(_parse_entry(entry) for entry in body["entries"])
    manifest = Manifest(body["kind"], entries, int(body["bytes"]), int(body["chunk_size"]))
    if manifest.bytes != sum(entry.size for entry in entries) or manifest.chunk_size < 1:
        raise ValueError("the sizes do not add up")
    for entry in entries:
        if len(entry.chunks) != -(-entry.size // manifest.chunk_size):
            raise ValueError("the number of chunks does not fit the size")
    return manifest


def _parse_entry(body: Mapping[str, Any]) -> Entry:
    path, kind = body["path"], body["type"]
    if not isinstance(path, str):
        raise TypeError("a path is not a string")
    if kind == "dir":
        return Entry(path, "dir")
    if kind == "link":
        return Entry(path, "link", target=str(body["target"]))
    chunks = tuple(body["chunks"])
    if kind != "file" or body["mode"] not in {FILE_MODE, EXECUTABLE_MODE}:
        raise ValueError("unknown type or mode")
    if not all(isinstance(chunk, str) and is_digest(chunk) for chunk in chunks):
        raise ValueError("a chunk is not named by a digest")
    return Entry(path, "file", int(body["mode"]), int(body["size"]), chunks)


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _problem(manifest: Manifest) -> tuple[str, str] | None:
    """The first entry that must not be unpacked, and why."""
    kinds: dict[str, EntryType] = {}
    for entry in manifest.entries:
        reason = bad_name(entry.path)
        if reason is None and entry.path in kinds:
            reason = "the name is there twice"
        if reason is not None:
            return entry.path, reason
        kinds[entry.path] = entry.type
    for path in kinds:
        for parent in _parents(path):
            if kinds.get(parent) != "dir":
                return path, f"{parent!r} is not a folder"
    if manifest.kind == "file" and list(kinds.values()) != ["file"]:
        return manifest.entries[0].path if manifest.entries else "", "not a single file"
    links = {entry.path: entry.target for entry in manifest.entries if entry.type == "link"}
    for path in links:
        reason = bad_link(path, links)
        if reason is not None:
            return path, reason
    return None
