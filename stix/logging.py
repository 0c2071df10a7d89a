"""Logs of our own processes: one line per record, UTC, secrets replaced."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path

KEEP = 3
"""Old files kept beside a log that was rotated."""


def setup(level: int = logging.INFO, filters: Iterable[logging.Filter] = ()) -> None:
    """Send every record of this process to standard error."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s")
    formatter.datefmt = "%Y-%m-%dT%H:%M:%S"
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    for each in filters:
        handler.addFilter(each)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # A line per command on a host; the audit lines of the clouds say what matters.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)


def rotate(path: Path, limit: int) -> bool:
    """Move the content of a log away once it has more than ``limit`` bytes.

    The file itself stays, emptied, since its writers hold it open (in append mode). Lines written
    during the copy may be lost.
    """
    if not path.is_file() or path.stat().st_size <= limit:
        return False
    for number in range(KEEP - 1, 0, -1):
        old = path.with_name(f"{path.name}.{number}")
        if old.exists():
            old.replace(path.with_name(f"{path.name}.{number + 1}"))
    with path.open("rb+") as source, path.with_name(f"{path.name}.1").open("wb") as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)
        source.truncate(0)
    return True
