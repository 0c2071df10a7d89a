"""Files of a source: their identity, which of them are wanted, which are there already."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from stix.storage.base import StorageError

if TYPE_CHECKING:
    from stix.spec.folders.ignore import Rule

PIECE = 8 * 2**20
"""Bytes of one request; larger files are copied by pieces, several at once."""

MEMORY = 384 * 2**20
"""Bytes that all pieces under way hold at most."""

AT_ONCE = 8
"""Pieces of one file under way at once; more of them wait for each other's memory."""

_PARTS = 9_000
"""Most pieces of one file; S3 takes 10,000."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file.

    Attributes:
        name: Relative to the URL that was asked; empty where the URL names the file itself.
        modified: Unix time in seconds; 0 where the store does not tell.
        version: Changes when the content does: an ETag, a generation, a time.
    """

    name: str
    size: int
    modified: float
    version: str
    executable: bool = False

    def same(self, other: Entry) -> bool:
        return (self.version, self.size) == (other.version, other.size)

    def identity(self, place: str) -> str:
        """A word for this version of this file, for names of what is half done."""
        text = f"{place}\n{self.name}\n{self.version}\n{self.size}"
        return hashlib.sha256(os.fsencode(text)).hexdigest()


def seconds(modified: object) -> float:
    """Unix time of what a file system tells; 0 where it tells nothing of use."""
    if isinstance(modified, datetime):
        return modified.timestamp()
    if isinstance(modified, str):
        try:
            return datetime.fromisoformat(modified).timestamp()
        except ValueError:
            return 0.0
    return float(modified) if isinstance(modified, int | float) else 0.0


def piece_size(size: int) -> int:
    """Bytes of each piece of a file of ``size`` bytes, whole MiB."""
    least = -(-size // _PARTS)
    return max(PIECE, -(-least // 2**20) * 2**20)


def at_once(piece: int, workers: int) -> int:
    """Pieces under way at once, within ``MEMORY``."""
    return max(2, min(workers, AT_ONCE, MEMORY // piece))


class Wanted:
    """Which names are copied, by the patterns of a call."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include: Sequence[Rule] | None = None
        self._exclude: Sequence[Rule] = ()
        if include or exclude:  # else a copy of one file is spared what this loads
            from stix.spec.folders.ignore import parse

            self._include = parse("\n".join(include).encode()) if include else None
            self._exclude = parse("\n".join(exclude).encode())

    def __call__(self, name: str) -> bool:
        if self._exclude and _matches(name, self._exclude):
            return False
        return self._include is None or _matches(name, self._include)


def _matches(name: str, rules: Sequence[Rule]) -> bool:
    """Whether the last rule that speaks of the file, or of a folder above it, takes it."""
    parts = os.fsencode(name).split(b"/")
    for depth in range(1, len(parts) + 1):
        path, last = b"/".join(parts[:depth]), parts[depth - 1]
        for rule in reversed(rules):
            if rule.folders_only and depth == len(parts):
                continue
            if rule.regex.fullmatch(last if rule.name_only else path):
                if not rule.keep:
                    return True
                break
    return False


def check_names(names: Iterable[str], url: str) -> None:
    """
    Raises:
        StorageError: A name cannot be that of a file.
    """
    from stix.spec.folders.trees import bad_name

    for name in names:
        reason = bad_name(name) if name else None
        if reason is not None:
            raise StorageError(
                f"{name!r} below {url} cannot become a file: {reason}.",
                fix="Rename the object or copy a narrower prefix.",
            )


def same_time(one: float, other: float) -> bool:
    """Whether two clocks tell the same moment, where one of them may know whole seconds only."""
    if abs(one - other) < 1e-3:
        return True
    return int(one) == int(other) and (one.is_integer() or other.is_integer())


def plain_md5(version: str) -> str:
    """The MD5 that an ETag is, as S3 gives it for objects written in one go; else empty."""
    word = version.strip('"')
    return word if len(word) == 32 and fnmatch.fnmatch(word, "[0-9a-f]" * 32) else ""
