"""Find the store of a URL. Stores are entry points; a class is imported when first used."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from stix.storage.base import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stix.storage.base import Store

GROUP = "stix.stores"
_AZURE = ".blob.core.windows.net"


@cache
def _points() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def schemes() -> list[str]:
    """The schemes that have a store, sorted."""
    return sorted(_points())


def kind_of(scheme: str) -> type:
    """The class of the store with this scheme, which is imported for it."""
    kind: type = _points()[scheme].load()
    return kind


def scheme_of(url: str) -> str:
    """The scheme of ``url``; an absolute path is ``file``, what Azure's blob service has ``az``."""
    if url.startswith("/"):
        return "file"
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise StorageError(
            "A store is named by a URL, but this has no scheme.",
            fix="Write file:///absolute/path or s3://bucket/prefix.",
        )
    host = rest.partition("/")[0].lower()
    return "az" if scheme.lower() == "https" and host.endswith(_AZURE) else scheme.lower()


def join(url: str, *names: str) -> str:
    """``url`` with ``names`` below it."""
    return "/".join([as_url(url).rstrip("/"), *names])


def as_url(url: str) -> str:
    """``url`` itself, or the file URL of an absolute path."""
    return Path(url).as_uri() if url.startswith("/") else url


def open_store(url: str, **options: object) -> Store:
    """The store for the scheme of ``url``.

    Args:
        url: Such as ``s3://bucket/prefix`` or ``file:///path``, or an absolute path.
        options: For the store's class; those that are None are left out.

    Raises:
        StorageError: No store has this scheme, or it does not know an option.
    """
    scheme = scheme_of(url)
    point = _points().get(scheme)
    if point is None:
        near = difflib.get_close_matches(scheme, schemes(), n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}://? " if near else ""
        raise StorageError(
            f"No store is known for {scheme}://.",
            fix=f"{hint}Stores: {', '.join(schemes())}.",
        )
    given = {name: value for name, value in options.items() if value is not None}
    try:
        kind = point.load()
        # Some URLs say more than where in the store: an account, a region, a host.
        made = getattr(kind, "for_url", None)
        store: Store = made(url, **given) if made else kind(**given)
    except TypeError as error:
        raise StorageError(
            f"The {scheme} store does not take these options: {', '.join(sorted(given))}.",
            fix=f"The class {point.value} names its options.",
        ) from error
    return store
