"""One supervised process: start, watch, restart with a pause that grows."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stix.errors import StixError
from stix.server import process
from stix.server.process import Command

log = logging.getLogger("stix.supervisor")

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
GOOD_AFTER = 30.0
"""Seconds up after which a process is taken for healthy, and its pause starts small again."""
LOST_LEASE = 75
"""Exit code of an engine that lost its lease: nothing is wrong with it, start it again at once."""


@dataclass
class Service:
    """What to run, and what became of it.

    Attributes:
        name: For people.
        command: Gives the command of the next start.
        changed: Called after each change of state.
        prepare: Blocking work before each restart.
        stop_signal: Asks it to end well.
        first_pause: Seconds before the first restart.
    """

    name: str
    command: Callable[[], Command]
    changed: Callable[[], None]
    prepare: Callable[[], None] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    first_pause: float = FIRST_PAUSE
    state: str = "starting"
    restarts: int = 0
    popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _failures: int = 0
    _since: float = 0.0

    def start(self) -> None:
        """Start the process now."""
        self._since = time.monotonic()
        self.popen = process.spawn(self.command())
        self._set("running")

    async def watch(self) -> None:
        """Restart it whenever it ends. Never returns."""
        while True:
            assert self.popen is not None
            code = await process.wait(self.popen)
            pause = self._pause(code)
            log.warning("%s ended with %s; starting it again in %.1f s", self.name, code, pause)
            self._set("waiting")
            await asyncio.sleep(pause)
            await self._restart()

    async def _restart(self) -> None:
        while True:
            self.restarts += 1
            try:
                if self.prepare is not None:
                    self.prepare()
                self.start()
            except (OSError, StixError) as error:  # a full disk, no memory: it may pass
                log.error("%s cannot be started: %s", self.name, error)
                await asyncio.sleep(self._pause(None))
            else:
                return

    async def stop(self, grace: float) -> None:
        """Ask it to end; kill it after ``grace`` seconds."""
        if self.popen is not None:
            await process.stop(self.popen, self.stop_signal, grace)
            self._set("stopped")

    def row(self) -> dict[str, Any]:
        """Name, pid, state, restarts and start time, for ``processes.json``."""
        live = self.popen is not None and self.popen.poll() is None
        pid = self.popen.pid if live and self.popen is not None else None
        return {
            "name": self.name,
            "pid": pid,
            "state": self.state,
            "started": process.started_at(pid) if pid else None,
            "restarts": self.restarts,
        }

    def _set(self, state: str) -> None:
        self.state = state
        self.changed()

    def _pause(self, code: int | None) -> float:
        if code == LOST_LEASE:
            return 0.0
        if time.monotonic() - self._since > GOOD_AFTER:
            self._failures = 0
        self._failures += 1
        if self._failures == 1:
            return self.first_pause
        return float(min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE))
