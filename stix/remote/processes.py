"""Processes of this machine and of SSH hosts, as ``stix.remote.exec_runner`` takes them."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from stix.remote.base import ConnectionLost
from stix.remote.exec_runner import Process
from stix.remote.local import LINE_LIMIT

if TYPE_CHECKING:
    import asyncssh

    from stix.remote.ssh_target import SshTarget

SESSIONS = 8  # OpenSSH allows 10 per connection (MaxSessions)


class LocalProcess:
    """A child of this process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout and process.stderr
        self.stdout = process.stdout
        self.stderr = process.stderr
        self._stdin = process.stdin
        self._process = process

    @classmethod
    async def start(cls, argv: Sequence[str], env: Mapping[str, str]) -> LocalProcess:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **env},
                limit=LINE_LIMIT,
                start_new_session=True,
            )
        except OSError as error:
            raise ConnectionLost(f"{argv[0]}: {error.strerror}") from error
        return cls(process)

    def write(self, data: bytes) -> None:
        self._stdin.write(data)

    async def drain(self) -> None:
        try:
            await self._stdin.drain()
        except OSError as error:
            raise ConnectionLost(f"the process takes no more: {error}") from error

    async def end_input(self) -> None:
        with suppress(OSError):
            await self._stdin.drain()
            self._stdin.close()

    async def wait(self) -> int:
        code = await self._process.wait()
        return 128 - code if code < 0 else code

    async def close(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(OSError):
            self._stdin.close()


class SshProcess:
    """A process on an SSH host, in a session of a connection."""

    def __init__(self) -> None:
        self.stdout = asyncio.StreamReader(limit=LINE_LIMIT)
        self.stderr = asyncio.StreamReader(limit=LINE_LIMIT)
        self._channel: Any = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._over = asyncio.Event()

    def write(self, data: bytes) -> None:
        if not self._over.is_set():
            self._channel.write(data)

    async def drain(self) -> None:
        await self._writable.wait()
        if self._over.is_set():
            raise ConnectionLost("the process takes no more")

    async def end_input(self) -> None:
        with suppress(OSError):
            self._channel.write_eof()

    async def wait(self) -> int:
        await self._over.wait()
        code = self._channel.get_returncode()
        if code is None:
            raise ConnectionLost("the connection broke before the command ended")
        return 128 - code if code < 0 else int(code)

    async def close(self) -> None:
        self._channel.abort()

    # What asyncssh calls.
    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        for reader in (self.stdout, self.stderr):
            reader.set_transport(cast(asyncio.Transport, chan))

    def data_received(self, data: bytes, datatype: int | None) -> None:
        (self.stdout if datatype is None else self.stderr).feed_data(data)

    def eof_received(self) -> bool:
        return True  # the other direction stays open

    def connection_lost(self, exc: Exception | None) -> None:
        self._over.set()
        self._writable.set()
        for reader in (self.stdout, self.stderr):
            if exc is None:
                reader.feed_eof()
            else:
                reader.set_exception(ConnectionLost(f"the connection broke: {exc}"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


class SshProcesses:
    """Starts processes on one host, over as many connections as their number takes."""

    def __init__(self, target: SshTarget) -> None:
        self._target = target
        self._places: list[tuple[asyncssh.SSHClientConnection, list[SshProcess]]] = []
        self._turn = asyncio.Lock()

    async def start(self, argv: Sequence[str], env: Mapping[str, str]) -> Process:
        """Raises what ``stix.remote.ssh_connect.connect`` raises."""
        import asyncssh

        pairs = [f"{name}={value}" for name, value in env.items()]
        command = shlex.join([*(["env", *pairs] if pairs else []), *argv])

        class Session(SshProcess, asyncssh.SSHClientSession[bytes]):
            """With all that asyncssh expects besides."""

        while True:
            connection, users = await self._place()
            users.append(process := Session())
            if await _opened(connection, process, command, self._target):
                return process
            users.extend([process] * SESSIONS)  # the connection takes no more

    async def _place(self) -> tuple[asyncssh.SSHClientConnection, list[SshProcess]]:
        from stix.remote.ssh_connect import connect

        async with self._turn:
            self._places = [place for place in self._places if not place[0].is_closed()]
            for connection, users in self._places:
                users[:] = [user for user in users if not user._over.is_set()]
                if len(users) < SESSIONS:
                    return connection, users
            self._places.append((await connect(self._target), []))
            return self._places[-1]

    async def close(self) -> None:
        places, self._places = self._places, []
        for connection, _ in places:
            connection.abort()
            await connection.wait_closed()


async def _opened(
    connection: asyncssh.SSHClientConnection, process: Any, command: str, target: SshTarget
) -> bool:
    import asyncssh

    from stix.remote.ssh_connect import typed

    with typed(target):
        try:
            await connection.create_session(lambda: process, command, encoding=None)
        except asyncssh.ChannelOpenError:
            return False
    return True
