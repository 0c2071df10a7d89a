"""HTTP for the client: standard library only, since an HTTP package costs 0.1 s CPU to import."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from stix.errors import StixError

CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds that a call may be silent, beside the time it is asked to wait."""


class ServerAway(StixError):
    """Nobody answers at the server's address, or the answer broke off."""


class ApiError(StixError):
    """The server answered with an error.

    Args:
        message: The server's sentence.
        fix: What to do about it, from the server.
        code: The server's word for the kind of error (``not_found`` ...).
        status: HTTP status.
    """

    def __init__(self, message: str, *, fix: str = "", code: str = "", status: int = 0) -> None:
        super().__init__(message, fix=fix)
        self.code = code
        self.status = status
        self.refused: list[dict[str, Any]] = []
        """Problems of a pipeline that the server refused, as ``Problem.to_dict``."""


@dataclass(frozen=True)
class Request:
    """One call. ``body`` is bytes, or chunks that are sent as they come."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None
    content_type: str = "application/json"
    timeout: float = TIMEOUT

    @property
    def target(self) -> str:
        given = {k: v for k, v in self.query.items() if v is not None}
        return f"{self.path}?{urlencode(given)}" if given else self.path


class Http:
    """Calls to one server, each on its own connection; safe for concurrent use."""

    def __init__(self, url: str, token: str | None = None) -> None:
        try:
            parts = urlsplit(url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            raise _no_url(url) from None
        if parts.scheme not in {"http", "https"} or not self._host:
            raise _no_url(url)
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/")
        self._token = token

    def json(self, request: Request) -> Any:
        """Make a call and read its JSON answer.

        Raises:
            ApiError: the server refused.
            ServerAway: it could not be reached.
        """
        with self._open(request) as response:
            text = response.read()
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise ApiError(
                f"{self.url} did not answer in JSON, so it is no STIX server",
                fix="Check STIX_URL.",
                code="not_json",
                status=response.status,
            ) from None

    def download(self, request: Request, target: BinaryIO) -> int:
        """Copy the body of an answer to ``target``; gives its size in bytes."""
        size = 0
        with self._open(request) as response:
            while data := response.read(CHUNK):
                target.write(data)
                size += len(data)
            if response.length:  # read(n) is silent about a body that ends too early
                raise http.client.IncompleteRead(b"", response.length)
        return size

    def lines(self, request: Request) -> Iterator[Any]:
        """Make a call whose answer is a JSON document per line, as they come."""
        with self._open(request) as response:
            for line in response:
                yield json.loads(line)

    @contextmanager
    def _open(self, request: Request) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection(request.timeout)
        try:
            yield self._send(connection, request)
        except (http.client.HTTPException, ValueError) as error:
            raise self._away(error) from None
        except TimeoutError:
            raise ServerAway(
                f"The STIX server at {self.url} did not answer within {request.timeout:g} s",
                fix="Look at `stix server status` and `stix server logs`.",
            ) from None
        except OSError as error:
            if not isinstance(error, ConnectionError | socket.gaierror) and _local(error):
                raise
            raise self._away(error) from None
        finally:
            connection.close()

    def _away(self, error: Exception) -> ServerAway:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ServerAway(
            f"No STIX server answers at {self.url} ({why})",
            fix="Start one with `stix server start`, or check STIX_URL.",
        )

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout)

    def _send(
        self, connection: http.client.HTTPConnection, request: Request
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "Connection": "close"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        chunked = request.body is not None and not isinstance(request.body, bytes)
        # A server may refuse before it has read the whole body: its answer then says why.
        with suppress(BrokenPipeError):
            connection.request(
                request.method,
                self._prefix + request.target,
                body=request.body,
                headers=headers,
                encode_chunked=chunked,
            )
        response = connection.getresponse()
        if response.status >= 400:
            raise self._refused(response)
        return response

    def _refused(self, response: http.client.HTTPResponse) -> ApiError:
        text = response.read().decode(errors="replace")
        try:
            error = json.loads(text)["error"]
            message, fix, code = error["message"], error.get("fix", ""), error.get("code", "")
            problems = list(error.get("problems") or [])
        except (ValueError, KeyError, TypeError):
            message = f"{self.url} answered {response.status} {response.reason}"
            fix, code, problems = "", "http", []
        if response.status == 401:
            fix = "Set STIX_TOKEN to the server's token (the file `token` of its state folder)."
        refusal = ApiError(message, fix=fix or "", code=code or "", status=response.status)
        refusal.refused = problems
        return refusal


def _no_url(url: str) -> StixError:
    return StixError(
        f"{url!r} is not the address of a server",
        fix="Give a URL such as http://127.0.0.1:4300 or https://stix.example.org.",
    )


def segment(value: str) -> str:
    """A name as one segment of a path."""
    return quote(value, safe="")


def _local(error: OSError) -> bool:
    """True for an error of this machine's files (disk full ...) and not of the connection."""
    return error.filename is not None or error.errno in {errno.ENOSPC, errno.EDQUOT}
