"""Which SSH host, and the way in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SshTarget:
    """A host and the way in.

    Attributes:
        host: Name or address; an alias of ``~/.ssh/config`` is fine.
        known_hosts: Our own file of host keys: the first key of a host is trusted and kept, a
            changed one is refused.
        port: None takes what ``~/.ssh/config`` says, else 22.
        user: None takes what ``~/.ssh/config`` says, else the local user.
        identity_file: Private key; None tries the SSH agent and the usual files.
        proxy_jump: ``[user@]host[:port]`` to go through, with the same key.
        bridge: Command that joins its standard streams to the Unix socket named by its last
            argument (``HostAgent.bridge_command``), for hosts that forbid socket forwarding.
    """

    host: str
    known_hosts: Path
    port: int | None = None
    user: str | None = None
    identity_file: Path | None = None
    password: str | None = field(default=None, repr=False)
    proxy_jump: str | None = None
    bridge: tuple[str, ...] = ()

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{user}{self.host}" + (f":{self.port}" if self.port else "")

    def jump(self) -> SshTarget | None:
        """The host to go through."""
        if not self.proxy_jump:
            return None
        user, _, place = self.proxy_jump.rpartition("@")
        host, _, port = place.partition(":")
        return SshTarget(
            host=host,
            known_hosts=self.known_hosts,
            port=int(port) if port else None,
            user=user or None,
            identity_file=self.identity_file,
            password=self.password,
        )
