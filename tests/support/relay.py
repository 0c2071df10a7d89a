"""A way to an HTTP server that writes down who asked for what, and can be cut."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PIECE = 1 << 18
_OWN = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Asked:
    """One request that was answered. ``sent``: bytes of the answer's body that left."""

    client: str
    method: str
    path: str
    status: int
    sent: int
    taken: int


@dataclass
class Relay:
    """A running relay.

    Attributes:
        refusing: Clients that get no answer.
        held: Paths with this word in them are answered when `gate` is open only, but for the
            first ``free`` of them.
    """

    url: str
    log: list[Asked] = field(default_factory=list)
    refusing: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    gate: threading.Event = field(default_factory=threading.Event)
    held: str = ""
    client: str = ""
    free: int = 0

    def hold(self, word: str, free: int) -> None:
        """Let ``free`` requests of this kind through, and no more until `release`."""
        self.hold_for("", word, free)

    def hold_for(self, client: str, word: str, free: int) -> None:
        """As `hold`, for one client. Those that wait already go on waiting."""
        with self.lock:
            self.client, self.held, self.free = client, word, free
        self.gate.clear()

    def release(self) -> None:
        self.held = ""
        self.gate.set()

    def wait(self, client: str, path: str) -> None:
        with self.lock:
            if not self.held or self.held not in path or self.client not in ("", client):
                return
            self.free -= 1
            if self.free >= 0:
                return
        self.gate.wait()

    def gets(self, client: str, word: str = "/chunks/") -> list[str]:
        """Paths below ``word`` that a client was sent in whole, in order."""
        with self.lock:
            return [
                one.path
                for one in self.log
                if one.client == client and one.method == "GET" and one.status == 200
                if word in one.path
            ]

    def note(self, asked: Asked) -> None:
        with self.lock:
            self.log.append(asked)


@contextmanager
def relay(target: str, address: str = "127.0.0.1") -> Iterator[Relay]:
    """Listen on ``address`` and hand every request on to the server at ``target``, as it is."""
    server = ThreadingHTTPServer((address, 0), BaseHTTPRequestHandler)
    made = Relay(f"http://{address}:{server.server_port}")
    server.RequestHandlerClass = _handler(made, urlsplit(target).netloc)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.release()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(made: Relay, place: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            client = str(self.client_address[0])
            if client in made.refusing:
                self.close_connection = True
                return
            if self.command == "GET":
                made.wait(client, self.path)
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size) if size else None
            far = http.client.HTTPConnection(place, timeout=60)
            try:
                # The name that the client used is part of what it signed.
                far.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in _OWN:
                        far.putheader(name, value)
                far.endheaders(body)
                got = far.getresponse()
                sent = self._hand_back(got)
            finally:
                far.close()
            path = self.path.partition("?")[0]
            made.note(Asked(client, self.command, path, got.status, sent, size))

        def _hand_back(self, got: http.client.HTTPResponse) -> int:
            self.send_response_only(got.status, got.reason)
            for name, value in got.getheaders():
                if name.lower() not in _OWN:
                    self.send_header(name, value)
            chunked = got.getheader("Content-Length") is None and self.command != "HEAD"
            if chunked:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            sent = 0
            while data := got.read(PIECE):
                self.wfile.write(data)
                sent += len(data)
            return sent

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
