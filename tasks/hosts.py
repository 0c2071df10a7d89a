"""The hosts that nodes live on: their agents, what they cannot reach, and whose turn it is there.

Several nodes of an SSH host share its base directory, and with it the files of artifacts that came
there once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import posixpath
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from stix.clouds.base import Node
from stix.remote.agent import HostAgent
from stix.remote.base import Runner
from stix.remote.local import LocalRunner
from stix.storage.base import Signed

CALLS_AT_ONCE = 3
"""Of those that move data: sshd allows ten sessions for all purposes."""
CUT_OFF_S = 300.0
"""A host that could not reach a store is not sent there again for so long."""
SEVERAL = frozenset({"ssh", "local", "slurm"})
"""Clouds where other nodes may use the same base directory, now or later."""


@dataclass
class Host:
    """What an engine remembers of one base directory on one host.

    Attributes:
        base: Its path there.
        calls: Held while data is moved by the host itself.
        passing: Held while the engine passes data on, so that each chunk goes there once.
        cut_off: Server to the time at which the host failed to reach it.
    """

    base: str
    calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_AT_ONCE))
    passing: asyncio.Lock = field(default_factory=asyncio.Lock)
    cut_off: dict[str, float] = field(default_factory=dict)

    def may_reach(self, runner: Runner, signed: Signed) -> bool:
        """Whether the host should be sent to the server of a request."""
        parts = urlsplit(signed.url)
        if not isinstance(runner, LocalRunner) and _loopback(parts.hostname or ""):
            return False  # our own loopback: there, it would be something else
        return time.monotonic() - self.cut_off.get(parts.netloc, -CUT_OFF_S) >= CUT_OFF_S

    def failed(self, signed: Signed) -> None:
        """It could not reach that server."""
        self.cut_off[urlsplit(signed.url).netloc] = time.monotonic()


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, ...], Host]]
_known = WeakKeyDictionary()


def host_of(node: Node) -> Host:
    """The host of a node, the same for all nodes that share a base directory."""
    # <base>/nodes/<id>: the agent that made the node lies at the base.
    base = posixpath.dirname(posixpath.dirname(node.directory))
    alone = () if node.ref.cloud in SEVERAL else (node.ref.id,)
    key = (node.ref.cloud, node.ref.region, node.ref.zone or "", node.address, base, *alone)
    return _known.setdefault(asyncio.get_running_loop(), {}).setdefault(key, Host(base))


def agent_of(runner: Runner, node: Node) -> HostAgent:
    """The agent's commands on the node's host."""
    return HostAgent(runner, host_of(node).base)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
