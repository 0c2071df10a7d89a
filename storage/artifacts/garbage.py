"""Delete what no root reaches. Why this is safe beside writers: `stix.storage.artifacts.guard`."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from stix.storage.artifacts.guard import NOTICES, PINS, Timing
from stix.storage.artifacts.manifest import Manifest, decode, is_digest
from stix.storage.artifacts.objects import WORKERS, Object, Objects
from stix.storage.base import Corrupt, NotInStore, StorageError

BATCH = 500
"""Objects that one notice names."""

Tell = Callable[[str, int, int], None]
"""Progress: what is done (``read``, ``manifests``, ``chunks``), how many are done, of how many."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Wish:
    """What a collection is asked for.

    Attributes:
        roots: Gives the digests of artifacts that must stay; called once, at the begin.
        dry_run: Delete nothing, only tell.
        tell: Is told the progress.
    """

    roots: Callable[[], Collection[str]]
    dry_run: bool = False
    tell: Tell = silent


@dataclass(frozen=True)
class Collected:
    """What a collection deleted, or would delete.

    Attributes:
        artifacts: Digests of the artifacts that went, with the bytes of their files.
        chunks: How many chunks went.
        bytes: What that freed, manifests included.
        kept: Artifacts that stay.
        dry_run: Nothing was deleted.
    """

    artifacts: dict[str, int]
    chunks: int
    bytes: int
    kept: int
    dry_run: bool


@dataclass
class _Gone:
    names: set[str] = field(default_factory=set)
    bytes: int = 0

    def add(self, one: Object) -> None:
        self.names.add(one.name)
        self.bytes += one.bytes


class Garbage:
    """One collection."""

    def __init__(self, objects: Objects, timing: Timing, wish: Wish) -> None:
        self._objects = objects
        self._timing = timing
        self._wish = wish
        self._notice = objects.at(NOTICES, f"{secrets.token_hex(8)}.json")
        self._batch = 0
        self._begun = time.monotonic()
        self._known: dict[str, Manifest] = {}

    def collect(self) -> Collected:
        """Collect.

        Raises:
            Corrupt: A manifest that stays cannot be read, so its chunks are not known.
            StorageError: The store refused, or it took longer than the notice allows: what was
                deleted until then was garbage, the rest stays for the next time.
        """
        if not self._wish.dry_run:
            self._publish([])
            self._set_clock()
        manifests = self._manifests()
        spared = frozenset(self._wish.roots()) | self._pinned()
        old = [one for name, one in manifests.items() if self._old(one) and name not in spared]
        sizes = self._sizes(old)
        gone = self._delete("manifests", old, self._unpinned)
        artifacts = {_digest(name): sizes.get(_digest(name), 0) for name in sorted(gone.names)}
        kept = manifests.keys() - artifacts.keys()
        self._read(kept)
        reached = self._reached(kept)
        chunks = self._objects.list("chunks")
        loose = [
            one
            for name, one in chunks.items()
            if is_digest(name) and self._old(one) and name not in reached
        ]
        deleted = self._delete("chunks", loose, list)
        if not self._wish.dry_run:
            self._publish([])
            self._tidy()
        freed = gone.bytes + deleted.bytes
        return Collected(artifacts, len(deleted.names), freed, len(kept), self._wish.dry_run)

    def _old(self, one: Object) -> bool:
        return one.age is not None and one.age > self._timing.grace_s

    def _set_clock(self) -> None:
        """Ages are by the store's clock: that of this machine may be days ahead."""
        age = self._objects.age(self._notice)
        if age is not None and age != float("inf"):
            self._objects.skew -= age

    def _manifests(self) -> dict[str, Object]:
        found = self._objects.list("manifests").items()
        return {_digest(name): one for name, one in found if is_digest(_digest(name))}

    def _pinned(self) -> frozenset[str]:
        pins = self._objects.list(PINS).values()
        return frozenset(one.name.partition(".")[0] for one in pins if not self._old(one))

    def _unpinned(self, batch: Sequence[Object]) -> list[Object]:
        pinned = self._pinned()
        return [one for one in batch if _digest(one.name) not in pinned]

    def _reached(self, digests: Collection[str]) -> frozenset[str]:
        known = [self._known[digest] for digest in digests if digest in self._known]
        return frozenset(c for manifest in known for e in manifest.entries for c in e.chunks)

    def _sizes(self, old: Sequence[Object]) -> dict[str, int]:
        digests = [_digest(one.name) for one in old]
        found = zip(digests, self._decoded(digests), strict=True)
        return {digest: m.bytes for digest, m in found if isinstance(m, Manifest)}

    def _read(self, digests: Collection[str]) -> None:
        """Know the manifests; one that vanished meanwhile counts no longer."""
        new = [digest for digest in digests if digest not in self._known]
        for number, (digest, found) in enumerate(zip(new, self._decoded(new), strict=True), 1):
            if isinstance(found, Corrupt):
                raise found
            if found is not None:
                self._known[digest] = found
            self._wish.tell("read", number, len(new))

    def _decoded(self, digests: Sequence[str]) -> Iterator[Manifest | Corrupt | None]:
        def read(digest: str) -> Manifest | Corrupt | None:
            url = self._objects.at("manifests", digest[:2], f"{digest}.json")
            try:
                return decode(self._objects.read(url), digest)
            except NotInStore:
                return None
            except Corrupt as error:
                return error

        with ThreadPoolExecutor(WORKERS, thread_name_prefix="stix-gc") as pool:
            yield from pool.map(read, digests)

    def _delete(
        self,
        what: str,
        candidates: Sequence[Object],
        check: Callable[[Sequence[Object]], list[Object]],
    ) -> _Gone:
        """Delete in batches; each is published, checked and looked at again before."""
        gone = _Gone()
        for first in range(0, len(candidates), BATCH):
            batch = candidates[first : first + BATCH]
            if self._wish.dry_run:
                for one in batch:
                    gone.add(one)
            else:
                self._delete_batch(batch, check, gone)
            self._wish.tell(what, min(first + BATCH, len(candidates)), len(candidates))
        return gone

    def _delete_batch(
        self,
        batch: Sequence[Object],
        check: Callable[[Sequence[Object]], list[Object]],
        gone: _Gone,
    ) -> None:
        published = time.monotonic()  # before it is: the limit must not come late
        self._publish([_digest(one.name) for one in batch])

        def delete(one: Object) -> bool:
            age = self._objects.age(one.url)
            if age is None or not self._timing.grace_s < age < float("inf"):
                return False
            self._check_time(published)
            self._objects.remove(one.url)
            return True

        checked = check(batch)
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="stix-gc") as pool:
            for one, deleted in zip(checked, pool.map(delete, checked), strict=True):
                if deleted:
                    gone.add(one)

    def _check_time(self, published: float) -> None:
        now = time.monotonic()
        late = now - published > self._timing.sweep_s
        if late or now - self._begun > self._timing.fresh_s:
            raise StorageError(
                "The collection was held up and stopped; nothing is damaged.", fix="Run it again."
            )

    def _publish(self, names: Sequence[str]) -> None:
        self._batch += 1
        body = {"batch": self._batch, "condemned": names}
        self._objects.store.put(self._notice, json.dumps(body).encode("ascii"))

    def _tidy(self) -> None:
        """Remove notices, pins and half-written files that are too old to matter."""
        for folder in (NOTICES, PINS, "chunks", "manifests"):
            for one in self._objects.list(folder).values():
                if self._old(one) and (folder in {NOTICES, PINS} or one.temporary):
                    self._objects.remove(one.url)


def _digest(name: str) -> str:
    return name.removesuffix(".json")
