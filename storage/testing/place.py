"""Where the suites of stores work, and what a check of theirs is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stix.storage.base import Store
from stix.storage.registry import join, open_store, scheme_of


@dataclass(frozen=True)
class Place:
    """Where a suite may work.

    Attributes:
        url: An empty prefix of the store, a new one for each test.
        options: How to open it.
        denied: Options with which the store must refuse, or None where all may read it.
        expired: Options whose credentials have expired, or None where none expire.
        skewed: Options as of a client whose clock is wrong, or None where no clock counts.
        reader: Options that may read and not write, or None where there are none.
        missing: A URL in a bucket that does not exist; empty where there are no buckets.
        lends: How to open the store that lends credentials, or None where this place cannot.
        outside: A URL that credentials lent for ``url`` do not reach; empty: beside ``url``.
        regions: Regions to make buckets in; empty where the server has none.
        listed: Objects for the listing check: more than one page.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    denied: Mapping[str, Any] | None = field(default=None, repr=False)
    expired: Mapping[str, Any] | None = field(default=None, repr=False)
    skewed: Mapping[str, Any] | None = field(default=None, repr=False)
    reader: Mapping[str, Any] | None = field(default=None, repr=False)
    missing: str = ""
    lends: Mapping[str, Any] | None = field(default=None, repr=False)
    outside: str = ""
    regions: tuple[str, ...] = ()
    listed: int = 1100

    def open(self) -> Store:
        return open_store(self.url, **self.options)

    def at(self, name: str) -> str:
        """The URL of an object; those of files are percent-encoded."""
        encoded = name.replace("%", "%25") if scheme_of(self.url) == "file" else name
        return join(self.url, encoded)


@dataclass(frozen=True)
class At:
    """A store at its place."""

    place: Place
    store: Store

    def url(self, name: str) -> str:
        return self.place.at(name)

    def path(self, name: str) -> str:
        return self.store.path(self.place.at(name))

    def put(self, name: str, data: bytes) -> None:
        self.store.put(self.place.at(name), data)

    def get(self, name: str) -> bytes:
        return get(self.store, self.place.at(name))

    def find(self, name: str) -> list[str]:
        """Names below ``name``, relative to it, sorted."""
        top = self.path(name).rstrip("/")
        with self.store.errors(self.place.at(name)):
            found = self.store.filesystem().find(top)
        return sorted(str(path).rpartition(f"{name.strip('/')}/")[2] for path in found)


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        act: Works at a place; an assertion that does not hold breaks it.
        needs: The ability that it is about.
        has: The field of `Place` that it needs.
        word: Tells it from others by the same function.
    """

    act: Callable[..., None]
    needs: type | None = None
    has: str = ""
    word: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.act.__name__ + (f"[{self.word}]" if self.word else "")

    def reason(self, at: At) -> str:
        """Why it does not apply; empty where it does."""
        if self.needs is not None and not isinstance(at.store, self.needs):
            return f"the store is not {self.needs.__name__}"
        if self.has and not getattr(at.place, self.has):
            return f"the place has no {self.has}"
        return ""

    def run(self, at: At) -> None:
        self.act(at, **self.more)


def each(
    act: Callable[..., None], parameter: str, values: Mapping[str, Any], **more: Any
) -> tuple[Check, ...]:
    """The same check for several values, by their words."""
    return tuple(
        Check(act, word=word, more={parameter: value}, **more) for word, value in values.items()
    )


def get(store: Store, url: str) -> bytes:
    with store.errors(url):
        data: bytes = store.filesystem().cat_file(store.path(url))
    return data


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
