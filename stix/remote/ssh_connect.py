"""Make an SSH connection, and give asyncssh's errors our names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncssh

from stix.remote.base import ConnectionLost, HostKeyError, LoginRefused, RemoteError
from stix.remote.host_keys import HostKeys
from stix.remote.ssh_target import SshTarget

KEEPALIVE_SECONDS = 5
KEEPALIVE_COUNT = 3
CONNECT_SECONDS = 20
SSH_PORT = 22
SIGNATURES = {"ssh-rsa": ["rsa-sha2-256", "rsa-sha2-512"]}


class _Client(asyncssh.SSHClient):
    """Asks our own file about the host's key."""

    def __init__(self, keys: HostKeys, host: str) -> None:
        self._keys = keys
        self._host = host
        self.refused = False

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        algorithm, text = key.export_public_key("openssh").decode().split()[:2]
        self.refused = not self._keys.accept(self._host, port, algorithm, text)
        return not self.refused


@contextmanager
def typed(target: SshTarget) -> Iterator[None]:
    """Raise what ``stix.remote.base`` promises."""
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        raise HostKeyError(
            f"the host key of {target} is not the known one: {error.reason}",
            fix=f"if the host was set up anew, remove its line from {target.known_hosts}",
        ) from error
    except (asyncssh.PermissionDenied, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as e:
        raise LoginRefused(
            f"{target} refused the login: {e}", fix="check the user and identity file of the host"
        ) from e
    except (asyncssh.Error, OSError) as error:
        own = isinstance(error, TimeoutError) and error.errno is None  # not the network's
        if own or isinstance(error, FileNotFoundError):
            raise
        raise ConnectionLost(f"lost the way to {target}: {error}") from error


async def connect(target: SshTarget) -> asyncssh.SSHClientConnection:
    """A new connection.

    Raises:
        ConnectionLost: the host cannot be reached.
        HostKeyError: its key changed.
        LoginRefused: it refused us, or the key file cannot be used.
    """
    keys = HostKeys(target.known_hosts)
    jump = target.jump()
    tunnel = await connect(jump) if jump else ()
    client = _Client(keys, target.host)
    options = _options(target, keys)
    try:
        with typed(target):
            connection, _ = await asyncssh.create_connection(
                lambda: client, target.host, tunnel=tunnel, **options
            )
    except FileNotFoundError as error:
        raise LoginRefused(
            f"the key file of {target} does not exist: {error.filename}",
            fix="correct identity_file",
        ) from error
    except TimeoutError as error:
        raise ConnectionLost(f"{target} did not answer within {CONNECT_SECONDS} s") from error
    except RemoteError:
        if tunnel:
            tunnel.abort()
        raise
    return connection


def _options(target: SshTarget, keys: HostKeys) -> dict[str, Any]:
    known = keys.known(target.host, target.port or SSH_PORT)
    options: dict[str, Any] = {
        # No trusted keys here: every key goes to validate_host_public_key.
        "known_hosts": lambda host, addr, port: ([], [], []),
        "keepalive_interval": KEEPALIVE_SECONDS,
        "keepalive_count_max": KEEPALIVE_COUNT,
        "connect_timeout": CONNECT_SECONDS,
        "login_timeout": CONNECT_SECONDS,
        "compression_algs": None,
        "gss_host": None,
    }
    if known:
        # Ask for the kind of key we know: a host may have several.
        algorithms = [SIGNATURES.get(a, [a]) for a in known]
        options["server_host_key_algs"] = [a for group in algorithms for a in group]
    if target.port is not None:
        options["port"] = target.port
    if target.user is not None:
        options["username"] = target.user
    if target.identity_file is not None:
        options["client_keys"] = [str(target.identity_file.expanduser())]
        options["agent_path"] = None
    if target.password is not None:
        options["password"] = target.password
    return options
