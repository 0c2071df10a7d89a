"""How writers and garbage collections share a store: by ages and notices, without a lock.

The store need only be consistent: a read, a stat and a listing that begin after a write has ended
show it. Nothing else is asked of it, and no clock of one machine is compared with that of another
closer than to ``fresh_s``.

**Ages.** An object is *fresh* below ``fresh_s`` and may be collected from ``grace_s`` on, four
times that. A writer that meets a chunk (or its manifest) which exists relies on it where it is
fresh, and writes it again otherwise: it has the data in hand. A writer must commit within
``fresh_s`` of its begin. So whatever a commit relies on is younger than two ``fresh_s`` then; its
owner has another one to record it as a root, and a collection that took the roots before that may
not last longer than the fourth. An abandoned half of an artifact is
nothing but chunks that grow old.

**Notices.** What is left is a race over one old object: a collection looks, it is old; a writer
writes it again; the collection deletes it. A collection therefore publishes the names it is about
to delete, looks at each age again, deletes what still is old, and publishes the next batch. Its
notice stays when it is done, with no name in it. A writer that has everything in place reads the
notices:

* Where one still names something it relies on, it waits until it does not.
* Where any notice differs from what was there at its begin, it looks for each of its objects, and
  begins again where one is gone.

Take an object that a writer wrote (or found fresh) at time *a*. A batch that deletes it saw it old,
so it looked before *a* and was published before that. When the writer reads the notices, the batch
is either still published, and the writer waits for it, or over, and the look finds the hole. A
batch that is published later sees the object young.

**Manifests first.** A collection takes the roots and deletes manifests; then it lists those that
are left, and deletes chunks that none of them names. So a manifest that can be seen has its chunks.
One that appears after the listing names only chunks that are too young.

**Pins.** Who relies on an artifact without its data (a cache hit, an upload of last week) writes a
pin, waits for batches that name the manifest, and looks whether it is there. Collections list the
pins after publishing a batch of manifests and spare those named; a pin counts until ``grace_s``.

**Deaths.** A dead writer leaves chunks and pins, which grow old. A dead collection leaves a notice:
who waits for it and sees it unchanged for ``hold_s`` removes it and goes on. A collection that is
alive but was held up stops by itself: it deletes nothing later than ``sweep_s`` after publishing.
This is the one assumption about time: a delete takes effect within ``hold_s - sweep_s`` of the
moment it was decided, or not at all. Two collections at once do no harm: each has its own notice.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stix.storage.base import NotInStore, StorageError

if TYPE_CHECKING:
    from stix.storage.artifacts.objects import Objects

NOTICES = "gc"
PINS = "pins"


@dataclass(frozen=True, slots=True)
class Timing:
    """Spans in seconds; the same for all who use a store.

    Attributes:
        fresh_s: Below this age writers rely on what exists.
        hold_s: A notice that nobody changed for so long is of a dead collection.
        sweep_s: A collection deletes nothing later than this after its notice.
    """

    fresh_s: float = 64_800.0
    hold_s: float = 300.0
    sweep_s: float = 30.0

    @property
    def grace_s(self) -> float:
        """Nothing younger is collected."""
        return 4 * self.fresh_s

    def fresh(self, age: float | None) -> bool:
        return age is not None and age < self.fresh_s


TIMING = Timing()


@dataclass(frozen=True)
class Notices:
    """The notices of a store at one moment: names about to be deleted, by URL and batch."""

    batches: Mapping[str, tuple[int, frozenset[str]]] = field(default_factory=dict)

    def naming(self, names: Collection[str]) -> dict[str, int]:
        """The notices that name one of ``names``, with their batch."""
        return {
            url: number
            for url, (number, condemned) in self.batches.items()
            if not condemned.isdisjoint(names)
        }

    def same(self, other: Notices) -> bool:
        """Whether no batch began between the two."""
        return _numbers(self) == _numbers(other) and not any(c for _, c in self.batches.values())


def _numbers(notices: Notices) -> dict[str, int]:
    return {url: number for url, (number, _) in notices.batches.items()}


class Guard:
    """The side of writers and keepers."""

    def __init__(self, objects: Objects, timing: Timing) -> None:
        self._objects = objects
        self.timing = timing

    def look(self) -> Notices:
        """The notices now."""
        found = {}
        for one in self._objects.list(NOTICES).values():
            if one.temporary:
                continue
            try:
                body = json.loads(self._objects.read(one.url))
                found[one.url] = (int(body["batch"]), frozenset(map(str, body["condemned"])))
            except NotInStore:
                continue
            except (ValueError, KeyError, TypeError) as error:
                raise StorageError(
                    f"The notice {one.url} cannot be read.", fix="Delete this object."
                ) from error
        return Notices(found)

    def settle(self, begun: Notices, names: Collection[str]) -> tuple[Notices, bool]:
        """Wait until no batch names any of ``names``.

        Returns:
            The notices then, and whether anything may have been deleted since ``begun``.
        """
        since: dict[tuple[str, int], float] = {}
        while True:
            now = self.look()
            naming = now.naming(names)
            if not naming:
                return now, not begun.same(now)
            for batch in naming.items():
                first = since.setdefault(batch, time.monotonic())
                if time.monotonic() - first > self.timing.hold_s:
                    self._objects.remove(batch[0])
            time.sleep(min(0.5, self.timing.hold_s / 10))

    def pin(self, digest: str) -> str:
        """Spare an artifact for the grace; the pin's URL."""
        url = self._objects.at(PINS, f"{digest}.{secrets.token_hex(8)}")
        self._objects.store.put(url, b"")
        return url
