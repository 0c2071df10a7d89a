"""A file system of URLs, to read from. Imported when first used: httpx is heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

T = TypeVar("T")
_BLOCK = 4 * 2**20
_NO_HEAD = {403, 405, 501}
_MISSING = {404, 410}
_REFUSED = {401, 403, 407}
_AGAIN = 3  # times that a request which was cut off is made


class WebFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Paths are URLs. There are no folders: a URL is one file.

    Args:
        verify: What ``httpx`` takes: a file of certificates, or True.
        token: Sent to the host that is asked, not to where it redirects.
    """

    protocol = "https"
    cachable = False

    def __init__(self, verify: Any = True, token: str = "", **options: Any) -> None:
        super().__init__(**options)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # No compression: a range counts the bytes of the object itself.
        self.client = httpx.Client(
            headers={"Accept-Encoding": "identity", **headers},
            follow_redirects=True,
            timeout=httpx.Timeout(60, connect=10),
            limits=httpx.Limits(max_connections=32),
            verify=verify,
        )

    def url_of(self, path: str) -> str:
        """Where to ask for the file."""
        return path

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return path

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            answer = self.client.head(self.url_of(path))
            if answer.status_code in _NO_HEAD:  # signed URLs often allow GET alone
                with self.client.stream("GET", self.url_of(path)) as answer:
                    good(answer)
                    return _entry(path, answer.headers)
            good(answer)
            return _entry(path, answer.headers)

        return _patient(ask)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        found = self.info(path)
        return [found] if detail else [found["name"]]

    def find(self, path: str, maxdepth: Any = None, withdirs: bool = False, **more: Any) -> Any:
        found = self.info(path)
        return {found["name"]: found} if more.get("detail") else [found["name"]]

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        if (start or 0) < 0 or (end or 0) < 0:
            size = int(self.info(path)["size"] or 0)
            start = max(size + start, 0) if start and start < 0 else start
            end = size + end if end and end < 0 else end
        first = start or 0
        if end is not None and end <= first:
            return b""
        return _patient(lambda: self._read(path, first, end))

    def _read(self, path: str, first: int, end: int | None) -> bytes:
        headers = {}
        if first or end is not None:
            headers["Range"] = f"bytes={first}-{'' if end is None else end - 1}"
        with self.client.stream("GET", self.url_of(path), headers=headers) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b""
            good(answer)
            if answer.status_code == httpx.codes.PARTIAL_CONTENT:
                return answer.read()
            # The server knows no ranges: read to the end of the part, and drop what is before.
            data = bytearray()
            for piece in answer.iter_bytes():
                data += piece
                if end is not None and len(data) >= end:
                    break
            return bytes(data[first:end])

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **more: Any) -> _File:
        if mode != "rb":
            raise PermissionError(f"{path} is read only")
        more.pop("autocommit", None)
        size = block_size if isinstance(block_size, int) else _BLOCK
        return _File(self, path, mode, block_size=size, **more)


class _File(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    def _fetch_range(self, start: int, end: int) -> bytes:
        data: bytes = self.fs.cat_file(self.path, start=start, end=end)
        return data


def _patient(ask: Callable[[], T]) -> T:
    """Ask again where the answer was cut off."""
    with as_files():
        for _ in range(_AGAIN - 1):
            try:
                return ask()
            except (httpx.RemoteProtocolError, httpx.ReadError):
                continue
        return ask()


@contextmanager
def as_files() -> Iterator[None]:
    """httpx's errors as those of files, without texts, which quote URLs that may be signed."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        if code in _MISSING:
            raise FileNotFoundError(f"the server says {code}") from None
        if code in _REFUSED:
            raise PermissionError(f"the server says {code}") from None
        raise OSError(f"the server says {code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(type(error).__name__) from None


def good(answer: httpx.Response) -> None:
    if not answer.is_success:
        raise httpx.HTTPStatusError("refused", request=answer.request, response=answer)


def _entry(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    size = headers.get("Content-Length")
    entry: dict[str, Any] = {"name": path, "type": "file", "size": int(size) if size else None}
    if headers.get("ETag"):
        entry["ETag"] = headers["ETag"]
    when = _time(headers.get("Last-Modified", ""))
    if when is not None:
        entry["LastModified"] = when
    return entry


def _time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
