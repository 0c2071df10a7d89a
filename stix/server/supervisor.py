"""The supervisor: starts PostgreSQL, the server and the engines, and restarts what dies.

It is small and knows nothing of Prefect: it holds the home's lock and the listening socket, so
that a client that calls while the server restarts waits instead of being refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stix import __version__
from stix.config import Config
from stix.errors import StixError
from stix.files import write_private
from stix.logging import rotate
from stix.server import postgres
from stix.server.prefect_env import server_env
from stix.server.process import Command, alive, kill_and_wait, started_at
from stix.server.service import Service

log = logging.getLogger("stix.supervisor")

LOG_LIMIT = 16 << 20
READY_TIMEOUT = 180.0
STARTS_TRIED = 3
"""A server that ends this often before it ever answered will not do better."""
_ANSWER_TIMEOUT = 2.0
_BACKLOG = 2048


class AlreadyRunning(StixError):
    """Another supervisor holds this home."""


@dataclass(frozen=True)
class Options:
    """How this supervisor was started. ``auto``: by a command that needed a server; it stops
    when idle."""

    auto: bool = False


class Supervisor:
    """Runs one home until it is told to stop.

    Args:
        config: The home; made where missing.
        options: How it was started.
    """

    def __init__(self, config: Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.services: list[Service] = []
        self._started = time.time()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Start everything, watch it, and on SIGTERM or SIGINT stop it in order.

        Raises:
            AlreadyRunning: another supervisor holds the home.
        """
        self.config.create()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        with _lock(self.config), _listen(self.config) as listener:
            self.config.server_file.unlink(missing_ok=True)
            _kill_recorded(self._state_file)
            try:
                await self._serve(listener)
            finally:
                self.config.server_file.unlink(missing_ok=True)
                await self._stop_all()
                self._state_file.unlink(missing_ok=True)

    async def _serve(self, listener: socket.socket) -> None:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # The server needs seconds to import what it needs: start it first, it waits for the rest.
        self._add(self._server(url, listener))
        if not self.config.server.database_url:
            postgres.prepare(self.config)
            self._add(self._postgres())
        for number in range(1, self.config.server.engines + 1):
            self._add(self._engine(f"engine-{number}", url))
        watching = [asyncio.create_task(service.watch()) for service in self.services]
        watching.append(asyncio.create_task(self._rotate_logs()))
        stopping = asyncio.create_task(self._stop.wait())
        ready = asyncio.create_task(self._wait_ready(url))
        await asyncio.wait({stopping, ready}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and ready.exception() is None and not self._stop.is_set():
            self._publish(url)
            await asyncio.wait({stopping, *watching}, return_when=asyncio.FIRST_COMPLETED)
        for task in (ready, stopping, *watching):
            task.cancel()
        results = await asyncio.gather(ready, stopping, *watching, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _wait_ready(self, url: str) -> None:
        server = next(service for service in self.services if service.name == "server")
        deadline = time.monotonic() + READY_TIMEOUT
        while not await _answers(url):
            if server.restarts >= STARTS_TRIED or time.monotonic() > deadline:
                path = self.config.server_logs / "server.log"
                last = "\n".join(path.read_text(errors="replace").splitlines()[-2:])
                raise StixError(f"the server does not start:\n{last}", fix=f"see {path}")
            await asyncio.sleep(0.05)

    def _add(self, service: Service) -> None:
        self.services.append(service)
        service.start()

    async def _stop_all(self) -> None:
        engines = [s for s in self.services if s.name.startswith("engine")]
        await asyncio.gather(*(service.stop(20.0) for service in engines))
        for name in ("server", "postgres"):
            await asyncio.gather(*(s.stop(10.0) for s in self.services if s.name == name))
        if not self.config.server.database_url:
            kill_and_wait([process.pid for process in postgres.leftovers(self.config)])
            postgres.forget(self.config)
        with contextlib.suppress(OSError):  # nodes of the local cloud may have sockets there
            self.config.socket_dir().rmdir()
        log.info("stopped")

    def _publish(self, url: str) -> None:
        log.info("ready after %.2f s: %s", time.time() - self._started, url)
        about = {
            "url": url,
            "port": int(url.rsplit(":", 1)[1]),
            "pid": os.getpid(),
            "version": __version__,
            "auto": self.options.auto,
            "started": self._started,
        }
        write_private(self.config.server_file, json.dumps(about))

    @property
    def _state_file(self) -> Path:
        return self.config.home / "processes.json"

    def record(self) -> None:
        """Write down who runs: for ``status``, and for the supervisor after a crash of ours."""
        own = {
            "name": "supervisor",
            "pid": os.getpid(),
            "state": "running",
            "started": started_at(os.getpid()),
            "restarts": 0,
        }
        rows = [own, *(service.row() for service in self.services)]
        write_private(self._state_file, json.dumps(rows))

    async def _rotate_logs(self) -> None:
        while True:
            for path in self.config.server_logs.glob("*.log"):
                rotate(path, LOG_LIMIT)
            await asyncio.sleep(10)

    def _postgres(self) -> Service:
        return Service(
            name="postgres",
            command=lambda: postgres.command(self.config),
            changed=self.record,
            prepare=lambda: postgres.prepare(self.config),
            stop_signal=postgres.STOP_SIGNAL,
            first_pause=0.0,
        )

    def _server(self, url: str, listener: socket.socket) -> Service:
        database = postgres.database_url(self.config, "prefect")
        env = {
            **_clean_environment(),
            **server_env(self.config, url, database),
            "STIX_SUPERVISOR": str(os.getpid()),
            "STIX_SERVER_AUTO": "1" if self.options.auto else "",
        }
        command = Command(
            argv=[sys.executable, "-m", "stix.server.app", "--fd", str(listener.fileno())],
            env=env,
            log=self.config.server_logs / "server.log",
            death_signal=signal.SIGKILL,
            fds=[listener.fileno()],
        )
        return Service("server", lambda: command, self.record, first_pause=0.0)

    def _engine(self, name: str, url: str) -> Service:
        env = {
            **_clean_environment(),
            "STIX_HOME": str(self.config.home),
            "STIX_SERVER_URL": url,
            "STIX_SUPERVISOR": str(os.getpid()),
        }
        command = Command(
            argv=[sys.executable, "-m", "stix.server.engine", "--name", name],
            env=env,
            log=self.config.server_logs / f"{name}.log",
        )
        return Service(name, lambda: command, self.record)


def _clean_environment() -> dict[str, str]:
    """Ours, without the user's settings of Prefect, which are meant for their own server."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}


@contextlib.contextmanager
def _lock(config: Config) -> Iterator[None]:
    with (config.home / "supervisor.lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise AlreadyRunning(
                f"a server of {config.home} is already running (pid {stream.read().strip()})",
                fix="stop it with `stix server stop`, or use another STIX_HOME",
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


@contextlib.contextmanager
def _listen(config: Config) -> Iterator[socket.socket]:
    """A listening socket on loopback: the configured port, else the last one, else a free one."""
    wanted = config.server.port
    memory = config.home / "port"
    last = int(memory.read_text()) if memory.is_file() else 0
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted or last))
        except OSError as error:
            if wanted:
                raise StixError(
                    f"port {wanted} of 127.0.0.1 cannot be used: {error.strerror}",
                    fix="choose another server.port in config.yaml, or leave it out",
                ) from None
            listener.bind(("127.0.0.1", 0))
        listener.listen(_BACKLOG)
        write_private(memory, str(listener.getsockname()[1]))
        yield listener


def _kill_recorded(path: Path) -> None:
    """End the children of a supervisor that was killed on this home (we hold its lock now)."""
    try:
        rows = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return
    pids = [row["pid"] for row in rows if row["pid"] and alive(row["pid"], row["started"])]
    log.info("cleaning up after a killed supervisor: %s", pids)
    kill_and_wait([pid for pid in pids if pid != os.getpid()])


async def _answers(url: str) -> bool:
    """Whether the server answers. The socket listens all the time, so one call mostly waits."""
    host, port = url.removeprefix("http://").split(":")
    request = f"GET /stix/v1/health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    # A server that dies during its start resets the connection; its successor may answer.
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_ANSWER_TIMEOUT):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(request.encode())
                return (await reader.readline()).startswith(b"HTTP/1.1 200")
            finally:
                writer.close()
    return False
