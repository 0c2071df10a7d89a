"""SSH hosts made of Linux namespaces: own network, processes, root file system and a real sshd.

The fixture ``hosts`` gives a ``HostFarm``.  Where the machine cannot make namespaces, its tests
are skipped, and fail in CI.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

INIT = Path(__file__).with_name("host_init.sh")
STATES = Path(tempfile.gettempdir()) / f"stix-hosts-{os.getuid()}"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = ("ip", "unshare", "tini", "sshd", "ssh-keygen")
START_SECONDS = 20.0
SLOTS = 7  # networks 10.77.0.0/24 to 10.77.6.0/24


class HostsUnavailable(Exception):
    """This machine cannot make hosts."""


@dataclass(frozen=True)
class Image:
    """What a host is like.

    Attributes:
        path: PATH of its SSH sessions.
        shown: Directories below the home of this machine that stay visible there (a Python).
        disk: Size of its root's tmpfs.
        sshd: More lines for sshd_config.
        user: Somebody besides root to log in as.
        authorized: Public keys that may, in place of the farm's own.
        keeps: Its root and its homes are as they were after the next boot.
        roomy: The home of root lies on the disk of this machine, not in its memory.
    """

    path: str = DEFAULT_PATH
    shown: tuple[str, ...] = ()
    disk: str = "1g"
    sshd: str = ""
    user: str = ""
    authorized: tuple[str, ...] = ()
    keeps: bool = False
    roomy: bool = False


@dataclass
class SshHost:
    """One host."""

    name: str
    address: str
    state: Path
    veth: str
    image: Image
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)


class HostFarm:
    """Makes hosts, cuts their power and their network, and removes all of them.

    Up to seven farms live side by side; each has a bridge, and names that tell its slot.
    """

    def __init__(self) -> None:
        missing = [name for name in PROGRAMS if not _which(name)]
        if missing or os.geteuid() != 0:
            raise HostsUnavailable(f"need root and the programs {', '.join(missing) or 'here'}")
        STATES.mkdir(mode=0o700, exist_ok=True)
        self._lock, self._slot = _take_slot()
        self._bridge = f"stixbr{self._slot}"
        self._net = f"10.77.{self._slot}"
        self._root = STATES / str(self._slot)
        _clear(self._slot)
        self._root.mkdir(mode=0o700)
        self.identity = self._root / "id"
        _key(self.identity)
        _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "addr", "add", f"{self._net}.1/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")
        self._hosts: dict[str, SshHost] = {}
        self._next = 10

    @property
    def hosts(self) -> Mapping[str, SshHost]:
        return self._hosts

    @property
    def network(self) -> str:
        """The first three numbers of the hosts' addresses."""
        return self._net

    def up(self, image: Image | None = None, count: int = 1) -> list[SshHost]:
        """Start hosts; they answer on port 22 when this returns."""
        made = []
        for number in range(self._next, self._next + count):
            made.append(self._prepare(image or Image(), number))
        self._next += count
        for host in made:
            self._start(host)
        for host in made:
            self._await(host)
        return made

    def begin(self, image: Image, number: int) -> SshHost:
        """Start the host of this last number of an address; it answers some time later."""
        host = self._prepare(image, number)
        self._start(host)
        return host

    def down(self, host: SshHost) -> None:
        """Cut the power: every process ends, nothing answers."""
        if host.process is not None:
            host.process.kill()
            host.process.wait()
            host.process = None
        self.cut(host)

    def boot(self, host: SshHost, *, new_key: bool = False) -> None:
        """Power on again, with an empty disk unless its image keeps it."""
        if new_key:
            for path in host.state.glob("host_key*"):
                path.unlink()
            _key(host.state / "host_key")
        self.uncut(host)
        self._start(host)
        self._await(host)

    def cut(self, host: SshHost) -> None:
        """Pull the network cable; processes go on."""
        _run("ip", "link", "set", host.veth, "down")

    def uncut(self, host: SshHost) -> None:
        """Plug it in again; a running host answers when this returns."""
        _run("ip", "link", "set", host.veth, "up")
        if host.process is not None:
            self._await(host)

    def rm(self, host: SshHost) -> None:
        """Remove a host for good."""
        self.down(host)
        _run("ip", "netns", "del", host.name)
        _run("ip", "link", "del", host.veth, check=False)
        _unmount(host.state)
        shutil.rmtree(host.state, ignore_errors=True)
        self._hosts.pop(host.name, None)

    def close(self) -> None:
        for host in list(self._hosts.values()):
            self.rm(host)
        _clear(self._slot)
        os.close(self._lock)

    def _prepare(self, image: Image, number: int) -> SshHost:
        name = f"stix{self._slot}-{number}"
        host = SshHost(
            name, f"{self._net}.{number}", self._root / name, f"sv{self._slot}-{number}", image
        )
        host.state.mkdir()
        _key(host.state / "host_key")
        if image.authorized:
            (host.state / "authorized_keys").write_text("\n".join(image.authorized) + "\n")
        self._hosts[name] = host
        if image.roomy:
            (host.state / "roomy").mkdir(mode=0o700)
        if image.keeps:
            top = host.state / "m"
            top.mkdir()
            _run("mount", "-t", "tmpfs", "-o", f"size={image.disk},mode=755", name, str(top))
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", host.veth, "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "link", "set", host.veth, "master", self._bridge, "up")
        _run("ip", "-n", name, "addr", "add", f"{host.address}/24", "dev", "eth0")
        for link in ("eth0", "lo"):
            _run("ip", "-n", name, "link", "set", link, "up")
        _run("ip", "-n", name, "route", "add", "default", "via", f"{self._net}.1")
        return host

    def _start(self, host: SshHost) -> None:
        env = {
            "PATH": DEFAULT_PATH,
            "NAME": host.name,
            "STATE": str(host.state),
            "KEYS": str(self._root),
            "SESSION_PATH": host.image.path,
            "SHOWN": " ".join(host.image.shown),
            "DISK": host.image.disk,
            "SSHD_EXTRA": host.image.sshd,
            "LOGIN": host.image.user,
        }
        spaces = ["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        with (host.state / "log").open("ab") as log:
            host.process = subprocess.Popen(
                ["ip", "netns", "exec", host.name, "unshare", *spaces, "bash", str(INIT)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (host.state / "pid").write_text(str(host.process.pid))

    def _await(self, host: SshHost) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if host.process is None or host.process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection((host.address, 22), timeout=1) as s:
                if s.recv(4) == b"SSH-":
                    return
            time.sleep(0.02)
        raise HostsUnavailable(f"{host.name} has no sshd: {(host.state / 'log').read_text()}")


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{DEFAULT_PATH}")


def _run(*argv: str, check: bool = True) -> None:
    done = subprocess.run(
        argv, env={"PATH": DEFAULT_PATH}, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise HostsUnavailable(f"{' '.join(argv)}: {done.stderr.strip()}")


def _unmount(state: Path) -> None:
    """The disk of a host that keeps it."""
    if os.path.ismount(state / "m"):
        _run("umount", "-l", str(state / "m"), check=False)


def _key(path: Path) -> None:
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "stix-test", "-f", str(path))


def _take_slot() -> tuple[int, int]:
    """A slot that no living process holds; the lock goes with the process."""
    for slot in range(SLOTS):
        descriptor = os.open(STATES / f"{slot}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        return descriptor, slot
    raise HostsUnavailable("all slots for hosts are taken")


def _clear(slot: int) -> None:
    """Remove what an earlier owner of the slot left behind, if it was killed."""
    root = STATES / str(slot)
    for path in root.glob("*"):
        _unmount(path)
    for path in root.glob("*/pid"):
        pid = int(path.read_text())
        with suppress(OSError):
            sign = f"STATE={path.parent}\0".encode()
            if sign in Path(f"/proc/{pid}/environ").read_bytes():
                os.killpg(pid, signal.SIGKILL)
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
    for line in listed.stdout.splitlines():
        name = line.split()[0]
        if name.startswith(f"stix{slot}-"):
            _run("ip", "netns", "del", name, check=False)
            _run("ip", "link", "del", name.replace("stix", "sv"), check=False)
    _run("ip", "link", "del", f"stixbr{slot}", check=False)
    shutil.rmtree(root, ignore_errors=True)


def _strict() -> bool:
    return any(os.environ.get(k, "").lower() in {"1", "true"} for k in ("CI", "STIX_CI_STRICT"))


@pytest.fixture(scope="session")
def hosts() -> Iterator[HostFarm]:
    """A farm of SSH hosts, empty at first."""
    try:
        farm = HostFarm()
    except HostsUnavailable as error:
        if _strict():
            pytest.fail(f"no SSH hosts on this machine: {error}")
        pytest.skip(f"no SSH hosts on this machine: {error}")
    try:
        yield farm
    finally:
        farm.close()
