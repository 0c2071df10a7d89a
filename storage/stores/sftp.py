"""Objects as files of a host that SSH leads to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from stix.storage.base import Access, Denied, MountPlan, NotInStore, StorageError
from stix.storage.stores.common import PerProcess

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from stix.remote.ssh_target import SshTarget
    from stix.storage.stores.sftp_fs import Line

_FIX = "Write sftp://[user@]host[:port]/absolute/path."


@dataclass(frozen=True)
class SftpOptions:
    """The way in. What is None comes from ``~/.ssh/config``, the agent and the usual keys.

    Attributes:
        host: Of the URL; an alias of ``~/.ssh/config`` is fine.
        identity_file: Private key.
        known_hosts: File of host keys: the first key of a host is kept, a changed one refused.
        proxy_jump: ``[user@]host[:port]`` to go through.
    """

    host: str = ""
    user: str | None = None
    port: int | None = None
    identity_file: str | None = None
    password: str | None = field(default=None, repr=False)
    known_hosts: str | None = None
    proxy_jump: str | None = None


class SftpStore:
    """Files of one host, addressed as ``sftp://user@host:22/path``.

    `put_if_absent` gives a complete file a second name, which a server refuses where that name is
    taken. There is no version to compare, so nothing is replaced on a condition.

    Args:
        options: The fields of `SftpOptions`.
    """

    scheme: ClassVar[str] = "sftp"

    def __init__(self, **options: Any) -> None:
        self._options = SftpOptions(**options)
        self._filesystems = PerProcess(self._make)

    @classmethod
    def for_url(cls, url: str, **options: Any) -> SftpStore:
        """With the host that the URL names.

        Raises:
            StorageError: It names none, or holds a password.
        """
        parts = _parts(url)
        named = {"host": parts.hostname, "user": parts.username, "port": parts.port}
        given = {name: value for name, value in named.items() if value is not None}
        if parts.username:
            given["user"] = unquote(parts.username)
        return cls(**{**given, **options})

    def __repr__(self) -> str:
        return f"SftpStore({self._options.host or 'no host'})"

    def filesystem(self) -> AbstractFileSystem:
        return self._filesystems.get()

    def _make(self) -> AbstractFileSystem:
        from stix.storage.stores.sftp_fs import SftpFileSystem

        return SftpFileSystem(self._line(), skip_instance_cache=True)

    def _line(self) -> Line:
        from stix.storage.stores.sftp_fs import Line

        return Line(self._target())

    def _target(self) -> SshTarget:
        from stix.remote.ssh_target import SshTarget

        o = self._options
        if not o.host:
            raise StorageError("No host is named.", fix=_FIX)
        home = os.environ.get("STIX_HOME")
        known = Path(home) / "known_hosts" if home else Path("~/.ssh/known_hosts").expanduser()
        return SshTarget(
            o.host,
            Path(o.known_hosts) if o.known_hosts else known,
            o.port,
            o.user,
            Path(o.identity_file) if o.identity_file else None,
            o.password,
            o.proxy_jump,
        )

    def path(self, url: str) -> str:
        parts = _parts(url)
        if self._options.host and parts.hostname != self._options.host.lower():
            raise StorageError(
                f"{parts.hostname} is another host than {self._options.host}.",
                fix="Open a store for each host.",
            )
        # Taken as it is written: what a URL would call query and fragment is part of the name.
        path = url.partition("://")[2].partition("/")[2]
        if not path:
            raise StorageError("This URL names no path of the host.", fix=_FIX)
        return f"/{path}"

    def put(self, url: str, data: bytes) -> None:
        path = self.path(url)
        with self.errors(url):
            self.filesystem().pipe_file(path, data)

    def put_if_absent(self, url: str, data: bytes) -> bool:
        path = self.path(url)
        with self.errors(url):
            if self.filesystem().exists(path):
                return False
            try:
                self.filesystem().pipe_file(path, data, mode="create")
            except FileExistsError:
                return False
        return True

    def copy(self, source: str, target: str) -> bool:
        """On the host itself, where its server can."""
        from asyncssh import SFTPOpUnsupported

        try:
            original, path = self.path(source), self.path(target)
        except StorageError:
            return False
        with self.errors(source):
            try:
                self.filesystem().cp_file(original, path)
            except OSError as error:
                if SFTPOpUnsupported.__name__ not in str(error):
                    raise
                return False
        return True

    def own_access(self, url: str) -> Access:
        """The private key, and the keys by which the host is known.

        Raises:
            Denied: There is no key file without a passphrase, or the host was never seen.
        """
        from stix.remote.host_keys import HostKeys

        o, target = self._options, self._target()
        usual = [Path("~/.ssh") / f"id_{kind}" for kind in ("ed25519", "ecdsa", "rsa")]
        files = [target.identity_file] if target.identity_file else usual
        found = [f.expanduser() for f in files if f.expanduser().is_file()]
        known = HostKeys(target.known_hosts).known(target.host, target.port or 22)
        if not found or not known or o.proxy_jump:
            raise Denied(
                f"{url}: a node gets in by a key file alone, to a host that is known here.",
                fix="Make ~/.ssh/id_ed25519 without a passphrase, and add it to the host.",
            )
        options = {
            "key_pem": found[0].read_text(encoding="utf-8").replace("\n", "\\n"),
            "host_keys": ",".join(f"{kind} {key}" for kind, key in known.items()),
        }
        return Access({}, options, None, f"all that the key of {target} may do")

    def mount_plan(self, url: str, *, write: bool) -> MountPlan:
        """For rclone and sshfs, which take the key from the SSH agent or configuration."""
        o, path = self._options, self.path(url).rstrip("/")
        rclone = {"type": "sftp", "host": o.host, "shell_type": "none"}
        user = f"{o.user}@" if o.user else ""
        sshfs = [f"{user}{o.host}:{path}", "-o", "reconnect"]
        if o.user:
            rclone["user"] = o.user
        if o.port:
            rclone["port"] = str(o.port)
            sshfs += ["-p", str(o.port)]
        if not write:
            sshfs += ["-o", "ro"]
        return MountPlan(rclone, path, {"sshfs": sshfs})

    @contextmanager
    def errors(self, url: str) -> Iterator[None]:
        from asyncssh import Error as SshError

        from stix.remote.base import HostKeyError, LoginRefused, RemoteError

        try:
            yield
        except FileNotFoundError:
            raise NotInStore(f"{url} does not exist.", fix="Check the path.") from None
        except (LoginRefused, HostKeyError) as error:
            raise Denied(f"{url}: {_short(error)}.", fix=error.fix or _FIX) from None
        except PermissionError:
            raise Denied(
                f"{url}: permission denied.", fix="Give the user of the host the right to it."
            ) from None
        except (RemoteError, SshError, OSError) as error:
            fix = getattr(error, "fix", "") or "Check the host, the network and the path."
            raise StorageError(f"{url}: {_short(error)}.", fix=fix) from None


def _short(error: Exception) -> str:
    return str(getattr(error, "message", "") or error or type(error).__name__).rstrip(".")


def _parts(url: str) -> Any:
    try:
        parts = urlsplit(url)
        known = parts.scheme == "sftp" and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known:
        raise StorageError("This is not the URL of a path on a host.", fix=_FIX)
    if parts.password is not None:
        raise StorageError(
            "A URL must not hold a password.", fix="Use a key, or the store's option password."
        )
    return parts
