"""The objects of an artifact store with their ages: listed whole, or not at all."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stix.storage.base import NotInStore
from stix.storage.registry import join

if TYPE_CHECKING:
    from stix.storage.base import Store

WORKERS = 8
_TRIES = 50
_TIMES = ("LastModified", "mtime", "last_modified", "updated", "modified")
_FOLDERS = frozenset({"file", "sftp", "ssh"})
"""Stores with real folders: fsspec walks them, and passes over a folder that changes meanwhile."""
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


@dataclass(frozen=True, slots=True)
class Object:
    """One object.

    Attributes:
        name: Last part of its URL.
        age: Seconds since it was written; None where the store does not tell.
        bytes: Its size.
    """

    url: str
    name: str
    age: float | None
    bytes: int

    @property
    def temporary(self) -> bool:
        """Whether a writer of a local store left it half-written."""
        return _TEMPORARY.fullmatch(self.name) is not None


class Objects:
    """What lies below the URL of an artifact store.

    Attributes:
        skew: Seconds by which the store's clock is ahead of ours.
    """

    def __init__(self, store: Store, url: str) -> None:
        self.store = store
        self.url = url
        self.skew = 0.0

    def at(self, *names: str) -> str:
        return join(self.url, *names)

    def age(self, url: str) -> float | None:
        """Seconds since the object was written, infinite where that is not known; None: missing."""
        try:
            with self.store.errors(url):
                info = self.store.filesystem().info(self.store.path(url))
        except NotInStore:
            return None
        age = self._age(info)
        return float("inf") if age is None else age

    def read(self, url: str) -> bytes:
        with self.store.errors(url):
            data: bytes = self.store.filesystem().cat_file(self.store.path(url))
        return data

    def remove(self, url: str) -> None:
        """Silent where it is missing."""
        try:
            with self.store.errors(url):
                self.store.filesystem().rm_file(self.store.path(url))
        except NotInStore:
            pass

    def all_there(self, urls: Iterable[str]) -> bool:
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="stix-look") as pool:
            return all(age is not None for age in pool.map(self.age, urls))

    def list(self, folder: str) -> dict[str, Object]:
        """Every object of a folder (``chunks``, ``manifests`` ...) by its name.

        Raises:
            StorageError: It cannot be listed whole. A part of it is never given.
        """
        url = self.at(folder)
        for _ in range(_TRIES):
            try:
                found = {self._name(path): (path, info) for path, info in self._infos(url)}
            except NotInStore:
                # The folder is missing, or a temporary name vanished while it was listed.
                if self.age(url) is None:
                    return {}
                continue
            return {
                name: Object(
                    self._url_of(folder, name, path), name, self._age(info), info["size"] or 0
                )
                for name, (path, info) in found.items()
            }
        raise NotInStore(f"{url} changes while it is listed.", fix="Try again.")

    def _infos(self, url: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        filesystem, path = self.store.filesystem(), self.store.path(url)
        with self.store.errors(url):
            if self.store.scheme not in _FOLDERS:
                yield from filesystem.find(path, detail=True).items()
                return
            folders = [path]
            while folders:
                for info in filesystem.ls(folders.pop(), detail=True):
                    if info["type"] == "directory":
                        folders.append(info["name"])
                    else:
                        yield str(info["name"]), info

    def _url_of(self, folder: str, name: str, path: str) -> str:
        """The same folders as in ``path``, below our own URL."""
        parent = path.rsplit("/", 2)[-2]
        last = folder.rpartition("/")[2]
        return self.at(folder, name) if parent == last else self.at(folder, parent, name)

    @staticmethod
    def _name(path: str) -> str:
        return path.rpartition("/")[2]

    def _age(self, info: Mapping[str, Any]) -> float | None:
        for key in _TIMES:
            value = info.get(key)
            if isinstance(value, str):
                value = datetime.fromisoformat(value)
            if isinstance(value, datetime):
                aware = value if value.tzinfo else value.replace(tzinfo=UTC)
                value = aware.timestamp()
            if isinstance(value, int | float):
                return time.time() + self.skew - float(value)
        return None
