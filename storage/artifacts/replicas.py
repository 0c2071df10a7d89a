"""The same artifacts in several stores: written to the nearest, read from the cheapest.

A digest names one artifact wherever it lies. Every store is whole in itself, with chunks, manifests
and garbage of its own, so that nothing has to be agreed between stores: a replica that is half
copied has no manifest, and is nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from stix.plan.egress import Egress
from stix.plan.landing import dearness
from stix.plan.regions import Place
from stix.storage.artifacts.chunks import ordered
from stix.storage.artifacts.garbage import Wish
from stix.storage.artifacts.manifest import Manifest
from stix.storage.artifacts.member import Member, Silent
from stix.storage.artifacts.reading import Reading, none_has
from stix.storage.artifacts.restore import restore
from stix.storage.artifacts.states import (
    DAMAGED,
    MENDED,
    MISSING,
    THERE,
    UNREACHABLE,
    WHOLE,
    Checked,
    Memory,
    Swept,
)
from stix.storage.artifacts.store import ArtifactStore, Stored
from stix.storage.artifacts.tars import write_tar
from stix.storage.base import Corrupt, NotInStore, StorageError

if TYPE_CHECKING:
    from stix.config import ArtifactPlace

log = logging.getLogger("stix.storage")


class Replicas:
    """Artifacts in one store or several; the methods are those of `ArtifactStore`.

    Methods block. A store that fails or does not answer is passed over, with a warning, where
    another one can serve; with one store alone its errors are what they always are.

    Args:
        members: The stores, the main one first.
        copies: In how many of them each artifact is written.
    """

    def __init__(self, members: Sequence[Member], copies: int = 1) -> None:
        self.members = tuple(members)
        self.copies = copies
        self._here: Place | None = None
        self._memory = Memory()

    @classmethod
    def open(cls, places: Sequence[ArtifactPlace], copies: int = 1) -> Self:
        """The stores of the settings; nothing is asked of them yet."""
        return cls([Member.open(place) for place in places], copies)

    def near(self, place: Place) -> Replicas:
        """The same for who is at ``place``: cheap stores first, then fast ones."""
        view = Replicas(self.members, self.copies)
        view._here, view._memory = place, self._memory
        return view

    @property
    def url(self) -> str:
        """Of the store that is written to first."""
        return self.writers()[0].url

    def writers(self) -> list[Member]:
        """The stores in the order in which they are written to; those that failed last."""
        return self._sorted(lambda member: self._cost(self._here, member.place))

    def readers(self) -> list[Member]:
        """The stores in the order in which they are read from; those that failed last."""
        return self._sorted(lambda member: self._cost(member.place, self._here))

    def _sorted(self, cost: Callable[[Member], tuple[float, float]]) -> list[Member]:
        if len(self.members) == 1:
            return list(self.members)
        costs = {m.url: cost(m) if self._here else (0.0, 0.0) for m in self.members}
        return sorted(self.members, key=lambda m: (m.down, costs[m.url]))

    @staticmethod
    def _cost(src: Place | None, dst: Place | None) -> tuple[float, float]:
        if src is None or dst is None:
            return 0.0, 0.0
        return dearness(Egress.bundled(), src, dst)

    @property
    def single(self) -> ArtifactStore | None:
        """The store, where there is but one."""
        return self.members[0].store if len(self.members) == 1 else None

    def put_path(self, path: str | os.PathLike[str]) -> Stored:
        """Store a file or a folder; see `ArtifactStore.put_path`."""
        return self.put_by(lambda store: store.put_path(path))

    def put_bytes(self, data: bytes, name: str) -> Stored:
        """Store ``data`` as a file called ``name``."""
        return self.put_by(lambda store: store.put_bytes(data, name))

    def put_tar(self, source: IO[bytes], limit: int | None = None) -> Stored:
        """Store the content of a tar stream, which can be read but once: in the first that answers.

        The other copies are made from that one.
        """
        member = self.members[0]
        for member in self.writers():
            if self.single or member.answers():
                break
        stored = member.store.put_tar(source, limit)
        self._memory.note(stored.digest, member.url)
        self._spread(stored, member, None)
        return stored

    def put_by(self, send: Callable[[ArtifactStore], Stored]) -> Stored:
        """Store by ``send``, into the nearest store that takes it, and as many more as wanted.

        Args:
            send: May be called once for each store.
        """
        if self.single:
            return send(self.single)
        errors = []
        for member in self.writers():
            try:
                stored = member.bounded(partial(send, member.store), long=True)
            except StorageError as error:
                if not member.at_fault(error):
                    raise
                member.fell(error)
                errors.append(f"{member.url}: {error.message}")
                continue
            self._memory.note(stored.digest, member.url)
            self._spread(stored, member, send)
            return stored
        raise StorageError(
            f"No store takes the artifact. {' '.join(errors)}",
            fix="Check the stores in the block `artifacts` of config.yaml.",
        )

    def _spread(
        self, stored: Stored, first: Member, send: Callable[[ArtifactStore], Stored] | None
    ) -> None:
        """Write further copies, as many as are wanted; one that fails is told, and no more."""
        left = self.copies - 1
        for member in self.writers():
            if member is first or member.down or left < 1:
                continue
            try:
                if not (send and self._again(stored.digest, member, send)):
                    self._copy(stored.digest, member)
            except StorageError as error:
                member.fell(error)
                continue
            self._memory.note(stored.digest, member.url)
            left -= 1

    def _again(self, digest: str, member: Member, send: Callable[[ArtifactStore], Stored]) -> bool:
        """Whether what was sent once could be sent to this store too, and is still the same."""
        try:
            return member.bounded(partial(send, member.store), long=True).digest == digest
        except Silent:
            raise
        except StorageError:
            return False

    def replicate(self, digest: str, url: str) -> Stored:
        """Copy an artifact to the store at ``url``, from the cheapest that has it.

        Raises:
            StorageError: No store of ours has this URL.
            NotInStore: No store has the artifact.
        """
        found = [member for member in self.members if member.url == url.rstrip("/")]
        if not found:
            known = ", ".join(member.url for member in self.members)
            raise StorageError(
                f"{url} is no store of artifacts.",
                fix=f"Stores: {known}. More are named in config.yaml: artifacts.replicas.",
            )
        return self._copy(digest, found[0])

    def _copy(self, digest: str, target: Member) -> Stored:
        near = self.near(target.place).readers()
        if target.bounded(partial(target.store.keep, digest)):
            manifest = target.bounded(partial(target.store.manifest, digest))
            stored = Stored(digest, manifest.bytes, manifest.files, 0)
        else:
            source = Reading([member for member in near if member is not target], digest)
            manifest = source.manifest()
            if manifest.digest() != digest:
                raise Corrupt(f"The manifest of {digest[:12]} is not in the one right form.")
            stored = target.bounded(partial(target.store.copy, manifest, source), long=True)
        self._memory.note(digest, target.url)
        return stored

    def get(
        self, digest: str, target: str | os.PathLike[str], *, replace: bool = False
    ) -> Manifest:
        """Write the artifact to ``target``; see `ArtifactStore.get`.

        A store that fails half way, or has a damaged chunk, leaves the rest to the next one.
        """
        if self.single:
            return self.single.get(digest, target, replace=replace)
        reading = self.reading(digest)
        manifest = reading.manifest()
        restore(manifest, Path(target).absolute(), reading, replace=replace)
        return manifest

    def tar(self, digest: str) -> Iterator[bytes]:
        """The artifact as a tar stream."""
        if self.single:
            return self.single.tar(digest)
        reading = self.reading(digest)
        return write_tar(reading.manifest(), reading)

    def read(self, digest: str) -> Iterator[bytes]:
        """The content of an artifact of kind ``file``, chunk by chunk."""
        if self.single:
            return self.single.read(digest)
        reading = self.reading(digest)
        manifest = reading.manifest()
        if manifest.kind != "file":
            raise NotInStore(f"Artifact {digest[:12]} is a folder.", fix="Read it by get or tar.")
        return ordered(reading.get, manifest.entries[0].chunks)

    def manifest(self, digest: str) -> Manifest:
        """What the artifact consists of; see `ArtifactStore.manifest`."""
        return self.single.manifest(digest) if self.single else self.reading(digest).manifest()

    def reading(self, digest: str) -> Reading:
        """One artifact, from wherever it can be read."""
        return Reading(self.readers(), digest)

    def has(self, digest: str) -> bool:
        """Whether any store has it.

        Raises:
            StorageError: Those that answer have not, and some do not answer.
        """
        return self._any(digest, lambda store: store.has(digest), every=False)

    def keep(self, digest: str) -> bool:
        """Rely on an artifact that exists, in every store that has it; False where none has.

        Raises:
            StorageError: No store answers.
        """
        return self._any(digest, lambda store: store.keep(digest), every=True)

    def _any(self, digest: str, ask: Callable[[ArtifactStore], bool], *, every: bool) -> bool:
        if self.single:
            return ask(self.single)
        found, errors = False, []
        for member in self.readers():
            try:
                there = member.bounded(partial(ask, member.store))
            except StorageError as error:
                member.fell(error)
                errors.append(error)
                continue
            found = found or there
            if found and not every:
                break
        # What a store that is away may have is made again, rather than that a run waits for it.
        if not found and errors and (len(errors) == len(self.members) or not every):
            raise none_has(digest, errors)
        return found

    def where(self, digest: str) -> dict[str, str]:
        """Each store's URL, the cheapest first: ``there``, ``missing`` or ``unreachable``."""
        found: dict[str, str] = {}
        for member in self.readers():
            try:
                there = member.bounded(partial(member.store.has, digest))
                found[member.url] = THERE if there else MISSING
            except StorageError as error:
                member.fell(error)
                found[member.url] = UNREACHABLE
        return found

    def verify(self, digest: str) -> Manifest:
        """Read the artifact whole, wherever it lies; a damaged replica is mended from a good one.

        Raises:
            Corrupt: It is damaged in every store that has it.
            NotInStore: No store has it.
        """
        checked = self.check(digest)
        if all(one.state == MISSING for one in checked):
            raise NotInStore("No such artifact.", fix="See `stix artifacts ls`.")
        if not any(one.state in {WHOLE, MENDED} for one in checked):
            raise Corrupt(" ".join(one.problem for one in checked if one.problem))
        return self.manifest(digest)

    def check(self, digest: str) -> list[Checked]:
        """Verify every replica, and mend those that are damaged where one is good."""
        found: dict[str, Checked] = {}
        damaged, good = list[Member](), list[Member]()
        for member in self.readers():
            try:
                member.bounded(partial(member.store.verify, digest), long=True)
                found[member.url] = Checked(member.url, WHOLE)
                good.append(member)
            except Corrupt as error:
                found[member.url] = Checked(member.url, DAMAGED, str(error))
                damaged.append(member)
            except NotInStore:
                found[member.url] = Checked(member.url, MISSING)
            except StorageError as error:
                member.fell(error)
                found[member.url] = Checked(member.url, UNREACHABLE, str(error))
        for member in damaged if good else ():
            Reading(good, digest).mend(member)
            found[member.url] = Checked(member.url, MENDED, found[member.url].problem)
        return [found[member.url] for member in self.members]

    def ls(self) -> list[str]:
        """The digests of all artifacts of all stores, sorted."""
        return sorted({digest for member in self.members for digest in member.store.ls()})

    def gc(self, wish: Wish) -> list[Swept]:
        """Collect in every store, each by its own clock; what is reachable keeps all replicas."""
        swept = []
        for member in self.members:
            try:
                swept.append(Swept(member.url, member.store.gc(wish)))
            except StorageError as error:
                swept.append(Swept(member.url, None, error))
        return swept

    def vanished(self, swept: Sequence[Swept]) -> list[str]:
        """Digests that a collection removed, and that are in no store any more."""
        gone = {digest for one in swept if one.collected for digest in one.collected.artifacts}
        if self.single:
            return sorted(gone)
        left = {THERE, UNREACHABLE}
        return sorted(digest for digest in gone if not left & {*self.where(digest).values()})

    def url_of(self, digest: str) -> str:
        """The URL of the manifest: where this process wrote it, or would write it."""
        stores = {member.url: member.store for member in self.members}
        known = self.written(digest)
        return stores[known[0] if known else self.url].url_of(digest)

    def written(self, digest: str) -> tuple[str, ...]:
        """The URLs of the stores into which this process wrote an artifact, in that order."""
        return self._memory.get(digest)

    def places(self) -> Mapping[str, Place]:
        """The URL of each store to where it lies."""
        return {member.url: member.place for member in self.members}
