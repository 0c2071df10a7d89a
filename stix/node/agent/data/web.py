"""GET and PUT by signed URLs. No error holds a URL: they are secrets."""

from __future__ import annotations

import socket
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urljoin, urlsplit

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from http.client import HTTPResponse
    from typing import Any, Callable, Dict, Mapping, Tuple

    Place = Tuple[str, str, int]
    Taken = Callable[[bytes], None]

CONNECT_S = 5.0
ANSWER_S = 60.0
TRIES = 3
PAUSE_S = 0.5
PIECE = 1 << 18
REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)


class WebError(Exception):
    """A request failed for good.

    Attributes:
        kind: ``unreachable`` (no way to the server), ``refused`` (the signature or the request),
            ``missing``, or ``broken`` (the server fails, or what it sent is not what was asked).
    """

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


class Web(threading.local):
    """The connections of a thread, kept open between requests."""

    def __init__(self) -> None:
        self._open: Dict[Place, HTTPConnection] = {}

    def get(
        self, url: str, headers: Mapping[str, str], span: tuple[int, int] | None, begin: Any
    ) -> Mapping[str, str]:
        """Read an object, or ``span`` of it (first byte, number of bytes).

        Args:
            begin: Called for each try; gives what takes the bytes, and what to call at their end,
                which raises ValueError where they are not right.

        Returns:
            The headers of the answer, names in lower case.
        """
        wanted = dict(headers)
        if span is not None:
            wanted["Range"] = "bytes={}-{}".format(span[0], span[0] + span[1] - 1)

        def once() -> Mapping[str, str]:
            take, end = begin()
            answer = self._asked("GET", url, wanted, None)
            if span is not None and answer.status != 206 and span[0]:
                self._forget(url)
                raise WebError("broken", "the server knows no ranges")
            left = span[1] if span is not None else -1
            while left:
                data = answer.read(PIECE if left < 0 else min(PIECE, left))
                if not data:
                    break
                take(data)
                left -= len(data) if left > 0 else 0
            if answer.read(1):
                self._forget(url)
            end()
            return {name.lower(): value for name, value in answer.getheaders()}

        return self._patient(url, once)

    def put(self, url: str, headers: Mapping[str, str], data: bytes) -> None:
        """Write an object."""

        def once() -> Mapping[str, str]:
            answer = self._asked("PUT", url, headers, data)
            answer.read()
            return {}

        self._patient(url, once)

    def _asked(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes | None
    ) -> HTTPResponse:
        for _ in range(REDIRECTS):
            parts = urlsplit(url)
            path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
            connection = self._connection(url)
            connection.request(method, path, body=data, headers=dict(headers))
            answer = connection.getresponse()
            if answer.status in (200, 201, 206):
                return answer
            answer.read()
            onward = answer.getheader("Location")
            if answer.status not in _MOVED or not onward or method != "GET":
                raise _status(answer.status)
            new = urljoin(url, onward)
            if urlsplit(new).netloc != parts.netloc:
                headers = {"Range": headers["Range"]} if "Range" in headers else {}
            url = new
        raise WebError("broken", "the server redirects without end")

    def _patient(self, url: str, once: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
        for tried in range(TRIES):
            if tried:
                time.sleep(PAUSE_S * tried)
            try:
                return once()
            except WebError as error:
                last = error
                if error.kind in ("refused", "missing"):
                    raise
            except ValueError as error:
                self._forget(url)
                last = WebError("broken", str(error))
            except (OSError, HTTPException) as error:
                self._forget(url)
                # Not its text, which may quote the URL.
                last = WebError("unreachable", type(error).__name__)
        raise last

    def _connection(self, url: str) -> HTTPConnection:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        place = (parts.scheme, parts.hostname or "", port)
        if place not in self._open:
            kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
            made = kind(place[1], port, timeout=CONNECT_S)
            made.connect()
            made.sock.settimeout(ANSWER_S)
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open[place] = made
        return self._open[place]

    def _forget(self, url: str) -> None:
        """Close the connections of this thread: one of them may be out of step."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()


def _status(code: int) -> WebError:
    kind = "broken"
    if code in (404, 410):
        kind = "missing"
    elif 400 <= code < 500 and code not in (408, 425, 429):
        kind = "refused"
    return WebError(kind, "the server says {}".format(code))
