"""The way to one host of a pool: a shared connection, the agent there, and typed errors."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from stix.clouds.agents import cloud_error
from stix.clouds.errors import CloudError, InvalidRequest, TransientError
from stix.clouds.hosts import HostFacts
from stix.clouds.ssh.pools import Host
from stix.errors import StixError
from stix.remote.agent import HostAgent
from stix.remote.base import ConnectionLost
from stix.remote.ssh_target import SshTarget

T = TypeVar("T")
BASE = "~/.stix"
FAILURE_SECONDS = 30.0
REACH_SECONDS = 6.0
COMMANDS_AT_ONCE = 4  # they wait for one lock there; sshd allows 10 sessions for all purposes


class UnknownHost(InvalidRequest):
    """No such pool or host in the file, or its name leads nowhere."""


class Unreachable(TransientError):
    """The host does not answer, or the connection broke."""


class HostLink:
    """One host. Its connection is made at the first use and shared by all that go there.

    Args:
        host: Entry of the file of pools.
        known_hosts: Our own file of host keys.
    """

    def __init__(self, host: Host, known_hosts: Path) -> None:
        # asyncssh takes 0.2 s to load: only engines that use SSH hosts pay for it.
        from stix.remote.ssh import SshRunner

        self.host = host
        self.place = f"ssh/{host.pool}/{host.name}"
        self.pending = 0
        """Nodes that this process is making there now."""
        self.started = 0
        """Nodes that it has begun to make there, ever."""
        self.runner = SshRunner(
            SshTarget(
                host=host.name,
                known_hosts=known_hosts,
                port=host.port,
                user=host.user,
                identity_file=host.identity_file,
                password=host.password,
            )
        )
        self.agent = HostAgent(self.runner, BASE)
        self._address = ""
        self._reached = False
        self._reaching = asyncio.Lock()
        self._failure: tuple[float, ConnectionLost] | None = None
        self._commands = asyncio.Semaphore(COMMANDS_AT_ONCE)

    async def call(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do something on the host. One that did not answer is left alone for a while.

        Raises:
            CloudError: typed, with the place in its message.
        """
        try:
            await self._reach()
            async with self._commands:
                return await act()
        except StixError as error:
            # A connection may break although the host is well: the next call makes sure.
            self._reached = self._reached and not isinstance(error, ConnectionLost)
            raise self._typed(error) from error

    async def _reach(self) -> None:
        """The first contact, for which a host that is off must not keep others waiting."""
        asked = asyncio.get_running_loop().time()
        async with self._reaching:
            if self._reached:
                return
            if self._failure is not None and asked - self._failure[0] < FAILURE_SECONDS:
                raise self._failure[1]
            try:
                await self._greet()
            except ConnectionLost as error:
                self._failure = (asyncio.get_running_loop().time(), error)
                raise
            self._reached = True
            self._failure = None

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(REACH_SECONDS):
                await self.runner.run(["true"])
        except TimeoutError as error:
            raise ConnectionLost(f"no answer within {REACH_SECONDS:g} s") from error

    def forget_failure(self) -> None:
        """Ask the host again, although it failed a moment ago."""
        self._failure = None

    async def ready(self) -> None:
        """Have the agent on the host, also as the way to sockets where forwarding is forbidden."""
        command = await self.call(self.agent.bridge_command)
        self.runner.target = replace(self.runner.target, bridge=tuple(command))

    async def facts(self) -> HostFacts:
        return HostFacts.from_info(await self.call(self.agent.info))

    async def address(self) -> str:
        """The host's address for other hosts: what its name in ``~/.ssh/config`` stands for."""
        if not self._address:
            self._address = await _resolve(self.host.name)
        return self._address

    def _typed(self, error: StixError) -> CloudError:
        if isinstance(error, ConnectionLost) and isinstance(error.__cause__, socket.gaierror):
            return UnknownHost(
                f"{self.place}: no address is known for {self.host.name!r}",
                fix="correct the host in ssh_node_pools.yaml, or add it to ~/.ssh/config",
            )
        if isinstance(error, ConnectionLost):
            return Unreachable(
                f"{self.place}: {error.message}",
                fix=f"check that the host is up and that `ssh {self.host.name}` works",
            )
        return cloud_error(error, "zone", self.place)


async def _resolve(name: str) -> str:
    import asyncssh

    file = Path.home() / ".ssh" / "config"
    config = [str(file)] if os.access(file, os.R_OK) else []
    target = asyncssh.SSHClientConnectionOptions(host=name, config=config).host
    try:
        return str(ipaddress.ip_address(target))
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target, None, type=socket.SOCK_STREAM)
    except OSError:
        return str(target)
    return str(found[0][4][0])
