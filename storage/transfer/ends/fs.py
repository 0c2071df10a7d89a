"""Any store by its fsspec filesystem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from stix.storage.base import HasParts, NotInStore, Store
from stix.storage.transfer.ends.base import Data, StateFolder, Writer, changed, joined
from stix.storage.transfer.ends.parts import parts_writer
from stix.storage.transfer.entries import Entry, piece_size, seconds

_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "ino")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


class FsEnd:
    """A prefix, a folder or a file of a store."""

    near = False

    def __init__(self, url: str, store: Store, state: StateFolder) -> None:
        self.url = url
        self.store = store
        self._root = store.path(url).rstrip("/") or "/"
        self._state = state
        self._folders: list[str] = []

    def at(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}" if name else self.url

    def _place(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    def _info(self, name: str) -> Entry | None:
        with self.store.errors(self.at(name)):
            try:
                info = self.store.filesystem().info(self._place(name))
            except FileNotFoundError:
                return None
        return None if info["type"] == "directory" else _entry(name, info)

    def one(self) -> Entry | None:
        return self._info("")

    def folders(self) -> list[str]:
        return self._folders

    def exists(self) -> bool:
        with self.store.errors(self.url):
            return bool(self.store.filesystem().isdir(self._root))

    def entries(self) -> list[Entry]:
        with self.store.errors(self.url):
            try:
                listing = self.store.filesystem().find(self._root, withdirs=True, detail=True)
            except FileNotFoundError:
                return []
        found, self._folders = [], []
        base = self._root.strip("/")
        for path, info in listing.items():
            name = str(path).lstrip("/").removeprefix(base).removeprefix("/")
            if not name or (name.endswith("/") and not info["size"]):
                continue  # the prefix itself, or an empty object that stands for a folder
            if info["type"] == "directory":
                self._folders.append(name)
            else:
                found.append(_entry(name, info))
        return found

    def stat(self, names: Sequence[str], whole: bool) -> dict[str, Entry]:
        if whole or len(names) > 4:
            return {one.name: one for one in self.entries()}
        return {name: one for name in names if (one := self._info(name)) is not None}

    def read(self, entry: Entry, start: int, end: int) -> Data:
        if start == end:
            return b""
        with self.store.errors(self.at(entry.name)):
            data: bytes = self.store.filesystem().cat_file(
                self._place(entry.name), start=start, end=end
            )
        if len(data) != end - start:
            raise changed(self.at(entry.name))
        return data

    def chunks(self, entry: Entry, start: int, end: int) -> Iterator[Data]:
        yield self.read(entry, start, end)

    def check(self, entry: Entry) -> None:
        now = self._info(entry.name)
        if now is None or not now.same(entry):
            raise changed(self.at(entry.name))

    def put(self, name: str, entry: Entry, read: Callable[[], Data], source: str) -> int:
        self.store.put(self.at(name), bytes(read()))
        return entry.size

    def writer(self, name: str, entry: Entry, source: str) -> AbstractContextManager[Writer | None]:
        if isinstance(self.store, HasParts):
            return parts_writer(self.store, self.at(name), entry, source, self._state)
        filesystem = self.store.filesystem()
        if hasattr(filesystem, "write_at"):  # there a large file grows under another name
            return self._growing(name, entry, source)
        return self._streaming(name, entry)

    @contextmanager
    def _streaming(self, name: str, entry: Entry) -> Iterator[Writer | None]:
        """An object that appears when it is closed; not continued by a later call."""
        writer = _Streaming(self.store, self._place(name), self.at(name), entry)
        try:
            yield writer
        finally:
            writer.discard()

    @contextmanager
    def _growing(self, name: str, entry: Entry, source: str) -> Iterator[Writer | None]:
        place = self._place(name)
        folder, _, last = place.rpartition("/")
        part = f"{folder}/.{last[:50]}.{entry.identity(source)[:12]}.part"
        with self.store.errors(self.at(name)):
            filesystem = self.store.filesystem()
            size = int(filesystem.info(part)["size"]) if filesystem.exists(part) else 0
        yield _Growing(self.store, (part, place), entry, size)

    def make(self, folders: Iterable[str]) -> None:
        if not hasattr(self.store.filesystem(), "write_at"):
            return  # folders do not exist by themselves
        for folder in folders:
            with self.store.errors(self.at(folder)):
                self.store.filesystem().makedirs(self._place(folder), exist_ok=True)

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            try:
                with self.store.errors(self.at(name)):
                    self.store.filesystem().rm_file(self._place(name))
            except NotInStore:
                continue


def _entry(name: str, info: Mapping[str, Any]) -> Entry:
    modified = next((seconds(info[key]) for key in _TIMES if info.get(key)), 0.0)
    told = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
    return Entry(name, int(info["size"] or 0), modified, told.strip('"') or str(modified))


class _Streaming:
    ordered = True

    def __init__(self, store: Store, place: str, url: str, entry: Entry) -> None:
        self._store = store
        self._place = place
        self._url = url
        self._entry = entry
        self._file: Any = None
        self.piece = piece_size(entry.size)
        self.todo: Sequence[int] = range(-(-entry.size // self.piece))

    def span(self, number: int) -> tuple[int, int]:
        start = number * self.piece
        return start, min(start + self.piece, self._entry.size)

    def write(self, number: int, chunks: Iterable[Data]) -> None:
        with self._store.errors(self._url):
            if self._file is None:
                filesystem = self._store.filesystem()
                self._file = filesystem.open(self._place, "wb", block_size=self.piece)
            for data in chunks:
                self._file.write(data)

    def commit(self) -> None:
        with self._store.errors(self._url):
            self._file.close()
        self._file = None

    def discard(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        file.closed = True  # else its end would write what there is
        with self._store.errors(self._url):
            file.discard()


class _Growing:
    """A file that grows under another name, and is renamed over its target."""

    ordered = True

    def __init__(self, store: Store, places: tuple[str, str], entry: Entry, size: int) -> None:
        self._store = store
        self._part, self._place = places
        self._entry = entry
        self.piece = piece_size(entry.size)
        self._start = self._size = size if size <= entry.size else 0
        self.todo: Sequence[int] = range(self._start // self.piece, -(-entry.size // self.piece))

    def span(self, number: int) -> tuple[int, int]:
        start = number * self.piece
        return max(start, self._start), min(start + self.piece, self._entry.size)

    def write(self, number: int, chunks: Iterable[Data]) -> None:
        data = joined(chunks)
        with self._store.errors(self._place):
            self._store.filesystem().write_at(self._part, data, self._size)
        self._size += len(data)

    def commit(self) -> None:
        filesystem = self._store.filesystem()
        with self._store.errors(self._place):
            if int(filesystem.info(self._part)["size"]) != self._entry.size:
                raise changed(self._place)
            filesystem.mv(self._part, self._place)

    def discard(self) -> None:
        with self._store.errors(self._place):
            if self._store.filesystem().exists(self._part):
                self._store.filesystem().rm_file(self._part)
