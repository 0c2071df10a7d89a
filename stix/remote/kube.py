"""The runner of a pod: commands by ``exec`` over WebSocket, no sshd and no port in the pod.

The protocol (channels, ``Status`` at the end, the signal that ends the input) is that of
``k8s.io/apimachinery/pkg/util/remotecommand``: ``v5.channel.k8s.io`` from Kubernetes 1.30 on;
``v4``, which cannot end the input, before. Importing this module loads no WebSocket library.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

from stix.remote.base import ConnectionLost, LoginRefused, RemoteError
from stix.remote.exec_runner import ExecRunner
from stix.remote.local import LINE_LIMIT

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
CHUNK = 1 << 15
OUTBOX = 1 << 18  # bytes that wait to be sent before ``drain`` waits
OPEN_SECONDS = 20.0
CLOSE_SECONDS = 1.0
PING_SECONDS = 20.0
AT_ONCE = 16
# v4 cannot end the input: it travels in pieces, each after its size, until one of size 0. The
# reader tells its id first, so that it ends with the command.
_UNPACK = """
{ sh -c 'echo "$PPID"'
  while read -r n && [ "$n" -gt 0 ]; do
    dd bs="$n" count=1 iflag=fullblock 2>/dev/null || exit
  done
} | { read -r reader; "$@"; code=$?; kill -PIPE "$reader" 2>/dev/null; exit "$code"; }
"""


@dataclass(frozen=True)
class Login:
    """What goes with each connection. Shows no secret."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass
class Dialect:
    """Which protocol the API server speaks; asked at the first use, shared by its pods."""

    version: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


@dataclass(frozen=True)
class PodTarget:
    """One container of one pod.

    Attributes:
        server: URL of the API server.
        login: Gives headers and TLS, renewed where they expire.
        host: Name that the server's certificate must carry; empty for that of the URL.
        proxy: URL of a proxy; None takes what the environment says.
    """

    server: str
    namespace: str
    pod: str
    container: str
    login: Callable[[], Awaitable[Login]] = field(repr=False)
    dialect: Dialect = field(default_factory=Dialect)
    host: str = ""
    proxy: str | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}"

    def url(self, argv: Sequence[str]) -> str:
        parts = urlsplit(self.server)
        scheme = "wss" if parts.scheme == "https" else "ws"
        query = [("container", self.container), *(("command", word) for word in argv)]
        query += [("stdin", "true"), ("stdout", "true"), ("stderr", "true"), ("tty", "false")]
        base = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}/exec"
        return f"{base}{path}?{urlencode(query)}"


class KubeRunner(ExecRunner):
    """Runs commands in a container. It needs a shell, tar, and a Python for sockets and ports."""

    def __init__(self, target: PodTarget) -> None:
        super().__init__(self._begin, at_once=AT_ONCE)
        self.target = target

    async def _begin(self, argv: Sequence[str], env: Mapping[str, str]) -> PodProcess:
        pairs = [f"{key}={value}" for key, value in env.items()]
        command = [*(["env", *pairs] if pairs else []), *argv]
        version = await self._version()
        if version == V4:
            command = ["sh", "-c", _UNPACK, "sh", *command]
        return PodProcess(await _dial(self.target, command, version), self.target, version)

    async def _version(self) -> str:
        dialect = self.target.dialect
        async with dialect.turn:
            if not dialect.version:
                dialect.version = await _newest(self.target)
        return dialect.version


