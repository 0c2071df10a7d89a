"""The stores that copies are tested between, each a real server."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stix.storage.registry import join, open_store
from stix.storage.transfer import PIECE, Options, copy

STORES = ["file", "s3", "az", "gs", "sftp"]
LARGE = 3 * PIECE + 12_345


@dataclass(frozen=True)
class Place:
    """An empty prefix of a store."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict)

    def at(self, *names: str) -> str:
        return join(self.url, *names)

    def contents(self, name: str) -> dict[str, str]:
        """SHA-256 of every file below ``name``, read by the plain filesystem."""
        store = open_store(self.url, **self.options)
        root = store.path(self.at(name)).strip("/")
        filesystem = store.filesystem()
        found = filesystem.find(store.path(self.at(name)))

        def one(path: str) -> tuple[str, str]:
            name = str(path).strip("/").removeprefix(root).lstrip("/")
            return name, sha256(filesystem.cat_file(path))

        with ThreadPoolExecutor(8) as pool:
            return dict(pool.map(one, found))


@dataclass(frozen=True)
class Seeded:
    """``source`` below a place, and the SHA-256 of each of its files by name."""

    place: Place
    there: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return LARGE + sum(number % 300 for number in range(len(self.there) - 1))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tree(root: Path, small: int, large: int) -> dict[str, str]:
    """``small`` little files and one of ``large`` bytes; their SHA-256 by name."""
    found = {}
    for number in range(small):
        name = f"d{number % 7}/sub {number % 3}/f{number}"
        found[name] = _write(root / name, random.Random(number).randbytes(number % 300))
    if large:
        found["large.bin"] = _write(root / "large.bin", random.Random(large).randbytes(large))
    return found


def _write(path: Path, data: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return sha256(data)


def put(source: Path, place: Place, name: str, state: Path) -> None:
    copy(str(source), place.at(name), Options(target=place.options, state=state))
