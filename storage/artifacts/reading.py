"""Read one artifact from several stores, the first of them for as long as it serves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import BoundedSemaphore, Lock

from stix.storage.artifacts.chunks import WINDOW
from stix.storage.artifacts.manifest import Manifest, is_digest
from stix.storage.artifacts.member import Member
from stix.storage.artifacts.store import ArtifactStore
from stix.storage.base import Corrupt, NotInStore, StorageError

log = logging.getLogger("stix.storage")


class Reading:
    """An artifact as chunks that come from whichever store has them.

    A chunk that is missing or damaged in one store is read from the next, and written back to the
    first. May be used from many threads at once.

    Args:
        members: The stores to try, in this order.
        digest: Of the artifact.
    """

    def __init__(self, members: Sequence[Member], digest: str) -> None:
        self._members, self._digest = tuple(members), digest
        self._holds: dict[str, bool] = {}
        self._lock = Lock()
        self.get_slots = BoundedSemaphore(WINDOW)

    def manifest(self) -> Manifest:
        """What the artifact consists of.

        Raises:
            NotInStore: Every store answers, and none has it.
            Corrupt: It is damaged wherever it is.
            StorageError: Those that may have it do not answer; says which and why.
        """
        if not is_digest(self._digest):
            raise NotInStore(
                "This is not the digest of an artifact.", fix="Give all 64 hexadecimal digits."
            )
        errors: list[StorageError] = []
        damaged: list[Member] = []
        for member in self._order():
            try:
                manifest = member.bounded(partial(member.store.manifest, self._digest))
            except NotInStore:
                self._holds[member.url] = False
            except Corrupt as error:
                damaged.append(member)
                errors.append(error)
            except StorageError as error:
                member.fell(error)
                errors.append(error)
            else:
                self._holds[member.url] = True
                for one in damaged:
                    self._mend_manifest(one, manifest)
                return manifest
        raise self._none(errors)

    def get(self, digest: str) -> bytes:
        """A chunk of the artifact, verified.

        Raises:
            Corrupt: It is missing or damaged in every store that has the artifact.
            StorageError: No store that has it answers.
        """
        errors: list[StorageError] = []
        damaged: list[Member] = []
        for member in self._order():
            try:
                if not self._held(member):
                    continue
                data = member.bounded(partial(member.store.chunks.get, digest))
            except Corrupt as error:
                damaged.append(member)
                errors.append(error)
            except StorageError as error:
                member.fell(error)
                errors.append(error)
            else:
                for one in damaged:
                    self._mend_chunk(one, digest, data)
                return data
        raise self._none(errors)

    def store(self) -> ArtifactStore:
        """The first store that answers and has the artifact.

        Raises:
            StorageError: There is none.
        """
        errors: list[StorageError] = []
        for member in self._order():
            try:
                if self._held(member):
                    return member.store
            except StorageError as error:
                member.fell(error)
                errors.append(error)
        raise self._none(errors)

    def mend(self, member: Member) -> None:
        """Make a damaged replica whole again."""
        manifest = self.manifest()
        for digest in dict.fromkeys(name for e in manifest.entries for name in e.chunks):
            try:
                member.store.chunks.get(digest)
            except Corrupt:
                self._mend_chunk(member, digest, self.get(digest))
        try:
            member.store.manifest(self._digest)
        except Corrupt:
            self._mend_manifest(member, manifest)

    def _order(self) -> Iterator[Member]:
        return iter(sorted(self._members, key=lambda member: member.down))

    def _held(self, member: Member) -> bool:
        """Whether a store has the artifact: chunks alone are not asked for."""
        known = self._holds.get(member.url)
        if known is None:
            known = member.bounded(partial(member.store.has, self._digest))
            with self._lock:
                self._holds[member.url] = known
        return known

    def _none(self, errors: Sequence[StorageError]) -> StorageError:
        if len(self._members) == 1 and errors:
            return errors[0]
        return none_has(
            self._digest, errors, [url for url, held in self._holds.items() if not held]
        )

    def _mend_manifest(self, member: Member, manifest: Manifest) -> None:
        if manifest.digest() == self._digest:
            self._mend(member, partial(member.store.mend, manifest))

    def _mend_chunk(self, member: Member, digest: str, data: bytes) -> None:
        def write() -> None:
            if member.store.has(self._digest):  # or its whole replica went meanwhile
                member.store.chunks.mend(digest, data)

        self._mend(member, write)

    def _mend(self, member: Member, write: Callable[[], None]) -> None:
        what = f"a damaged part of artifact {self._digest[:12]} in {member.url}"
        try:
            member.bounded(write)
            log.warning("%s was replaced from another store", what)
        except StorageError as error:
            log.warning("%s could not be replaced: %s", what, error.message)


def none_has(
    digest: str, errors: Sequence[StorageError], without: Sequence[str] = ()
) -> StorageError:
    """Why an artifact cannot be read from any store."""
    name = f"artifact {digest[:12]}"
    if not errors:
        return NotInStore(f"No store has {name}.", fix="See `stix artifacts ls --all`.")
    said = " ".join([*(error.message for error in errors), *(f"{url} has not." for url in without)])
    if all(isinstance(error, Corrupt) for error in errors):
        return Corrupt(said, fix=errors[0].fix)
    return StorageError(
        f"No store that answers has {name}. {said}",
        fix="Check the stores in the block `artifacts` of config.yaml, and the network.",
    )
