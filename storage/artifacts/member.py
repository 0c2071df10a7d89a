"""One store among several that hold artifacts: where it lies, and whether it answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock, Thread
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from stix.plan.regions import Place
from stix.storage.artifacts.store import ArtifactStore
from stix.storage.base import Corrupt, Denied, HasLocation, NotInStore, StorageError

if TYPE_CHECKING:
    from stix.config import ArtifactPlace

Result = TypeVar("Result")

log = logging.getLogger("stix.storage")

DOWN_S = 30.0
"""A store that failed is asked last for so long."""
PLACE_S = 600.0
"""After so long a store that could not tell where it lies is asked again."""
WORKERS = 32


class Patience:
    """How long a store may be silent where another one could serve.

    A long transfer is no silence: after ``call_s`` the store is asked something small, and only
    where that is not answered within ``probe_s`` it counts as gone.
    """

    def __init__(self, call_s: float = 15.0, probe_s: float = 10.0) -> None:
        self.call_s, self.probe_s = call_s, probe_s


class Member:
    """A store of artifacts, which may stop to answer.

    Args:
        store: The store.
        place: Where it lies; where None the store is asked.
        endpoint: URL of a server of one's own, which lies where no provider says.
    """

    def __init__(
        self,
        store: ArtifactStore,
        place: Place | None = None,
        endpoint: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.store = store
        self.url = store.url
        self.patience = patience or Patience()
        self._said, self._endpoint = place, endpoint
        self._found: tuple[Place, float] | None = None
        self._down_until = 0.0
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def open(cls, where: ArtifactPlace) -> Member:
        """The store that the settings name; nothing is asked of it yet."""
        options = {"endpoint_url": where.endpoint_url, "profile": where.profile}
        place = Place.parse(where.place) if where.place else None
        return cls(ArtifactStore(where.url, **options), place, where.endpoint_url)

    def __repr__(self) -> str:
        return f"Member({self.url})"

    @property
    def place(self) -> Place:
        """Where it lies, as far as it can be told; asks the store the first time."""
        if self._said is not None:
            return self._said
        if self._found is None or time.monotonic() > self._found[1]:
            self._found = self._locate()
        return self._found[0]

    def _locate(self) -> tuple[Place, float]:
        backend = self.store.backend
        if self._endpoint:
            return Place(urlsplit(self._endpoint).hostname or self._endpoint), float("inf")
        if isinstance(backend, HasLocation) and not self.down:
            try:
                told = self.bounded(lambda: backend.location(self.url))
                return Place(told.cloud, told.region or None), float("inf")
            except StorageError as error:
                log.debug("%s does not tell where it lies: %s", self.url, error)
        from stix.plan.work import located  # which reads pipelines, as few do who store something

        return located(self.url, {}), time.monotonic() + PLACE_S

    @property
    def down(self) -> bool:
        """Whether it failed a short time ago."""
        return time.monotonic() < self._down_until

    def fell(self, error: StorageError) -> None:
        """It failed: ask the others first for a while."""
        if not self.down:
            log.warning("the store of artifacts %s is passed over: %s", self.url, error.message)
        self._down_until = time.monotonic() + DOWN_S

    def answers(self) -> bool:
        """Whether it answers something small in time."""
        said: list[bool] = []

        def ask() -> None:
            try:
                self.store.probe()
                said.append(True)
            except StorageError:
                said.append(False)

        # A thread of its own: the pool's may all be busy with something that is long.
        probe = Thread(target=ask, name="stix-probe", daemon=True)
        probe.start()
        probe.join(self.patience.probe_s)
        return said == [True]

    def at_fault(self, error: StorageError) -> bool:
        """Whether it is the store that refused, and not the data that was bad."""
        if isinstance(error, Corrupt):
            return False
        return isinstance(error, Denied | NotInStore | Silent) or not self.answers()

    def bounded(self, call: Callable[[], Result], *, long: bool = False) -> Result:
        """``call``, for as long as the store answers.

        Args:
            long: It may wait for calls of other stores, and takes none of the common threads.

        Raises:
            Silent: It does not. What ``call`` still does then is nobody's concern: objects are
                written whole or not at all.
        """
        work = _alone(call) if long else self._submit(call)
        while True:
            wait([work], self.patience.call_s)
            if work.done():
                return work.result()
            if not self.answers() and not work.done():
                self._renew()
                raise Silent(
                    f"The store {self.url} does not answer.", fix="Check the store and the network."
                )

    def _submit(self, call: Callable[[], Result]) -> Future[Result]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="stix-store")
            return self._pool.submit(call)

    def _renew(self) -> None:
        """Leave threads that hang to themselves: their own limits of time end them."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)


def _alone(call: Callable[[], Result]) -> Future[Result]:
    """In a thread of its own."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="stix-store-long")
    try:
        return pool.submit(call)
    finally:
        pool.shutdown(wait=False)


class Silent(StorageError):
    """A store stopped to answer."""
