"""Find the server: the one that STIX_URL names, the local one, or a local one started now."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stix import __version__
from stix.client.api import Client
from stix.client.http import ApiError, ServerAway
from stix.errors import StixError

START_SECONDS = 180.0
"""How long a first start may take: PostgreSQL's initdb and Prefect's migrations on a slow disk."""
RESTART_SECONDS = 30.0
"""How long a supervisor that lives may take to bring its API back."""
TAIL_LINES = 20
LONG_SECRET = 8
"""Characters from which a secret is also looked for inside other values."""


def state_folder() -> Path:
    """STIX_HOME, by the rule of ``stix.config.Config.load`` but without reading the settings."""
    place = os.environ.get("STIX_HOME")
    if not place:
        from platformdirs import user_data_path

        place = str(user_data_path("stix"))
    return Path(place).expanduser().absolute()


@dataclass(frozen=True)
class ServerFile:
    """What ``server.json`` in the state folder says of the running server."""

    url: str
    pid: int
    token: str

    @property
    def alive(self) -> bool:
        """True while a process has that id; it may be another one after a reboot."""
        # Killed children of ours stay as zombies, which still have their id, until waited for.
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return not _is_zombie(self.pid)


def _is_zombie(pid: int) -> bool:
    """True for a dead process whose parent (a program that started the server) has not looked."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def read_server_file(home: Path) -> ServerFile | None:
    """The local server as it announced itself; None where none did."""
    try:
        data: dict[str, Any] = json.loads((home / "server.json").read_text(encoding="utf-8"))
        token = (home / "token").read_text(encoding="utf-8").strip()
        return ServerFile(str(data["url"]), int(data["pid"]), token)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return None
    except OSError as error:
        raise _unusable(home, error) from None


def ensure_server(
    home: Path | None = None, *, start: bool = True, hidden: Collection[str] = ()
) -> Client:
    """A client of a server that answers.

    Args:
        home: State folder of the local server; default STIX_HOME.
        start: Start the local server where none runs. A server of STIX_URL is never started.
        hidden: Values of secrets: a server that is started does not inherit variables with them.

    Raises:
        ServerAway: none answers, and none was to be started.
        StixError: it did not start; the message ends with the tail of its log.
    """
    if url := os.environ.get("STIX_URL"):
        return remote(url)
    folder = home or state_folder()
    client = running(folder)
    if client is not None:
        return client
    if not start:
        raise ServerAway(
            f"No STIX server runs for {folder}", fix="Start one with `stix server start`."
        )
    return start_server(folder, auto=True, hidden=hidden)


def remote(url: str) -> Client:
    """The server of STIX_URL, seen to answer; its token is STIX_TOKEN."""
    client = Client(url, os.environ.get("STIX_TOKEN"))
    client.health(timeout=10)
    return client


def running(home: Path) -> Client | None:
    """A client of the local server, if it answers now and serves this state folder."""
    known = read_server_file(home)
    # A server may answer for a moment after its supervisor was killed.
    if known is None or not known.alive:
        return None
    client = Client(known.url, known.token)
    try:
        health = client.health()
    except (ServerAway, ApiError):
        return None
    if Path(str(health.get("home", ""))).resolve() != home.resolve():
        return None
    if health.get("version") != __version__:
        _say(
            f"note: the running server is STIX {health.get('version')}, this is {__version__}; "
            "`stix server stop` makes the next command start the new one"
        )
    return client


def start_server(home: Path, *, auto: bool, hidden: Collection[str] = ()) -> Client:
    """Start the local server and wait until it answers; one start at a time per state folder."""
    with _starting(home):
        client = _await_restart(home)
        if client is not None:
            return client
        return _spawn(home, auto=auto, hidden=hidden)


def _await_restart(home: Path) -> Client | None:
    """Wait for a server that lives but does not answer: its supervisor restarts the API."""
    deadline = time.monotonic() + RESTART_SECONDS
    while True:
        client = running(home)
        known = read_server_file(home)
        if client is not None or known is None or not known.alive:
            return client
        if time.monotonic() > deadline:
            return None
        time.sleep(0.2)


def _spawn(home: Path, *, auto: bool, hidden: Collection[str]) -> Client:
    from stix.config import Config

    Config.load(home)  # a mistake in config.yaml is better told here than by a dying server
    log = home / "logs" / "server" / "supervisor.log"
    _make(log.parent, home)
    first = "" if (home / "postgres").is_dir() else " (first time: about 15 s)"
    _say(f"starting the local STIX server{first} ...")
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "stix.server", *(["--auto"] if auto else [])],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=home,
            env={**_environment(hidden), "STIX_HOME": str(home)},
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        code = process.poll()
        client = running(home)
        if client is not None:
            return client
        if code is not None:
            raise _no_start(f"ended with exit code {code}", log, begin)
        time.sleep(0.1)
    process.terminate()
    raise _no_start(f"did not answer within {START_SECONDS:g} s", log, begin)


def _environment(hidden: Collection[str]) -> dict[str, str]:
    """Ours, without the variables that secrets were taken from."""
    long = [value for value in hidden if len(value) >= LONG_SECRET]
    return {
        name: value
        for name, value in os.environ.items()
        if value not in hidden and not any(secret in value for secret in long)
    }


def _no_start(what: str, log: Path, begin: int) -> StixError:
    with log.open("rb") as file:
        file.seek(begin)
        tail = file.read().decode(errors="replace").rstrip().splitlines()[-TAIL_LINES:]
    said = "".join(f"\n  | {line}" for line in _without_traceback(tail))
    return StixError(
        f"The local STIX server {what}{said}", fix=f"Look at {log} and the logs beside it."
    )


def _without_traceback(lines: list[str]) -> list[str]:
    """Log lines, with a Python traceback cut to its last line: the log holds it whole."""
    kept: list[str] = []
    inside = False
    for line in lines:
        if line.startswith("Traceback "):
            inside = True
        elif inside and line.startswith((" ", "\t")):
            continue
        else:
            inside = False
            kept.append(line)
    return kept


@contextmanager
def _starting(home: Path) -> Iterator[None]:
    """Hold the state folder's start lock, so that two clients start one server."""
    _make(home, home)
    try:
        file = (home / "start.lock").open("ab")
    except OSError as error:
        raise _unusable(home, error) from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(folder: Path, home: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(home, error) from None


def _unusable(home: Path, error: OSError) -> StixError:
    return StixError(
        f"The state folder {home} cannot be used: {error.strerror}",
        fix="Set STIX_HOME to a directory that you can write.",
    )


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
