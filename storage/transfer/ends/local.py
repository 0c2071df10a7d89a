"""Files of this machine as one end of a copy."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from stix.storage.base import NotInStore, StorageError, Store
from stix.storage.transfer.ends.base import Data, Writer, changed
from stix.storage.transfer.ends.landing import DISK, landing, part_of
from stix.storage.transfer.entries import Entry, same_time

if TYPE_CHECKING:
    from stix.spec.folders.ignore import Ignore

_Folder: TypeAlias = "tuple[str, str, Ignore | None, frozenset[tuple[int, int]]]"


class LocalEnd:
    """A file or a folder.

    What is half done lies beside its target as ``.name.<version>.part``, locked by who writes it.

    Args:
        ignore: Leave out what the ignore files of the folder name.
        by_time: A file with the source's size and time is the same file.
    """

    near = True

    def __init__(self, url: str, store: Store, ignore: bool = False, by_time: bool = True) -> None:
        self._by_time = by_time
        self.url = url
        self.store = store
        self._root = store.path(url).rstrip("/") or "/"
        self._ignore = ignore
        self._folders: list[str] = []

    def at(self, name: str) -> str:
        return Path(self._place(name)).as_uri()

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def one(self) -> Entry | None:
        with suppress(OSError):
            status = os.stat(self._root)
            if stat.S_ISREG(status.st_mode):
                return _entry("", status)
        return None

    def exists(self) -> bool:
        return Path(self._root).is_dir()

    def folders(self) -> list[str]:
        return self._folders

    def entries(self) -> list[Entry]:
        with self.store.errors(self.url):
            return list(self._walk())

    def _walk(self) -> Iterator[Entry]:
        if not self.exists():
            return
        status = os.stat(self._root)
        ignore = self._rules()
        above = frozenset([(status.st_dev, status.st_ino)])
        todo: list[_Folder] = [(self._root, "", ignore, above)]
        self._folders = []
        while todo:
            folder, prefix, rules, above = todo.pop()
            if rules is not None and prefix:
                rules = rules.below(Path(folder), prefix)
            with os.scandir(folder) as items:
                for item in items:
                    name = prefix + item.name
                    is_folder = item.is_dir()
                    if rules is not None and rules.ignores(name, is_folder):
                        continue
                    if is_folder:
                        todo += self._enter(item, name, rules, above)
                    elif item.is_file():  # a link that leads nowhere, a pipe or a socket is not
                        yield _entry(name, item.stat())

    def _rules(self) -> Ignore | None:
        if not self._ignore:
            return None
        from stix.spec.folders.ignore import Ignore

        return Ignore(Path(self._root))

    def _enter(
        self,
        item: os.DirEntry[str],
        name: str,
        rules: Ignore | None,
        above: frozenset[tuple[int, int]],
    ) -> list[_Folder]:
        """The folder, unless a link leads back to one that it lies in."""
        status = item.stat()
        key = (status.st_dev, status.st_ino)
        if key in above:
            return []
        self._folders.append(name)
        return [(item.path, f"{name}/", rules, above | {key})]

    def stat(self, names: Sequence[str], whole: bool) -> dict[str, Entry]:
        if whole:
            return {one.name: one for one in self.entries()}
        found = {}
        for name in names:
            with suppress(OSError):
                status = os.stat(self._place(name))
                if stat.S_ISREG(status.st_mode):
                    found[name] = _entry(name, status)
        return found

    def read(self, entry: Entry, start: int, end: int) -> Data:
        place = self._place(entry.name)
        with self.store.errors(self.at(entry.name)):
            descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            try:
                parts = []
                while start < end and (data := os.pread(descriptor, end - start, start)):
                    parts.append(data)
                    start += len(data)
                now = _entry(entry.name, os.fstat(descriptor))
            finally:
                os.close(descriptor)
        if start < end or not now.same(entry):
            raise changed(place)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self, entry: Entry, start: int, end: int) -> Iterator[Data]:
        yield self.read(entry, start, end)

    def check(self, entry: Entry) -> None:
        with self.store.errors(self.at(entry.name)):
            now = _entry(entry.name, os.stat(self._place(entry.name)))
        if not now.same(entry):
            raise changed(self._place(entry.name))

    def put(self, name: str, entry: Entry, read: Callable[[], Data], source: str) -> int:
        place = self._place(name)
        with self._errors(place), part_of(place, entry, source) as part:
            if self._by_time and _current(place, entry):  # another process was faster
                return 0
            data = read()
            with DISK:
                part.truncate(0)
                part.write(data, 0)
                part.finish(place, entry)
        return entry.size

    @contextmanager
    def writer(self, name: str, entry: Entry, source: str) -> Iterator[Writer | None]:
        place = self._place(name)
        with self._errors(place), part_of(place, entry, source) as part:
            if self._by_time and _current(place, entry):
                yield None
                return
            with landing(part, place, entry) as writer:
                yield writer

    @contextmanager
    def _errors(self, place: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{error.filename or place} cannot be written: {error.strerror}.",
                fix="Check space and rights, and that no name is both a file and a prefix.",
            ) from error

    def make(self, folders: Iterable[str]) -> None:
        for folder in folders:
            with self._errors(self._place(folder)):
                os.makedirs(self._place(folder), exist_ok=True)

    def remove(self, names: Sequence[str]) -> None:
        emptied = set()
        for name in names:
            with self.store.errors(self.at(name)), suppress(FileNotFoundError, NotInStore):
                os.unlink(self._place(name))
            emptied.add(name.rpartition("/")[0])
        for folder in sorted(emptied, key=len, reverse=True):
            while folder:
                try:
                    os.rmdir(self._place(folder))
                except OSError:
                    break  # something is in it
                folder = folder.rpartition("/")[0]


def _entry(name: str, status: os.stat_result) -> Entry:
    version = f"{status.st_mtime_ns}-{status.st_ino}"
    executable = bool(status.st_mode & 0o111)
    return Entry(name, status.st_size, status.st_mtime, version, executable)


def _current(place: str, entry: Entry) -> bool:
    try:
        status = os.stat(place)
    except OSError:
        return False
    same = status.st_size == entry.size and same_time(status.st_mtime, entry.modified)
    return stat.S_ISREG(status.st_mode) and same
