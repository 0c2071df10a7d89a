"""An HTTP server before moto: it keeps a log, breaks calls as a test says, and fills gaps."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol

from tests.support.aws.wire import Answer, Call, read_call, refusal

Moment = Literal["before", "after"]
FORWARD_SECONDS = 30.0


class Gaps(Protocol):
    """What the real service does and moto does not."""

    def before(self, call: Call, forward: Callable[[Call], Answer]) -> Answer | None:
        """An answer in place of moto's, or None. May change the call."""

    def after(self, call: Call, answer: Answer) -> Answer:
        """Moto's answer, made more real."""


@dataclass
class Fault:
    """Something that goes wrong with a call.

    Attributes:
        action: Of which call; empty for any.
        code: An error to answer; none where empty.
        moment: Before the call has an effect, or after it and before the answer.
        cut: Close the connection without an answer.
        garbage: An answer of status 200 that makes no sense.
        hang_s: Be silent that long, then close the connection.
        hook: Called at that moment, such as to kill the client.
        times: How often; None without end.
        only: Further conditions.
    """

    action: str = ""
    code: str = ""
    status: int = 400
    message: str = ""
    moment: Moment = "before"
    cut: bool = False
    garbage: bytes = b""
    hang_s: float = 0.0
    hook: Callable[[Call], None] | None = None
    times: int | None = 1
    only: Callable[[Call], bool] = lambda call: True

    def covers(self, call: Call, moment: Moment) -> bool:
        named = not self.action or self.action == call.action
        return named and moment == self.moment and self.times != 0 and self.only(call)


class Cut(Exception):
    """The client gets no answer."""


@dataclass
class Proxy:
    """The server. ``close`` ends it.

    Attributes:
        calls: All that came, in order.
        faults: The first that covers a call counts.
    """

    upstream: int
    gaps: Gaps
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    changed: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self._guard = threading.Lock()
        self._quit = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fault(self, action: str = "", code: str = "", **more: Any) -> Fault:
        """Add one."""
        made = Fault(action, code, **more)
        self.faults.append(made)
        return made

    def actions(self, since: int = 0) -> list[str]:
        return [call.action for call in self.calls[since:]]

    def close(self) -> None:
        self._quit.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, headers: dict[str, str], data: bytes) -> Answer:
        """Everything between a request and its answer.

        Raises:
            Cut: there is to be none.
        """
        with self._guard:
            call = read_call(next(self._numbers), headers, data)
            self.calls.append(call)

        def forward(changed: Call) -> Answer:
            return self._forward(headers, changed)

        broken = self._broken(call, "before")
        if broken is not None:
            return broken
        answer = self.gaps.before(call, forward)
        if answer is None:
            answer = self.gaps.after(call, forward(call))
        if call.changes:
            self.changed()
        return self._broken(call, "after") or answer

    def _broken(self, call: Call, moment: Moment) -> Answer | None:
        with self._guard:
            fault = next((f for f in self.faults if f.covers(call, moment)), None)
            if fault is None:
                return None
            if fault.times is not None:
                fault.times -= 1
        if fault.hook is not None:
            fault.hook(call)
        if fault.hang_s:
            self._quit.wait(fault.hang_s)
        if fault.cut or fault.hang_s or call.killed:
            raise Cut
        if fault.garbage:
            return Answer(200, fault.garbage, "text/html")
        return refusal(call, fault.code, fault.message, fault.status) if fault.code else None

    def _forward(self, headers: dict[str, str], call: Call) -> Answer:
        kept = ("authorization", "content-type", "x-amz-target", "x-amz-date", "host")
        sent = {name: value for name, value in headers.items() if name in kept}
        upstream = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=FORWARD_SECONDS)
        try:
            upstream.request("POST", "/", call.encoded(), sent)
            found = upstream.getresponse()
            return Answer(found.status, found.read(), found.headers.get("content-type", "text/xml"))
        finally:
            upstream.close()


def _handler_of(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        wbufsize = -1  # else head and body wait for each other on the way
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length", "0"))
            data = self.rfile.read(size)
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = proxy.answer(headers, data)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.data)))
                self.end_headers()
                self.wfile.write(answer.data)
            except (Cut, ConnectionError):
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: the proxy keeps its own log."""

    return Handler


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}")
        time.sleep(0.02)
