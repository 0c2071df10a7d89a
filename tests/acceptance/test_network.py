"""A run on this machine speaks to this machine only."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import CONFIG
from tests.acceptance.leftovers import leftovers
from tests.acceptance.user import COMMAND, User
from tests.support.server import NewServer, ServerHome, make_home

pytestmark = pytest.mark.server

PIPELINE = """
name: quiet
stages:
  make:
    matrix: {n: [1, 2, 3]}
    run: echo "$n" > out; sleep 2
    outputs: {out: out}
  use:
    inputs: {all: make.out}
    run: cat inputs/all/*; sleep 2
"""
OFFLINE = Path(__file__).with_name("offline.py")


class Sockets:
    """Addresses of every internet socket of the processes of a home, until it is left."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.seen: set[tuple[str, str]] = set()
        self.processes: set[str] = set()
        self.looks = 0
        self._others: Counter[int] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Sockets:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            for pid in psutil.pids():
                # A look must be quick to meet a command that is short.
                if self._others[pid] < 5:
                    with contextlib.suppress(psutil.Error, OSError):
                        self._consider(psutil.Process(pid))
            self.looks += 1

    def _consider(self, process: psutil.Process) -> None:
        if self._ours(process):
            self._look(process)
        else:
            self._others[process.pid] += 1

    def _ours(self, process: psutil.Process) -> bool:
        if process.environ().get("STIX_HOME") == str(self.home):
            return True
        words = [process.cwd(), *process.cmdline()]
        return any(word.startswith(str(self.home)) for word in words)

    def _look(self, process: psutil.Process) -> None:
        name = " ".join(process.cmdline())
        self.processes.add(name)
        for connection in process.net_connections(kind="inet"):
            for end in (connection.laddr, connection.raddr):
                if end:
                    self.seen.add((name, end.ip))

    def outside(self) -> list[tuple[str, str]]:
        """Process and address of each end that is not on loopback."""
        return [each for each in tuple(self.seen) if not ipaddress.ip_address(each[1]).is_loopback]


def test_every_socket_is_on_loopback(new_server: NewServer, tmp_path: Path) -> None:
    server = new_server(CONFIG, started=False)
    user = User(server, tmp_path)
    with Sockets(server.home) as sockets:
        server.start()
        user.cli("run", user.write(PIPELINE))
        user.cli("artifacts", "ls")
    assert sockets.outside() == []
    assert sockets.looks > 10
    with_sockets = {name for name, _ in sockets.seen}
    for word in ("stix.server.app", "stix.server.engine", "stix.cli.main run"):
        assert [name for name in with_sockets if word in name], (word, with_sockets)
    assert [name for name in sockets.processes if "agent-" in name], sockets.processes
    assert leftovers(server) == {}


def test_the_look_sees_sockets(own_server: ServerHome) -> None:
    """A process of the home that listens on all addresses is found."""
    script = "import socket, time; s = socket.create_server(('0.0.0.0', 0)); time.sleep(600)"
    env = {**os.environ, "STIX_HOME": str(own_server.home)}
    process = subprocess.Popen([sys.executable, "-c", script], env=env)
    try:
        with Sockets(own_server.home) as sockets:
            while not sockets.outside() and sockets.looks < 200:
                time.sleep(0.05)
        assert {ip for _, ip in sockets.outside()} == {"0.0.0.0"}
    finally:
        process.kill()
        process.wait()


def test_a_run_without_any_network() -> None:
    """In a network namespace with nothing but ``lo``: no address, no route, no name service."""
    home = make_home(CONFIG)
    server = ServerHome(home)
    folder = home / "work"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(PIPELINE)
    env = {**os.environ, "STIX_HOME": str(home)}
    try:
        inside = ["unshare", "--net", sys.executable, str(OFFLINE), str(folder), *COMMAND]
        done = subprocess.run(inside, env=env, capture_output=True, text=True, check=False)
        if "unshare failed" in done.stderr:
            pytest.skip(f"this machine cannot make a network namespace: {done.stderr}")
        assert done.returncode == 0, done.stdout + done.stderr
        said = json.loads(done.stdout)
        assert said["interfaces"] == ["lo"]
        assert said["run"]["state"] == "succeeded"
        assert said["exit_codes"] == {"run": 0, "show": 0, "stop": 0}
    finally:
        server.clean()
    assert server.everything() == []
