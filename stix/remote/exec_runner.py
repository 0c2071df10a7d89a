"""A runner over anything that can start a process on a node and join its standard streams.

Containers, pods and job steps have no sockets and no file transfer of their own: here both go
through processes. The node needs a POSIX shell, tar, and a Python for sockets and ports.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from stix.remote.archive import extract
from stix.remote.base import Completed, ConnectionLost, RemoteError, Stream
from stix.remote.shell_copy import GET, MISSING, PUT_FILE, PUT_TREE, TAR_CHANGED, settle

CHUNK = 1 << 16
AT_ONCE = 16
KILL_SECONDS = 10.0
ANY_SIZE = str(1 << 62)  # the size from which on a file would travel otherwise: none
# The process tells its id first, so that it can be killed: to close its streams ends nothing.
_TELL = 'echo "$$" >&2; exec "$@"'
_KILL = 'kill -KILL -- "-$1" 2>/dev/null || kill -KILL "$1" 2>/dev/null'
_PYTHON = """
for p in python3 python /usr/libexec/platform-python; do
  p=$(command -v "$p") && exec "$p" -I -S -c "$@"
done
echo "no Python on the node" >&2; exit 127
"""
# Joins standard input and output to a Unix socket or to host:port; an empty line when connected.
_JOIN = """
import os, selectors, socket, sys
place = sys.argv[1:]
if len(place) == 1:
    s = socket.socket(socket.AF_UNIX)
    s.connect(os.path.expanduser(place[0]))
else:
    s = socket.create_connection((place[0], int(place[1])))
def out(data):
    while data:
        data = data[os.write(1, data):]
out(b"\\n")
waiting = selectors.DefaultSelector()
waiting.register(s, selectors.EVENT_READ)
waiting.register(0, selectors.EVENT_READ)
while True:
    for key, _ in waiting.select():
        if key.fd == 0:
            data = os.read(0, 65536)
            if data:
                s.sendall(data)
            else:
                waiting.unregister(0)
                s.shutdown(socket.SHUT_WR)
        else:
            data = s.recv(65536)
            if not data:
                sys.exit(0)
            out(data)
"""


class Process(Protocol):
    """A process on the node. Its streams raise ``ConnectionLost`` when the way to it breaks."""

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    async def end_input(self) -> None: ...

    async def wait(self) -> int:
        """The exit code, once both outputs have ended."""

    async def close(self) -> None:
        """Leave its streams alone. The process may live on."""


Start = Callable[[Sequence[str], Mapping[str, str]], Awaitable[Process]]


class ProcessStream:
    """``stix.remote.base.Stream`` over a process."""

    def __init__(self, process: Process) -> None:
        self.reader = process.stdout
        self._process = process

    def write(self, data: bytes) -> None:
        self._process.write(data)

    async def drain(self) -> None:
        await self._process.drain()

    async def end(self) -> None:
        """End what we send; the other side may go on."""
        await self._process.end_input()

    async def close(self) -> None:
        await self._process.close()


class ExecRunner:
    """Runs commands where ``start`` starts processes. Safe for concurrent use in one event loop.

    Args:
        start: Starts one process; raises ``ConnectionLost`` where the node is gone.
        at_once: How many commands may run side by side. Streams are not counted.
    """

    def __init__(self, start: Start, *, at_once: int = AT_ONCE) -> None:
        self._start = start
        self._turns = asyncio.Semaphore(at_once)

    async def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        pid = ""
        try:
            async with asyncio.timeout(timeout), self._turns:
                process = await self._start(["sh", "-c", _TELL, "sh", *argv], env or {})
                try:
                    pid = (await process.stderr.readline()).decode(errors="replace").strip()
                    if not pid.isdigit():
                        raise ConnectionLost(f"no command was started: {pid or 'no answer'}")
                    stdout, stderr = await _talk(process, input)
                    return Completed(await process.wait(), stdout, stderr)
                finally:
                    await process.close()
        except (TimeoutError, asyncio.CancelledError):
            if pid.isdigit():
                await asyncio.shield(self._kill(pid))
            raise

    async def open_unix(self, path: str) -> Stream:
        return await self._join(path)

    async def put(self, source: Path, target: str) -> None:
        info = await asyncio.to_thread(source.stat)
        async with self._turns:
            if source.is_dir():
                await self._put_tree(source, target)
            else:
                words = [target, f"{info.st_mode & 0o7777:o}", str(info.st_size)]
                process = await self._start(["sh", "-c", PUT_FILE, "sh", *words], {})
                try:
                    await _send_file(process, source)
                    await _end(process, f"cannot write {target}")
                finally:
                    await process.close()

    async def get(self, source: str, target: Path) -> None:
        async with self._turns:
            process = await self._start(["sh", "-c", GET, "sh", source, ANY_SIZE], {})
            try:
                await process.end_input()
                await _receive(process, source, target)
            finally:
                await process.close()

    @asynccontextmanager
    async def forward(self, port: int, host: str = "127.0.0.1") -> AsyncIterator[int]:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                stream = await self._join(host, str(port))
            except RemoteError:
                writer.close()
                return
            with suppress(OSError, RemoteError):
                await asyncio.gather(_upload(reader, stream), _copy(stream.reader, writer))
            await stream.close()
            writer.close()

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Nothing is held open between commands."""

    async def _join(self, *place: str) -> ProcessStream:
        argv = ["sh", "-c", _PYTHON, "sh", _JOIN, *place]
        process = await self._start(argv, {})
        if await process.stdout.readline() != b"\n":
            await process.close()
            raise ConnectionLost(f"nobody listens at {':'.join(place)}")
        return ProcessStream(process)

    async def _put_tree(self, source: Path, target: str) -> None:
        process = await self._start(["sh", "-c", PUT_TREE, "sh", target], {})
        packer = await asyncio.create_subprocess_exec(
            "tar", "-C", str(source), "-cf", "-", ".",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "COPYFILE_DISABLE": "1"},
        )  # fmt: skip
        try:
            assert packer.stdout is not None and packer.stderr is not None
            with suppress(ConnectionLost, OSError):  # the far tar gave up: its own words say why
                while data := await packer.stdout.read(CHUNK):
                    process.write(data)
                    await process.drain()
            if packer.stdout.at_eof() and await packer.wait() > TAR_CHANGED:
                words = (await packer.stderr.read()).decode(errors="replace").strip()
                raise RemoteError(f"cannot read {source}: {words}")
            await _end(process, f"cannot write {target}")
        finally:
            if packer.returncode is None:
                packer.kill()
                await packer.wait()
            await process.close()

    async def _kill(self, pid: str) -> None:
        with suppress(RemoteError, TimeoutError):
            async with asyncio.timeout(KILL_SECONDS):
                process = await self._start(["sh", "-c", _KILL, "sh", pid], {})
                try:
                    await _talk(process, b"")
                finally:
                    await process.close()


