"""A server on loopback that answers as a provider does, with faults where a test wants them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from stix.clouds.catalog.testing.world import Asked, Double, World

LONGEST = 60.0
"""Seconds that a silent answer stays silent; no test waits for it."""
STATUS, CUT, HALF, GARBAGE, BLANK, SILENT, DRIP, RENAMED, ECHO = (
    *("status", "cut", "half", "garbage", "blank", "silent", "drip", "renamed", "echo"),
)


@dataclass
class Fault:
    """What goes wrong.

    Attributes:
        kind: ``status``; ``cut`` (the connection breaks half-way); ``half`` (the text ends
            half-way, its length says so); ``garbage`` (no JSON); ``blank`` (no text at all);
            ``silent``; ``drip`` (a byte now and then); ``renamed`` (``name`` is called otherwise);
            ``echo`` (401, with all that was sent).
        at: For which requests.
        times: How often; None for always.
        status: Of ``status``.
        headers: Likewise.
        name: Of ``renamed``.
    """

    kind: str
    at: Callable[[Asked], bool] = lambda asked: True
    times: int | None = None
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""


class Provider:
    """A running double.

    Args:
        double: What it answers.

    Attributes:
        world: What it sells.
        faults: What goes wrong; the first one that fits.
        etags: Whether answers to GET carry one, and a request for a known one gets 304.
        asked: All requests so far.
    """

    def __init__(self, double: Double) -> None:
        self.double = double
        self.world = World()
        self.faults: list[Fault] = []
        self.etags = False
        self.asked: list[Asked] = []
        self.stopped = threading.Event()
        self._arrived = threading.Condition()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Provider]:
        """Answers as long as the block lasts."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopped.set()
            self._server.shutdown()
            self._server.server_close()

    def note(self, asked: Asked) -> Fault | None:
        """A request came; what goes wrong with it."""
        with self._arrived:
            self.asked.append(asked)
            self._arrived.notify_all()
            for fault in self.faults:
                if fault.at(asked) and fault.times != 0:
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return None

    def wait_for(self, at: Callable[[Asked], bool], seconds: float = LONGEST) -> bool:
        """Until such a request came."""
        with self._arrived:
            return self._arrived.wait_for(lambda: any(map(at, self.asked)), seconds)

    def body(self, asked: Asked) -> bytes:
        """What it answers, without faults."""
        said = self.double(self.world, asked, self.url)
        return said.encode() if isinstance(said, str) else json.dumps(said).encode()


class _Server(ThreadingHTTPServer):
    """One thread per request; they end with the test."""

    daemon_threads = True

    def __init__(self, provider: Provider) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.provider = provider


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server

    def do_GET(self) -> None:
        self._any()

    def do_POST(self) -> None:
        self._any()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _any(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, url.path, query, headers, body)
        with suppress(BrokenPipeError, ConnectionResetError):
            self._answer(asked, self.server.provider.note(asked))

    def _answer(self, asked: Asked, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if fault and kind == STATUS:
            self._send(b"busy", fault.status, fault.headers)
        elif kind == ECHO:
            self._send(repr((asked.headers, asked.query, asked.body)).encode(), 401)
        elif kind == GARBAGE:
            self._send(b"<html>try later</html>\n")
        elif kind == BLANK:
            self._send(b"")
        else:
            self._whole(asked, fault, self.server.provider.body(asked))

    def _whole(self, asked: Asked, fault: Fault | None, body: bytes) -> None:
        kind = fault.kind if fault else ""
        if fault and kind == RENAMED:
            body = body.replace(f'"{fault.name}"'.encode(), f'"{fault.name}_v2"'.encode())
            body = body.replace(f"<{fault.name}>".encode(), b"<renamed>")
            body = body.replace(f"</{fault.name}>".encode(), b"</renamed>")
        if kind == HALF:
            self._send(body[: len(body) // 2])
        elif kind in (CUT, SILENT, DRIP):
            self._head(200, {"Content-Length": str(len(body))})
            self._rest(kind, body)
        elif self.server.provider.etags and asked.method == "GET":
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            same = asked.headers.get("if-none-match") == tag
            self._send(b"" if same else body, 304 if same else 200, {"ETag": tag})
        else:
            self._send(body)

    def _rest(self, kind: str, body: bytes) -> None:
        if kind == CUT:
            self.wfile.write(body[: len(body) // 2])
        elif kind == SILENT:
            self.server.provider.stopped.wait(LONGEST)
        for at in range(len(body) if kind == DRIP else 0):
            if self.server.provider.stopped.wait(0.02):
                return
            self.wfile.write(body[at : at + 1])
            self.wfile.flush()

    def _send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
