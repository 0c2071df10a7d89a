"""What is known of an artifact in several stores."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from stix.storage.artifacts.garbage import Collected
from stix.storage.base import StorageError

REMEMBERED = 10_000
THERE, WHOLE, MENDED, DAMAGED = "there", "whole", "mended", "damaged"
MISSING, UNREACHABLE = "missing", "unreachable"


@dataclass(frozen=True)
class Swept:
    """What a collection did in one store; ``problem`` is set where it did not end."""

    url: str
    collected: Collected | None
    problem: StorageError | None = None


@dataclass(frozen=True)
class Checked:
    """What an artifact is in one store, and what was wrong with it there.

    Attributes:
        state: ``whole``, ``mended``, ``damaged``, ``missing`` or ``unreachable``.
    """

    url: str
    state: str
    problem: str = ""


class Memory:
    """Where artifacts were seen by this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def note(self, digest: str, url: str) -> None:
        with self._lock:
            known = self._seen.pop(digest, ())
            self._seen[digest] = known if url in known else (*known, url)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def get(self, digest: str) -> tuple[str, ...]:
        return self._seen.get(digest, ())
