"""Buckets by ``obstore``, the fastest client for many objects and for large ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from stix.storage.base import Corrupt, Denied, NotInStore, StorageError, Store
from stix.storage.transfer.ends.base import Data, StateFolder, Writer, changed
from stix.storage.transfer.ends.parts import PartsWriter, parts_writer
from stix.storage.transfer.entries import Entry, plain_md5

if TYPE_CHECKING:
    from stix.storage.base import HasParts

__all__ = ["BulkEnd", "PartsWriter", "UnusableNames", "errors"]

_CHUNK = 2**18
"""Bytes that are handed on at once: few enough to stay in the processor's cache on their way."""

_DENIED = "Check the credentials and their rights."


class UnusableNames(ValueError):
    """A bucket has names that this client cannot say, such as ``a//b``."""


@contextmanager
def errors(url: str) -> Iterator[None]:
    """Around calls of ``obstore``: what it raises becomes StorageError, without its text."""
    from obstore import exceptions as of

    try:
        yield
    except (FileNotFoundError, of.NotFoundError):
        raise NotInStore(f"{url} does not exist.", fix="Check the name.") from None
    except (PermissionError, of.PermissionDeniedError, of.UnauthenticatedError):
        raise Denied(f"{url}: the server refuses.", fix=_DENIED) from None
    except (of.BaseError, OSError) as error:
        # Without the cause: its text quotes the request.
        name = type(error).__name__
        raise StorageError(
            f"{url}: the server or its client says {name}.", fix="Try again."
        ) from None


class BulkEnd:
    """A prefix of a bucket, or an object.

    Args:
        client: ``obstore``'s store for the bucket.
        key: What follows the bucket in the URL.
        parts: Who writes large objects.
        state: Where it is kept which uploads are under way.
    """

    near = False

    def __init__(
        self, url: str, store: HasParts, client: Any, key: str, state: StateFolder
    ) -> None:
        self.url = url
        self._parts = store
        self.store: Store = store
        self._client = client
        self._key = key.strip("/")
        self._state = state
        self._md5_served = True

    def at(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}" if name else self.url

    def _place(self, name: str) -> str:
        return "/".join(part for part in (self._key, name) if part)

    def folders(self) -> list[str]:
        return []

    def exists(self) -> bool:
        return not self._key

    def one(self) -> Entry | None:
        import obstore

        if not self._key:
            return None
        try:
            with errors(self.url):
                return _entry("", obstore.head(self._client, self._key))
        except NotInStore:
            return None
        except ValueError as error:
            raise UnusableNames from error

    def entries(self) -> list[Entry]:
        import obstore
        from obstore.exceptions import InvalidPathError

        cut = len(self._key) + 1 if self._key else 0
        try:
            with errors(self.url):
                pages = obstore.list(self._client, self._key or None, chunk_size=1000)
                found = [_entry(one["path"][cut:], one) for page in pages for one in page]
        except (ValueError, InvalidPathError) as error:
            raise UnusableNames from error
        except StorageError as error:
            if "InvalidPath" in str(error):
                raise UnusableNames from error
            raise
        return _without_markers(found)

    def stat(self, names: Sequence[str], whole: bool) -> dict[str, Entry]:
        import obstore

        if whole or len(names) > 4:
            return {one.name: one for one in self.entries()}
        found = {}
        for name in names:
            try:
                with errors(self.at(name)):
                    found[name] = _entry(name, obstore.head(self._client, self._place(name)))
            except NotInStore:
                continue
            except ValueError as error:
                raise UnusableNames from error
        return found

    def read(self, entry: Entry, start: int, end: int) -> Data:
        import obstore

        place = self._place(entry.name)
        whole = start == 0 and end == entry.size
        with errors(self.at(entry.name)):
            asked: Any = None if whole else {"range": (start, end)}
            answer = obstore.get(self._client, place, options=asked)
            data: Any = answer.bytes()
            now = _entry(entry.name, answer.meta)
        if len(data) != end - start or not now.same(entry):
            raise changed(self.at(entry.name))
        return data  # type: ignore[no-any-return]

    def chunks(self, entry: Entry, start: int, end: int) -> Iterator[Data]:
        import obstore

        came = 0
        with errors(self.at(entry.name)):
            answer = obstore.get(
                self._client, self._place(entry.name), options={"range": (start, end)}
            )
            if not _entry(entry.name, answer.meta).same(entry):
                raise changed(self.at(entry.name))
            chunk: Any
            for chunk in answer.stream(min_chunk_size=_CHUNK):
                came += len(chunk)
                yield chunk
        if came != end - start:
            raise changed(self.at(entry.name))

    def check(self, entry: Entry) -> None:
        """Nothing to do: each read compared the ETag."""

    def put(self, name: str, entry: Entry, read: Callable[[], Data], source: str) -> int:
        import obstore

        data = read()
        place = self._place(name)
        with errors(self.at(name)):
            done = obstore.put(self._client, place, data, use_multipart=False)
        told = plain_md5(str(done["e_tag"] or ""))
        if (
            told
            and self._md5_served
            and hashlib.md5(data, usedforsecurity=False).hexdigest() != told
        ):
            self._compare(name, data)
        return entry.size

    def _compare(self, name: str, data: Data) -> None:
        """The server's word is not the MD5, as with some encryption: look at what it has."""
        import obstore

        with errors(self.at(name)):
            there: Any = obstore.get(self._client, self._place(name)).bytes()
        if hashlib.sha256(there).digest() != hashlib.sha256(data).digest():
            raise Corrupt(f"{self.at(name)} is not what was sent.", fix="Copy it again.")
        self._md5_served = False

    def writer(self, name: str, entry: Entry, source: str) -> AbstractContextManager[Writer | None]:
        return parts_writer(self._parts, self.at(name), entry, source, self._state)

    def make(self, folders: Iterable[str]) -> None:
        """Folders do not exist by themselves."""

    def remove(self, names: Sequence[str]) -> None:
        import obstore

        places = [self._place(name) for name in names]
        with errors(self.url):
            obstore.delete(self._client, places)


def _entry(name: str, meta: Any) -> Entry:
    version = str(meta["e_tag"] or meta["version"] or "").removeprefix("W/").strip('"')
    return Entry(name, meta["size"], meta["last_modified"].timestamp(), version)


def _without_markers(found: list[Entry]) -> list[Entry]:
    """Without the empty objects ``folder/``, which the client names without their slash."""
    empty = {one.name for one in found if not one.size}
    if not empty:
        return found
    parents = set()
    for one in found:
        parent = one.name.rpartition("/")[0]
        while parent:
            parents.add(parent)
            parent = parent.rpartition("/")[0]
    return [one for one in found if one.size or (one.name and one.name not in parents)]
