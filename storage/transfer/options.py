"""What a copy is asked, what it tells while it runs, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stix.storage.base import StorageError

Compare = Literal["time", "checksum"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is. Files and bytes that were there already count as done."""

    files: int
    files_done: int
    bytes: int
    bytes_done: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a copy did.

    Attributes:
        files: Files now at the target.
        bytes: Sum of their sizes.
        new_bytes: What had to be read by this call, here or inside the store.
        skipped: Files that were there already.
        deleted: Files removed from the target.
        seconds: How long it took.
    """

    files: int
    bytes: int
    new_bytes: int
    skipped: int
    deleted: int
    seconds: float


@dataclass(frozen=True)
class Options:
    """How to copy.

    Attributes:
        source: For the store that is read; values may be secret.
        target: For the store that is written; values may be secret.
        include: Patterns as in ``.gitignore``: where there are any, only files that one of them
            matches are copied.
        exclude: Patterns as in ``.gitignore``; files that match stay behind, and at the target.
        ignore_files: Leave out what ``.skyignore`` or ``.gitignore`` of a local source name.
        delete: Remove files at the target that the source has not.
        compare: What tells that a file is there already: its size and time, or its content.
        verify: Read each new file back from the target and compare its SHA-256 with that of what
            was read. Without it, what the stores check themselves is relied on.
        limit: Bytes per second, over all workers.
        workers: Files or pieces under way at once.
        progress: Called, one call at a time, from the workers' threads.
        state: Folder for what is known of large uploads under way; by default in ``STIX_HOME``.
    """

    source: Mapping[str, object] = field(default_factory=dict, repr=False)
    target: Mapping[str, object] = field(default_factory=dict, repr=False)
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    ignore_files: bool = False
    delete: bool = False
    compare: Compare = "time"
    verify: bool = False
    limit: float | None = None
    workers: int = 16
    progress: Callable[[Progress], None] | None = None
    state: Path | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit <= 0:
            raise StorageError("A bandwidth limit is above 0.", fix="Give bytes per second.")
        if self.workers < 1:
            raise StorageError("At least one worker copies.", fix="Give workers of 1 or more.")
