"""The runner of an SSH host: one asyncssh connection, reused, made again after a loss.

Importing this module loads asyncssh; ``stix.remote.ssh_target`` does not.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import asyncssh

from stix.remote.base import Completed, ConnectionLost, RemoteError, Stream
from stix.remote.ssh_connect import connect, typed
from stix.remote.ssh_streams import ChannelStream, process_stream, unix_stream
from stix.remote.ssh_target import SshTarget
from stix.remote.ssh_transfer import finish, get_path, put_path

__all__ = ["SshRunner", "SshTarget"]

SESSIONS = 8  # OpenSSH allows 10 sessions per connection (MaxSessions)
KILL_SECONDS = 5.0
SESSION_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # seconds
T = TypeVar("T")
# The process tells its id first, so that it can be killed: sshd ignores signals for root.
_TELL = 'echo "$$" >&2; exec "$@"'
_KILL = 'kill -KILL -- "-$1" 2>/dev/null || kill -KILL "$1" 2>/dev/null'


class SshRunner:
    """Runs commands on a host. Safe for concurrent use within one event loop."""

    def __init__(self, target: SshTarget) -> None:
        self.target = target
        self._connection: asyncssh.SSHClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._failure: tuple[float, RemoteError] | None = None
        self._sessions = asyncio.Semaphore(SESSIONS)
        self._bridges: list[asyncssh.SSHClientConnection] = []
        self._sockets_forbidden = False

    async def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        pairs = [f"{key}={value}" for key, value in (env or {}).items()]
        command = [*(["env", *pairs] if pairs else []), *argv]
        pid = ""
        try:
            async with asyncio.timeout(timeout), self._sessions:
                process = await self.process(["sh", "-c", _TELL, "sh", *command])
                try:
                    with typed(self.target):
                        pid = (await process.stderr.readline()).decode().strip()
                        stdout, stderr = await finish(process, input)
                finally:
                    process.close()
        except (TimeoutError, asyncio.CancelledError):
            if pid:
                await asyncio.shield(self._kill(pid))
            raise
        return Completed(self._exit_code(process), stdout, stderr)

    async def open_unix(self, path: str) -> Stream:
        if path.startswith("~"):
            path = await self._expand(path)
        if not self._sockets_forbidden:
            try:
                return await self._unix(path)
            except asyncssh.ChannelOpenError as error:
                # sshd says the same for a missing socket and for forbidden forwarding.
                if not self.target.bridge:
                    raise ConnectionLost(f"nobody listens at {path}: {error.reason}") from error
        stream = await self._bridge(path)
        if await stream.reader.readline() != b"\n":
            await stream.close()
            raise ConnectionLost(f"nobody listens at {path}")
        self._sockets_forbidden = True
        return stream

    async def put(self, source: Path, target: str) -> None:
        async with self._sessions:
            with typed(self.target):
                await put_path(self, source, target)

    async def get(self, source: str, target: Path) -> None:
        async with self._sessions:
            with typed(self.target):
                await get_path(self, source, target)

    @asynccontextmanager
    async def forward(self, port: int, host: str = "127.0.0.1") -> AsyncIterator[int]:
        connection = await self._connected()
        with typed(self.target):
            listener = await connection.forward_local_port("127.0.0.1", 0, host, port)
        try:
            yield listener.get_port()
        finally:
            listener.close()
            await listener.wait_closed()

    async def close(self) -> None:
        connections = [*self._bridges, *([self._connection] if self._connection else [])]
        self._connection = None
        self._bridges = []
        for connection in connections:
            connection.abort()
            await connection.wait_closed()

    async def process(self, argv: Sequence[str]) -> asyncssh.SSHClientProcess[bytes]:
        """A process on the host. For the transfer's use; it counts no session."""
        command = shlex.join(argv)
        return await self._session(lambda c: c.create_process(command, encoding=None))

    async def sftp(self) -> asyncssh.SFTPClient:
        """An SFTP session. For the transfer's use; it counts no session."""
        return await self._session(lambda c: c.start_sftp_client())

    async def _session(self, make: Callable[[asyncssh.SSHClientConnection], Awaitable[T]]) -> T:
        """Open a session; nothing has run on the host when that fails, so it is tried again.

        A connection may turn out to be lost only now; and sshd frees the place of an ended session
        a little after it said that it ended.
        """
        for pause in SESSION_PAUSES:
            connection = await self._connected()
            with typed(self.target), suppress(asyncssh.ChannelOpenError):
                return await make(connection)
            if not connection.is_closed():
                await asyncio.sleep(pause)
        connection = await self._connected()
        with typed(self.target):
            return await make(connection)

    async def _connected(self) -> asyncssh.SSHClientConnection:
        asked = asyncio.get_running_loop().time()
        async with self._connecting:
            if self._connection is not None and not self._connection.is_closed():
                return self._connection
            if self._failure is not None and self._failure[0] >= asked:
                raise self._failure[1]  # those who waited share the failure
            try:
                self._connection = await connect(self.target)
            except RemoteError as error:
                self._failure = (asyncio.get_running_loop().time(), error)
                raise
            return self._connection

    async def _unix(self, path: str) -> ChannelStream:
        connection = await self._connected()
        try:
            return await unix_stream(connection, path)
        except asyncssh.ChannelOpenError:
            if not connection.is_closed():
                raise
        except (asyncssh.Error, OSError) as error:
            raise ConnectionLost(f"lost the way to {self.target}: {error}") from error
        return await unix_stream(await self._connected(), path)

    async def _bridge(self, path: str) -> Stream:
        """A socket through a process; on connections of their own, since sessions are scarce."""
        command = shlex.join([*self.target.bridge, path])
        self._bridges = [c for c in self._bridges if not c.is_closed()]
        for connection in self._bridges:
            with suppress(asyncssh.ChannelOpenError):
                return await process_stream(connection, command)
        connection = await connect(self.target)
        self._bridges.append(connection)
        with typed(self.target):
            return await process_stream(connection, command)

    async def _expand(self, path: str) -> str:
        script = 'case $1 in "~") echo "$HOME";; *) echo "$HOME/${1#??}";; esac'
        return (await self.run(["sh", "-c", script, "sh", path])).stdout.decode().strip()

    async def _kill(self, pid: str) -> None:
        with suppress(RemoteError, TimeoutError):
            async with asyncio.timeout(KILL_SECONDS):
                process = await self.process(["sh", "-c", _KILL, "sh", pid])
                with typed(self.target):
                    await process.wait()

    def _exit_code(self, process: asyncssh.SSHClientProcess[bytes]) -> int:
        if process.exit_signal is not None:
            return 128 + int(signal.Signals[f"SIG{process.exit_signal[0]}"])
        if process.exit_status is None:
            raise ConnectionLost(f"the connection to {self.target} broke")
        return process.exit_status
