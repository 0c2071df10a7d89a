"""The runner of this machine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stix.remote.base import Completed, ConnectionLost, Stream
from stix.remote.copying import copy_path

LINE_LIMIT = 1 << 24
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass
class SocketStream:
    """A byte stream over a socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def drain(self) -> None:
        try:
            await self.writer.drain()
        except OSError as error:
            raise ConnectionLost(f"the connection broke: {error}") from error

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


class LocalRunner:
    """Runs commands as children of this process, with its environment."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **env} if env else None,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            return Completed(127, b"", f"{argv[0]}: {error.strerror}\n".encode())
        except PermissionError as error:
            return Completed(126, b"", f"{argv[0]}: {error.strerror}\n".encode())
        try:
            async with asyncio.timeout(timeout):
                stdout, stderr = await process.communicate(input)
        except (TimeoutError, asyncio.CancelledError):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        code = process.returncode or 0
        return Completed(128 - code if code < 0 else code, stdout, stderr)

    async def open_unix(self, path: str) -> Stream:
        try:
            reader, writer = await asyncio.open_unix_connection(
                Path(path).expanduser(), limit=LINE_LIMIT
            )
        except OSError as error:
            raise ConnectionLost(f"nobody listens at {path}: {error.strerror}") from error
        return SocketStream(reader, writer)

    async def put(self, source: Path, target: str) -> None:
        await asyncio.to_thread(copy_path, source, Path(target).expanduser())

    async def get(self, source: str, target: Path) -> None:
        await asyncio.to_thread(copy_path, Path(source).expanduser(), target)

    @asynccontextmanager
    async def forward(self, port: int, host: str = "127.0.0.1") -> AsyncIterator[int]:
        if host in LOOPBACK:
            yield port
            return
        server = await asyncio.start_server(_relay_to(host, port), "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Nothing is held open."""


Relay = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _relay_to(host: str, port: int) -> Relay:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    return relay


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