class _Valve:
    """Stands for the transport of a ``StreamReader``, which stops reading when it is full."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    def pause_reading(self) -> None:
        self.open.clear()

    def resume_reading(self) -> None:
        self.open.set()


class PodProcess:
    """``stix.remote.exec_runner.Process`` over one WebSocket."""

    def __init__(self, socket: ClientConnection, target: PodTarget, version: str) -> None:
        self.stdout = asyncio.StreamReader(limit=LINE_LIMIT)
        self.stderr = asyncio.StreamReader(limit=LINE_LIMIT)
        self._readers = {STDOUT: self.stdout, STDERR: self.stderr}
        self._valve = _Valve()
        for reader in self._readers.values():
            reader.set_transport(cast(asyncio.Transport, self._valve))
        self._socket, self._target, self._version = socket, target, version
        self._status: dict[str, Any] | None = None
        self._lost: ConnectionLost | None = None
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0
        self._sent = asyncio.Event()
        self._input_over = False
        self._receiving = asyncio.create_task(self._receive())
        self._sending = asyncio.create_task(self._send())

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK):
            piece = data[start : start + CHUNK]
            if self._version == V4:
                piece = b"%d\n" % len(piece) + piece
            self._put(bytes([STDIN]) + piece)

    async def drain(self) -> None:
        while self._waiting > OUTBOX and self._lost is None and not self._receiving.done():
            self._sent.clear()
            await self._sent.wait()
        if self._lost is not None or self._receiving.done():
            raise self._lost or ConnectionLost(f"the command in {self._target} has ended")

    async def end_input(self) -> None:
        if not self._input_over:
            self._input_over = True
            self._put(bytes([CLOSE, STDIN]) if self._version == V5 else bytes([STDIN]) + b"0\n")

    async def wait(self) -> int:
        await asyncio.wait([self._receiving])
        if self._lost is not None:
            raise self._lost
        return _exit_code(self._status or {}, str(self._target))

    async def close(self) -> None:
        self._sending.cancel()
        with suppress(OSError):
            await self._socket.close()
        self._receiving.cancel()
        await asyncio.wait([self._sending, self._receiving])

    def _put(self, frame: bytes) -> None:
        self._waiting += len(frame)
        self._outbox.put_nowait(frame)

    async def _send(self) -> None:
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed, OSError):  # ``_receive`` says what happened
            while True:
                frame = await self._outbox.get()
                await self._socket.send(frame)
                self._waiting -= len(frame)
                self._sent.set()

    async def _receive(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while self._status is None:  # which comes last
                frame = await self._socket.recv(decode=False)
                self._take(frame[0], frame[1:])
                await self._valve.open.wait()
        except (ConnectionClosed, OSError, ValueError) as error:
            self._lost = ConnectionLost(f"the connection to {self._target} broke: {error}")
        finally:
            self._finish()

    def _take(self, channel: int, data: bytes) -> None:
        if channel in self._readers and data:
            self._readers[channel].feed_data(data)
        elif channel == ERROR and data:
            self._status = json.loads(data)

    def _finish(self) -> None:
        for reader in self._readers.values():
            if self._lost is None:
                reader.feed_eof()
            else:
                reader.set_exception(self._lost)
        self._sent.set()


async def _newest(target: PodTarget) -> str:
    """``v5`` where the server has it, asked by a command that does nothing."""
    try:
        socket = await _dial(target, ["true"], V5)
    except _NotSpoken:
        return V4
    await socket.close()
    return V5


class _NotSpoken(ConnectionLost):
    """The server does not know the protocol."""


async def _dial(target: PodTarget, argv: Sequence[str], version: str) -> ClientConnection:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus
    from websockets.typing import Subprotocol

    login = await target.login()
    more: dict[str, Any] = {"ssl": login.tls} if login.tls else {}
    if login.tls and target.host:
        more["server_hostname"] = target.host
    try:
        socket = await connect(
            target.url(argv),
            subprotocols=[Subprotocol(version)],
            additional_headers=dict(login.headers),
            compression=None,
            max_size=None,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            proxy=target.proxy or True,
            **more,
        )
    except InvalidStatus as error:
        raise _refused(target, error.response.status_code, error.response.body) from None
    except (InvalidHandshake, OSError, TimeoutError) as error:
        raise ConnectionLost(f"no way into {target}: {error}") from None
    if socket.subprotocol != version:
        await socket.close()
        raise _NotSpoken(f"{target.server} does not speak {version}")
    return socket


def _refused(target: PodTarget, code: int, body: bytes | bytearray | None) -> RemoteError:
    text = bytes(body or b"").decode(errors="replace")
    try:
        words = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        words = text.strip()[:500] or f"HTTP {code}"
        # A server that does not know the protocol says so with 403 and not a word (wsstream of
        # Kubernetes before 1.29); one that refuses the user gives a Status.
        if code in (400, 403):
            return _NotSpoken(f"{target.server} refuses the protocol: {words}")
    if code in (401, 403):
        return LoginRefused(
            f"the way into {target} is refused: {words}",
            fix="grant create and get of pods/exec to this user",
        )
    return ConnectionLost(f"no way into {target}: {words}")


def _exit_code(status: Mapping[str, Any], where: str) -> int:
    if status.get("status") == "Success":
        return 0
    if status.get("reason") == "NonZeroExitCode":
        for cause in (status.get("details") or {}).get("causes", ()):
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
    raise ConnectionLost(f"{where}: {status.get('message') or 'the command ended without a word'}")
