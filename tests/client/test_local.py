"""The local server starts itself: once, for whoever comes first, and again after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.client.http import ServerAway
from stix.client.local import ensure_server, read_server_file, running

pytestmark = pytest.mark.server

COMMAND = [sys.executable, "-m", "stix.cli.main"]


def environment(home: Path) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("STIX_", "PREFECT_"))}
    return {**keep, "STIX_HOME": str(home)}


def start(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "server", "start", "--output", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("STIX_URL", raising=False)
    folder = tmp_path / "home"
    yield folder
    done = subprocess.run(
        [*COMMAND, "server", "stop"],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert supervisors(folder) == []


def supervisors(home: Path) -> list[int]:
    """Ids of the supervisors of a home, by their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            argv = (place / "cmdline").read_bytes().split(b"\0")
            env = (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"stix.server" in argv and f"STIX_HOME={home}".encode() in env:
            found.append(int(place.name))
    return found


def test_without_a_server_nothing_is_started_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(ServerAway, match="server start"):
        ensure_server(tmp_path / "home", start=False)
    assert not (tmp_path / "home").exists()


def test_two_commands_at_once_start_one_server(home: Path) -> None:
    both = [start(home), start(home)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(supervisors(home)) == 1
    assert sum("starting the local STIX server" in error for _, error in said) == 1
    assert (home / "token").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.full
def test_a_killed_server_is_started_again_and_told_apart(home: Path) -> None:
    first = ensure_server(home)
    known = read_server_file(home)
    assert known is not None
    os.kill(known.pid, signal.SIGKILL)
    while supervisors(home):
        time.sleep(0.05)
    # The file still names the dead one.
    assert read_server_file(home) == known
    again = ensure_server(home)
    assert again.health()["ok"]
    assert running(home) is not None
    assert again.url == first.url  # the port is kept, so links stay good
    other = home.parent / "other"
    other.mkdir()
    for name in ("server.json", "token"):
        (other / name).write_bytes((home / name).read_bytes())
    assert running(other) is None  # it serves another folder


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("in the way")
    done = start(tmp_path)
    _, said = done.communicate(timeout=120)
    assert done.returncode == 1
    assert "Traceback" not in said
    assert "supervisor.log" in said
    assert "postgres" in said
