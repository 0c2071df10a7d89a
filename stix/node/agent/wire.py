"""One client's connection: lines of JSON in and out, with raw bytes after some requests."""

from __future__ import annotations

import json
import socket

from .errors import AgentError
from .loop import READ, WRITE, Loop

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    Answer = Dict[str, Any]
    Handler = Callable[["Connection", Dict[str, Any]], "Answer | None"]

CHUNK = 1 << 16
LINE_MAX = 16 << 20
HIGH_WATER = 1 << 18


class Connection:
    """Requests are answered in order.  A handler that gives None answers later by ``reply``."""

    def __init__(self, loop: Loop, sock: socket.socket, handler: Handler) -> None:
        self._loop = loop
        self._sock = sock
        self._handler = handler
        self._in = bytearray()
        self._out = bytearray()
        self._waiting = False
        self._raw = 0
        self._raw_sink: Callable[[bytes, bool], None] | None = None
        self.closed = False
        self.on_drained: Callable[[], None] | None = None
        self.on_close: Callable[[], None] | None = None
        self._ending = False
        sock.setblocking(False)
        loop.watch(sock, READ, self._ready)

    @property
    def congested(self) -> bool:
        return len(self._out) > HIGH_WATER

    def reply(self, answer: Answer) -> None:
        """The answer to the request in hand; then the next request is looked at."""
        self._waiting = False
        self.push(json.dumps(answer).encode() + b"\n")
        self._handle_lines()

    def push(self, data: bytes) -> None:
        """Send bytes of our own accord."""
        if self.closed:
            return
        self._out += data
        self._flush()

    def take_raw(self, size: int, sink: Callable[[bytes, bool], None]) -> None:
        """Give the next ``size`` bytes to ``sink``, with True at the last of them."""
        self._raw, self._raw_sink = size, sink
        self._waiting = True
        self._feed_raw()

    def end(self) -> None:
        """Close after what is waiting has been sent."""
        self._ending = True
        self._flush()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.unwatch(self._sock)
        self._sock.close()
        if self.on_close is not None:
            self.on_close()

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & READ and not self.closed:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._in += data
        if self._raw_sink is not None:
            self._feed_raw()
        self._handle_lines()

    def _feed_raw(self) -> None:
        sink = self._raw_sink
        if sink is None:
            return
        part = bytes(self._in[: self._raw])
        del self._in[: len(part)]
        self._raw -= len(part)
        if self._raw == 0:
            self._raw_sink = None
        sink(part, self._raw == 0)

    def _handle_lines(self) -> None:
        while not self._waiting and not self.closed:
            line, newline, _ = self._in.partition(b"\n")
            if not newline:
                if len(self._in) > LINE_MAX:
                    self.close()
                return
            del self._in[: len(line) + 1]
            self._waiting = True
            answer = self._answer(bytes(line))
            if answer is not None:
                self._waiting = False
                self.push(json.dumps(answer).encode() + b"\n")

    def _answer(self, line: bytes) -> Answer | None:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise AgentError("invalid", "a request is a JSON object")
            return self._handler(self, request)
        except AgentError as error:
            return error.to_dict()
        except (ValueError, TypeError, KeyError) as error:
            return AgentError("invalid", "{}: {}".format(type(error).__name__, error)).to_dict()
        except OSError as error:
            return AgentError("failed", str(error)).to_dict()

    def _flush(self) -> None:
        if self.closed:
            return
        try:
            while self._out:
                sent = self._sock.send(self._out[:CHUNK])
                del self._out[:sent]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close()
            return
        if self._out:
            self._loop.watch(self._sock, READ | WRITE, self._ready)
            return
        if self._ending:
            self.close()
            return
        self._loop.watch(self._sock, READ, self._ready)
        if self.on_drained is not None:
            self.on_drained()
