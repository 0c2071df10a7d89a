"""An HTTP server on loopback whose requests can be counted, cut, delayed and refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stix.clouds.testing.faults import Wire

SILENCE_S = 3.0
"""How long a silent answer stays out; callers give up earlier."""


@dataclass(frozen=True)
class Asked:
    """A request as the double sees it. ``query`` has the last value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else {}


@dataclass(frozen=True)
class Answer:
    """What goes back: an object as JSON, or bytes as they are."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class _Broken:
    kind: Wire | str
    at: int
    times: int = 1
    pid: int = 0


class WireServer:
    """Answers by ``handle``; ``broken`` requests go wrong.

    Args:
        handle: From a request to its answer; called one at a time.
    """

    def __init__(self, handle: Callable[[Asked], Answer]) -> None:
        self._handle = handle
        self._turn = threading.Lock()
        self._broken: list[_Broken] = []
        self.requests: list[Asked] = []
        self.released = threading.Event()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[str]:
        """The address, for as long as the block lasts."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()

    def watch(self) -> None:
        with self._turn:
            self.requests, self._broken = [], []

    def asked(self) -> int:
        return len(self.requests)

    def wire(self, kind: Wire, at: int, times: int = 1) -> None:
        self._broken.append(_Broken(kind, at, times))

    def kill(self, pid: int, at: int, *, after: bool) -> None:
        self._broken.append(_Broken("kill after" if after else "kill before", at, 1, pid))

    def act(self, asked: Asked) -> Answer | None:
        """The answer; None where the connection breaks instead."""
        with self._turn:
            number = len(self.requests)
            self.requests.append(asked)
            broken = [b for b in self._broken if b.at <= number < b.at + b.times]
            kind = broken[0].kind if broken else ""
            if kind == "error 500":
                return Answer(500, {"error": {"message": "internal error"}})
            if kind == "busy 429":
                return Answer(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.02"})
            if kind == "garbage":
                html = {"Content-Type": "text/html"}
                return Answer(200, b"<html>We are down for maintenance.</html>", html)
            answer = None if kind.endswith("before") else self._handle(asked)
        if not kind:
            return answer
        if kind.startswith("kill"):
            os.kill(broken[0].pid, signal.SIGKILL)
        elif kind.startswith("silent"):
            self.released.wait(SILENCE_S)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: WireServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for headers and body

    def handle(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _any(self) -> None:
        url = urlsplit(self.path)
        asked = Asked(
            self.command,
            url.path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        answer = self.server.owner.act(asked)
        if answer is None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = answer.data()
        self.send_response(answer.status)
        if data and "Content-Type" not in answer.headers:
            self.send_header("Content-Type", "application/json")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any
