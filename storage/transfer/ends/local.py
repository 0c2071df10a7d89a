"""Files of this machine as one end of a copy."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from stix.spec.folders.ignore import Ignore
from stix.storage.base import NotInStore, StorageError, Store
from stix.storage.transfer.ends.base import Data, Writer, changed
from stix.storage.transfer.entries import Entry, piece_size, same_time

_DISK = Lock()
"""Around making, filling and naming a small file: a file system does that with one thread as fast
as with two, and with many several times slower (measured on ext4)."""

_Folder = tuple[str, str, Ignore | None, frozenset[tuple[int, int]]]


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
        ignore = Ignore(Path(self._root)) if self._ignore else None
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

    def check(self, entry: Entry) -> None:
        with self.store.errors(self.at(entry.name)):
            now = _entry(entry.name, os.stat(self._place(entry.name)))
        if not now.same(entry):
            raise changed(self._place(entry.name))

    def put(self, name: str, entry: Entry, read: Callable[[], Data], source: str) -> int:
        place = self._place(name)
        with self._errors(place), _part(place, entry, source) as part:
            if self._by_time and _current(place, entry):  # another process was faster
                return 0
            data = read()
            with _DISK:
                part.truncate(0)
                part.append(data)
                part.finish(place, entry)
        return entry.size

    @contextmanager
    def writer(self, name: str, entry: Entry, source: str) -> Iterator[Writer | None]:
        place = self._place(name)
        with self._errors(place), _part(place, entry, source) as part:
            there = self._by_time and _current(place, entry)
            yield None if there else _Appending(part, place, entry)

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


class _Part:
    """A temporary file, open and locked."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def truncate(self, size: int) -> None:
        if self.size != size:
            os.ftruncate(self._descriptor, size)
            self.size = size

    def append(self, data: Data) -> None:
        with memoryview(data) as view:
            left = view
            while left:
                written = os.pwrite(self._descriptor, left, self.size)
                self.size += written
                left = left[written:]

    def finish(self, place: str, entry: Entry) -> None:
        os.fchmod(self._descriptor, 0o755 if entry.executable else 0o644)
        os.utime(self._descriptor, (entry.modified, entry.modified))
        os.replace(self.path, place)


@contextmanager
def _part(place: str, entry: Entry, source: str) -> Iterator[_Part]:
    """The temporary file of this version of the source, locked against other processes."""
    folder, _, name = place.rpartition("/")
    path = f"{folder}/.{name[:50]}.{entry.identity(source)[:12]}.part"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    while True:
        with _DISK:
            try:
                descriptor = os.open(path, flags, 0o600)
            except FileNotFoundError:
                os.makedirs(folder, exist_ok=True)
                descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _same(descriptor, path):
                try:
                    yield _Part(path, descriptor)
                finally:
                    _drop_empty(descriptor, path)
                return
        finally:
            os.close(descriptor)


def _drop_empty(descriptor: int, path: str) -> None:
    """Leave nothing where nothing was written: what is half done is kept to go on with."""
    status = os.fstat(descriptor)
    if status.st_size == 0 and status.st_nlink and _same(descriptor, path):
        os.unlink(path)


def _same(descriptor: int, path: str) -> bool:
    """Whether the locked file still has its name: its last owner may have renamed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


class _Appending:
    """Pieces in order; the file's length says how far an earlier call came."""

    ordered = True

    def __init__(self, part: _Part, place: str, entry: Entry) -> None:
        self._part, self._place, self._entry = part, place, entry
        self.piece = piece_size(entry.size)
        if part.size > entry.size:
            part.truncate(0)
        self._start = part.size
        self.todo: Sequence[int] = range(part.size // self.piece, -(-entry.size // self.piece))

    def span(self, number: int) -> tuple[int, int]:
        start = number * self.piece
        return max(start, self._start), min(start + self.piece, self._entry.size)

    def write(self, number: int, data: Data) -> None:
        self._part.append(data)

    def commit(self) -> None:
        if self._part.size != self._entry.size:
            raise changed(self._place)
        self._part.finish(self._place, self._entry)

    def discard(self) -> None:
        self._part.truncate(0)