async def _talk(process: Process, data: bytes) -> tuple[bytes, bytes]:
    """Send the input and its end while reading both outputs to their ends."""

    async def feed() -> None:
        with suppress(ConnectionLost, OSError):  # it ended without reading
            for start in range(0, len(data), CHUNK):
                process.write(data[start : start + CHUNK])
                await process.drain()
            await process.end_input()

    feeding = asyncio.create_task(feed())
    try:
        return await _both(process)
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])


async def _both(process: Process) -> tuple[bytes, bytes]:
    stdout, stderr = await asyncio.gather(process.stdout.read(), process.stderr.read())
    return stdout, stderr


async def _end(process: Process, what: str) -> bytes:
    """End the input and wait for the process; gives its output."""
    stdout, stderr = await _talk(process, b"")
    code = await process.wait()
    if code == MISSING:
        raise FileNotFoundError(f"{what}: there is no such file")
    if code > (TAR_CHANGED if what.startswith("cannot read") else 0):
        raise RemoteError(f"{what}: {stderr.decode(errors='replace').strip()}")
    return stdout


async def _send_file(process: Process, source: Path) -> None:
    # Where the far side gives up, its own words say why.
    with await asyncio.to_thread(source.open, "rb") as file, suppress(ConnectionLost, OSError):
        while data := await asyncio.to_thread(file.read, 1 << 20):
            process.write(data)
            await process.drain()


async def _receive(process: Process, source: str, target: Path) -> None:
    head = await process.stdout.readline()
    if not head:
        await _end(process, f"cannot read {source}")
        raise ConnectionLost(f"nothing came from {source}")
    await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".stix-", dir=target.parent))
    try:
        await _extract(process.stdout, staging)
        await _end(process, f"cannot read {source}")
        await asyncio.to_thread(settle, staging, target, head.startswith(b"d"))
    finally:
        await asyncio.to_thread(shutil.rmtree, staging, True)


async def _extract(reader: asyncio.StreamReader, folder: Path) -> None:
    """Feed the process's output to a thread that unpacks it."""
    near, far = socket.socketpair()
    task = asyncio.create_task(asyncio.to_thread(extract, far, folder))
    _, writer = await asyncio.open_connection(sock=near)
    try:
        with suppress(ConnectionError):  # the unpacking stopped; its error says why
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()
        await task


class _Sink(Protocol):
    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...


async def _copy(reader: asyncio.StreamReader, sink: _Sink) -> None:
    while data := await reader.read(CHUNK):
        sink.write(data)
        await sink.drain()


async def _upload(reader: asyncio.StreamReader, stream: ProcessStream) -> None:
    await _copy(reader, stream)
    await stream.end()
