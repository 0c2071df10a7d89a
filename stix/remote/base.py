"""The interface of a runner: how to run a command and move a file on one node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stix.errors import StixError


class RemoteError(StixError):
    """The way to the node failed (not the command)."""


class ConnectionLost(RemoteError):
    """The node did not answer, or the connection broke."""


class HostKeyError(RemoteError):
    """The host's key is not the known one."""


class LoginRefused(RemoteError):
    """The host refused the key or the user."""


@dataclass(frozen=True)
class Completed:
    """A command that ended. ``exit_code`` is 128 + signal number where a signal ended it."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Stream(Protocol):
    """A byte stream to a process or a socket on the node."""

    reader: asyncio.StreamReader

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    async def close(self) -> None: ...


class Runner(Protocol):
    """A way to one node. Safe for concurrent use; paths on the node are absolute or start by ~."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run to the end. Never put a secret in ``argv`` or ``env``: use ``input``.

        Raises:
            ConnectionLost: the connection broke; the command may be running still.
            TimeoutError: ``timeout`` seconds passed; the command was killed where possible.
        """

    async def open_unix(self, path: str) -> Stream:
        """Connect to a Unix socket on the node.

        Raises:
            ConnectionLost: nobody listens there, or the node is gone.
        """

    async def put(self, source: Path, target: str) -> None:
        """Copy a local file, or the content of a directory, to ``target`` on the node.

        Directories travel as one tar stream; modes and links are kept, owners are not.
        """

    async def get(self, source: str, target: Path) -> None:
        """Copy a file, or the content of a directory, from the node to ``target`` here.

        Raises:
            FileNotFoundError: there is no ``source``.
        """

    def forward(self, port: int, host: str = "127.0.0.1") -> AbstractAsyncContextManager[int]:
        """Make ``host:port``, seen from the node, reachable here; gives the local port."""

    async def close(self) -> None: ...


async def lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream until its end."""
    while line := await reader.readline():
        yield line
