"""Credentials for a mount: lent ones where the store lends any that serve, else its own."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stix.storage.base import (
    Access,
    CanLend,
    CanMount,
    HasOwnAccess,
    MountPlan,
    NotInStore,
    StorageError,
    Store,
)
from stix.storage.registry import open_store

_COPY = "Write mode: COPY."


@dataclass(frozen=True)
class Grant:
    """What a node needs to mount a prefix. ``lent``: the credentials are for that prefix alone."""

    plan: MountPlan
    access: Access
    lent: bool


def granted(url: str, *, write: bool, seconds: int) -> Grant:
    """How ``url`` is mounted, with credentials that should last for ``seconds``. Blocking.

    Each is tried by one listing first: some servers lend keys that they refuse afterwards. Of
    credentials that serve, lent ones are taken, unless they end early and the store's own do not.

    Raises:
        NotInStore: There is no such bucket.
        StorageError: The store cannot be mounted, or has no credentials for a node.
    """
    store = open_store(url)
    if not isinstance(store, CanMount):
        raise StorageError(f"{url}: its store cannot be mounted.", fix=_COPY)
    plan = store.mount_plan(url, write=write)
    lent = _lent(store, url, write, seconds)
    if lent is not None and (lent.expires is None or lent.expires >= time.time() + seconds - 60):
        return Grant(plan, lent, True)
    _look(store, url)
    if isinstance(store, HasOwnAccess):
        try:
            own = store.own_access(url)
        except StorageError:
            if lent is None:
                raise
        else:
            if lent is None or own.expires is None:
                return Grant(plan, own, False)
    if lent is None:
        raise StorageError(f"There are no credentials that a node could use for {url}.", fix=_COPY)
    return Grant(plan, lent, True)


def _lent(store: Store, url: str, write: bool, seconds: int) -> Access | None:
    if not isinstance(store, CanLend):
        return None
    try:
        access = store.lend(url, write=write, seconds=seconds)
        _look(open_store(url, **access.options), url)
    except NotInStore:
        raise
    except StorageError:
        return None
    return access


def _look(store: Store, url: str) -> None:
    """List ``url``; a prefix with nothing in it is fine where its bucket is there.

    Raises:
        StorageError: The bucket is missing, or may not be listed.
    """
    files = store.filesystem()
    path = store.path(url).rstrip("/")
    bucket = path.partition("/")[0]
    try:
        with store.errors(url):
            files.ls(path, detail=False, refresh=True)
    except NotInStore:
        if not bucket or bucket == path:
            raise
        with store.errors(url):
            files.ls(bucket, detail=False, refresh=True)
