"""Containers of Docker and Podman: their API over a Unix socket, and the runner of one container.

Wire format: the Engine API (moby/moby ``api/swagger.yaml``), which podman's service speaks too.
``exec`` turns its HTTP connection into a two-way stream; without a terminal, output comes in
frames of 8 bytes (1 or 2 for standard output or error, 3 of zero, length) and their content.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from stix.remote.base import ConnectionLost, RemoteError
from stix.remote.exec_runner import ExecRunner
from stix.remote.local import LINE_LIMIT

if TYPE_CHECKING:
    import httpx

NEWEST = (1, 47)  # the newest version of the API that this module was written for
CALL_SECONDS = 60.0
EXIT_POLLS = 200
EXIT_POLL_SECONDS = 0.01
FRAME = 8
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ApiError(RemoteError):
    """The engine refused a call, with an HTTP ``status``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ContainerApi:
    """Calls to one engine. Connections are made at the first call, again after ``close``.

    Every call raises ``ConnectionLost`` where nobody listens, and ``ApiError`` where the engine
    refuses. ``PermissionError`` stands as the cause where the socket is closed to us.
    """

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._client: httpx.AsyncClient | None = None
        self._prefix = ""

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        seconds: float = CALL_SECONDS,
    ) -> Any:
        """One request; the JSON of its answer, or None where there is none.

        Filters in ``params`` are given as mappings. ``body`` is bytes of a tar, or becomes JSON.
        """
        async with self.stream(method, path, params=params, body=body, seconds=seconds) as answer:
            data = await answer.aread()
        return json.loads(data) if data.strip().startswith((b"{", b"[")) else None

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        seconds: float = CALL_SECONDS,
    ) -> AsyncIterator[httpx.Response]:
        """An answer that comes bit by bit. ``seconds`` bounds the wait for each bit."""
        import httpx

        client = await self._ready()
        content, headers = _encoded(body)
        words = {k: json.dumps(v) if isinstance(v, dict) else v for k, v in (params or {}).items()}
        try:
            async with client.stream(
                method,
                self._prefix + path,
                params=words,
                content=content,
                headers=headers,
                timeout=httpx.Timeout(seconds),
            ) as answer:
                if answer.status_code >= 400:
                    raise ApiError(answer.status_code, _words(await answer.aread()))
                yield answer
        except (httpx.TransportError, OSError) as error:
            raise self._lost(error) from error

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def hijack(self, path: str, body: Mapping[str, Any]) -> Connection:
        """A request whose connection becomes a stream in both directions."""
        await self._ready()
        data = json.dumps(body).encode()
        head = (
            f"POST {self._prefix}{path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\n"
            f"Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket)
            try:
                writer.write(head.encode() + data)
                answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                status = int(answer.split()[1])
                if status >= 400:
                    raise ApiError(status, _words(await reader.read(1 << 16)))
            except BaseException:
                writer.close()
                raise
        except (OSError, EOFError, ValueError) as error:
            raise self._lost(error) from error
        return reader, writer

    async def _ready(self) -> httpx.AsyncClient:
        import httpx

        if self._client is None:
            transport = httpx.AsyncHTTPTransport(uds=self.socket)
            self._client = httpx.AsyncClient(transport=transport, base_url="http://engine")
        if not self._prefix:
            try:
                answer = await self._client.get("/_ping", timeout=CALL_SECONDS)
            except (httpx.TransportError, OSError) as error:
                raise self._lost(error) from error
            self._prefix = _prefix(answer.headers.get("api-version", ""))
        return self._client

    def _lost(self, error: Exception) -> ConnectionLost:
        return ConnectionLost(f"no answer at {self.socket}: {error or type(error).__name__}")


class ExecProcess:
    """A process in a container: ``stix.remote.exec_runner.Process`` over a hijacked connection."""

    def __init__(self, connection: Connection, api: ContainerApi, exec_id: str) -> None:
        reader, writer = connection
        self._api = api
        self._id = exec_id
        self.stdout = asyncio.StreamReader(limit=LINE_LIMIT)
        self.stderr = asyncio.StreamReader(limit=LINE_LIMIT)
        self._writer = writer
        self._valve = _Valve()
        for outlet in (self.stdout, self.stderr):
            outlet.set_transport(self._valve)
        self._reading = asyncio.create_task(self._read(reader))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}") from error

    async def end_input(self) -> None:
        with suppress(OSError):
            await self._writer.drain()
            self._writer.write_eof()

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._writer.transport.abort()  # input that nobody read must not be waited for

    async def wait(self) -> int:
        """The exit code: the engine knows it a moment after the streams ended."""
        for _ in range(EXIT_POLLS):
            try:
                told = await self._api.call("GET", f"/exec/{self._id}/json")
            except ApiError as error:
                raise ConnectionLost(f"the container is gone: {error.message}") from error
            if not told["Running"] and told["ExitCode"] is not None:
                return int(told["ExitCode"])
            await asyncio.sleep(EXIT_POLL_SECONDS)
        raise ConnectionLost("the engine does not say how the process ended")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while head := await reader.read(FRAME):
                if len(head) < FRAME:
                    head += await reader.readexactly(FRAME - len(head))
                kind, size = struct.unpack(">BxxxL", head)
                outlet = self.stderr if kind == 2 else self.stdout
                while size:
                    data = await reader.read(min(size, 1 << 16))
                    if not data:
                        raise EOFError("in the middle of a frame")
                    size -= len(data)
                    outlet.feed_data(data)
                    await self._valve.opened.wait()
        except ConnectionResetError:
            pass  # podman's end, where input is left that nobody read: ``wait`` knows the truth
        except (OSError, EOFError) as error:
            for outlet in (self.stdout, self.stderr):
                outlet.set_exception(ConnectionLost(f"the connection broke: {error}"))
            return
        self.stdout.feed_eof()
        self.stderr.feed_eof()


