"""Real servers for tests, each in a short ``STIX_HOME`` of its own, and nothing left of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from stix.config import Config

START_S = 120.0
STOP_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What a call of the API gave."""

    status: int
    body: Any


def eventually(
    what: Callable[[], Any], *, seconds: float = 30.0, every: float = 0.05, hint: str = ""
) -> Any:
    """Call ``what`` until it gives something true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        result = what()
        if result:
            return result
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {seconds:g} s: {hint or what}")
        time.sleep(every)


@dataclass
class ServerHome:
    """One ``STIX_HOME`` and its server.

    Attributes:
        home: The state folder.
        arguments: Arguments of ``python -m stix.server``.
        env: What is added to our environment.
    """

    home: Path
    arguments: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    supervisor: subprocess.Popen[bytes] | None = None

    # -- what a client knows ----------------------------------------------------------------

    @property
    def about(self) -> dict[str, Any]:
        """Content of ``server.json``."""
        about: dict[str, Any] = json.loads((self.home / "server.json").read_text())
        return about

    @property
    def url(self) -> str:
        return str(self.about["url"])

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    def call(self, method: str, path: str, data: Any = None, *, token: str | None = None) -> Answer:
        """Call the STIX API: ``path`` is below ``/stix/v1``; ``data`` is JSON, or raw bytes."""
        raw = data if isinstance(data, bytes) or data is None else json.dumps(data).encode()
        kind = "application/x-tar" if isinstance(data, bytes) else "application/json"
        request = urllib.request.Request(
            f"{self.url}/stix/v1{path}",
            data=raw,
            method=method,
            headers={
                "Content-Type": kind,
                "Authorization": f"Bearer {self.token if token is None else token}",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as response:
                return Answer(response.status, _parsed(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _parsed(error.read()))

    def api(self, method: str, path: str, data: Any = None) -> Any:
        """As ``call``, for calls that must succeed; gives the body."""
        answer = self.call(method, path, data)
        assert answer.status < 400, f"{method} {path}: {answer}"
        return answer.body

    def wait_for_run(self, run: str, *, seconds: float = 120.0) -> dict[str, Any]:
        """The run, once it has ended."""

        def ended() -> Any:
            row = self.api("GET", f"/runs/{run}")
            return row if row["state"] in ("succeeded", "failed", "cancelled") else None

        row: dict[str, Any] = eventually(ended, seconds=seconds, every=0.2, hint=f"end of {run}")
        return row

    # -- processes --------------------------------------------------------------------------

    def start(self) -> ServerHome:
        """Start the server and wait until it serves."""
        self.spawn()
        self.wait_ready()
        return self

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the supervisor only."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "supervisor.out").open("ab") as log:
            self.supervisor = subprocess.Popen(
                [sys.executable, "-m", "stix.server", *(self.arguments or ("--foreground",))],
                env={**os.environ, **self.env, "STIX_HOME": str(self.home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.supervisor

    def wait_ready(self) -> None:
        """Wait for ``server.json``, which is written last."""
        supervisor = self.supervisor
        assert supervisor is not None

        def ready() -> bool:
            if supervisor.poll() is not None:
                pytest.fail(f"the server ended with {supervisor.returncode}:\n{self.said()}")
            return (self.home / "server.json").is_file()

        eventually(ready, seconds=START_S, hint=f"start of the server\n{self.said()}")

    def said(self) -> str:
        """What the supervisor printed and logged."""
        names = (self.home / "supervisor.out", self.home / "logs" / "server" / "supervisor.log")
        return "".join(name.read_text() for name in names if name.is_file())

    def processes(self) -> dict[str, dict[str, Any]]:
        """Rows of ``GET /status`` by name, as the supervisor recorded them."""
        with contextlib.suppress(FileNotFoundError):
            rows = json.loads((self.home / "processes.json").read_text())
            return {row["name"]: row for row in rows}
        return {}

    def pid(self, name: str) -> int:
        """The pid of a process of the server, once it runs."""
        return int(eventually(lambda: self.processes().get(name, {}).get("pid"), hint=name))

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process (``supervisor``, ``server``, ``postgres``, ``engine-1``).

        Killing ``postgres`` kills its children too. Gives the pid.
        """
        pid = self.pid(name)
        process = psutil.Process(pid)
        below = process.children() if name == "postgres" else []
        for each in (process, *below):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)
        return pid

    def everything(self) -> list[psutil.Process]:
        """Every process that belongs to this home, by environment or working directory."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                ours = process.environ().get("STIX_HOME") == str(self.home)
                inside = Path(process.cwd()).is_relative_to(self.home)
                if (ours or inside) and process.pid != os.getpid():
                    found.append(process)
        return [p for p in found if _alive(p)]

    def stop(self) -> int:
        """Stop the server as a user would; gives the supervisor's exit code."""
        assert self.supervisor is not None
        self.supervisor.terminate()
        return self.supervisor.wait(timeout=STOP_S)

    def clean(self) -> None:
        """Stop what runs, kill what stays, remove the folder."""
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.terminate()
            try:
                self.supervisor.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                self.supervisor.kill()
                self.supervisor.wait()
        left = self.everything()
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=10)
        shutil.rmtree(Config(self.home).socket_dir(), ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


def make_home(config: str = "") -> Path:
    """A new state folder with a short name, and ``config.yaml`` in it."""
    home = Path(tempfile.mkdtemp(prefix="stix-t-", dir="/tmp"))
    if config:
        (home / "config.yaml").write_text(config)
    return home


NewServer = Callable[..., ServerHome]


@pytest.fixture
def new_server() -> Iterator[NewServer]:
    """Makes servers for one test: ``new_server(config="...", arguments=["--auto"])``.

    ``started=False`` gives one that is not started yet.
    """
    made: list[ServerHome] = []

    def make(
        config: str = "",
        *,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        started: bool = True,
    ) -> ServerHome:
        server = ServerHome(make_home(config), arguments, env or {})
        made.append(server)
        return server.start() if started else server

    yield make
    for server in made:
        server.clean()


@pytest.fixture(scope="session")
def stix_server() -> Iterator[ServerHome]:
    """One server for all tests that leave it as they found it."""
    server = ServerHome(make_home())
    try:
        yield server.start()
    finally:
        server.clean()
