"""The engine process: takes runs over and runs their flows, many side by side.

``python -m stix.server.engine --name engine-1``, started and watched by the supervisor. The main
thread only waits for signals; flows run on an asyncio loop in a second thread (in the main thread
Prefect would take SIGTERM for itself), and the lease is renewed on a third, so that a busy loop
does not lose it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from importlib import import_module
from typing import Any

import psutil

from stix.config import Config
from stix.engine.guard import Guard
from stix.errors import StixError
from stix.ledger import Ledger
from stix.logging import setup
from stix.server.postgres import database_url
from stix.server.prefect_env import engine_env

MODULE = "stix.server.engine"
TTL_S = 10.0
HANDOVER_S = 15.0
START_S = 180.0

log = logging.getLogger("stix.engine")


class Renewal:
    """Renews the engine's lease every quarter of its life, on a thread and loop of its own."""

    def __init__(self, url: str, engine_id: str, guard: Guard) -> None:
        self._url, self._engine_id, self._guard = url, engine_id, guard
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="lease", daemon=True)

    def start(self) -> None:
        """Register the engine; returns when it holds its lease."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop renewing; the thread gives the lease back."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _main(self) -> None:
        try:
            asyncio.run(self._renew())
        except Exception as error:  # thread boundary: whoever waits for the lease must hear of it
            log.exception("the lease cannot be kept")
            self._failure = error
            self._ready.set()

    async def _renew(self) -> None:
        # Patience within one renewal must end before the lease does.
        ledger = await Ledger.open(self._url, patience_s=TTL_S)
        asked = time.monotonic()
        await ledger.register_engine(self._engine_id, socket.gethostname(), os.getpid(), TTL_S)
        self._guard.renewed(asked)
        await self._bury(ledger)
        self._ready.set()
        watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        watchdog.start()
        while not self._stop.wait(0):
            await asyncio.sleep(TTL_S / 4)
            asked = time.monotonic()
            with suppress(StixError, OSError):
                if await ledger.renew_engine(self._engine_id, TTL_S):
                    self._guard.renewed(asked)
                else:
                    self._guard.die("the ledger says that another engine took over")
        await ledger.retire_engine(self._engine_id)
        await ledger.close()

    async def _bury(self, ledger: Ledger) -> None:
        """Free the runs of engines of this host whose process is gone, without waiting for TTL."""
        for engine_id, pid in (await ledger.engines_on(socket.gethostname())).items():
            if engine_id != self._engine_id and not is_engine(pid):
                log.warning("engine %s died; its runs are free", engine_id)
                await ledger.retire_engine(engine_id)

    def _watch(self) -> None:
        """End the process when the lease runs out, even if everything else hangs."""
        while not self._stop.wait(0.2):
            self._guard.check()


async def _serve(config: Config, engine_id: str, guard: Guard, stop: threading.Event) -> None:
    from stix.flows.host import Host, HostConfig

    host = await Host.open(HostConfig(config, engine_id, guard, database_url(config, "stix")))
    try:
        await host.serve(stop)
    finally:
        await host.close(HANDOVER_S)


def _run_loop(work: Coroutine[Any, Any, None], done: threading.Event, failure: list[str]) -> None:
    try:
        asyncio.run(work)
    except BaseException as error:  # process boundary: the supervisor starts us again
        log.exception("the engine failed")
        failure.append(repr(error))
    finally:
        done.set()


def is_engine(pid: int) -> bool:
    """Whether another process of this id lives and is an engine; ids are given out again."""
    if pid == os.getpid():
        return False
    try:
        return MODULE in psutil.Process(pid).cmdline()
    except psutil.AccessDenied:
        return True  # somebody's; if it is no engine, its lease runs out
    except psutil.Error:
        return False


def _wait_for_server(url: str) -> None:
    """Return when the server answers, which it does when the databases are ready too."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/stix/v1/health", timeout=10):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise StixError(f"the server at {url} does not answer: {error}") from error
        time.sleep(0.1)


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM, or until the lease is lost (exit code 75)."""
    parser = argparse.ArgumentParser(prog="python -m stix.server.engine")
    parser.add_argument("--name", default="engine-1")
    name = parser.parse_args(argv).name
    parent = os.getppid()
    config = Config.load()
    engine_id = f"{name}-{uuid.uuid4().hex[:12]}"
    url = os.environ["STIX_SERVER_URL"]
    os.environ.update(engine_env(config, url, engine_id))
    setup()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    import_module("stix.flows.host")  # Prefect takes its time: import it while the server starts
    _wait_for_server(url)
    guard = Guard(TTL_S, lambda reason: log.error("lease lost: %s", reason))
    stop, done = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    renewal = Renewal(database_url(config, "stix"), engine_id, guard)
    renewal.start()
    failure: list[str] = []
    work = _serve(config, engine_id, guard, stop)
    threading.Thread(target=_run_loop, args=(work, done, failure), daemon=True).start()
    while not done.wait(0.2):
        if os.getppid() != parent:  # the supervisor is gone
            stop.set()
    renewal.stop()
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
