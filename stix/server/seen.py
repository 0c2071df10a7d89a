"""When things were first seen at the clouds, for those that do not say when they were made."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from stix.files import write_private


class Seen:
    """A small file in the cache of the home; it forgets what is no more.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times: dict[str, float] = {}
        try:
            self._times = {str(k): float(v) for k, v in json.loads(path.read_text()).items()}
        except (OSError, ValueError, AttributeError):
            self._times = {}  # at worst a thing is kept for one more time of grace

    def first(self, key: str) -> float:
        """Unix time in seconds; now, for what was never seen."""
        return self._times.setdefault(key, time.time())

    def keep(self, keys: Iterable[str]) -> None:
        """These are what there is; written where anything changed."""
        there = {key: self.first(key) for key in keys}
        if there != self._times or not self._path.exists():
            self._times = there
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self._path, json.dumps(there))