class _Valve(asyncio.Transport):
    """Stops reading while a ``StreamReader`` holds more than its limit."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()
        self.opened.set()

    def pause_reading(self) -> None:
        self.opened.clear()

    def resume_reading(self) -> None:
        self.opened.set()


class ContainerRunner(ExecRunner):
    """Runs commands in a container, as the container's own user."""

    def __init__(self, api: ContainerApi, container: str) -> None:
        super().__init__(self._exec)
        self._api = api
        self._container = container

    async def _exec(self, argv: Sequence[str], env: Mapping[str, str]) -> ExecProcess:
        body = {
            "Cmd": [*argv],
            "Env": [f"{name}={value}" for name, value in env.items()],
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
        }
        try:
            made = await self._api.call("POST", f"/containers/{self._container}/exec", body=body)
            way = f"/exec/{made['Id']}/start"
            connection = await self._api.hijack(way, {"Detach": False, "Tty": False})
        except ApiError as error:
            raise ConnectionLost(f"container {self._container}: {error.message}") from error
        return ExecProcess(connection, self._api, made["Id"])


def _encoded(body: Any) -> tuple[bytes | None, dict[str, str]]:
    if body is None:
        return None, {}
    if isinstance(body, bytes):
        return body, {"Content-Type": "application/x-tar"}
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


def _prefix(version: str) -> str:
    """``/v1.41``: the engine's version of the API, or ours where that is older."""
    try:
        major, minor = (int(part) for part in version.split("."))
    except ValueError:
        return ""
    return "/v{}.{}".format(*min((major, minor), NEWEST))


def _words(data: bytes) -> str:
    """The message of an error; podman says it as ``message`` too."""
    text = data.decode(errors="replace").strip()
    start = text.find("{")
    with suppress(ValueError):
        return str(json.loads(text[start : text.rfind("}") + 1])["message"])
    return text or "no reason given"
