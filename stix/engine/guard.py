"""The engine's guard over itself: no act after its lease ended by its own clock.

An engine that was stopped (SIGSTOP, a sleeping laptop, a long stall) may wake long after another
engine took its runs over. Asking the database whether the lease holds is not enough, because the
process can be stopped between the answer and the act. So the engine counts the lease by
``time.monotonic()``, which runs on while the process is stopped, from *before* each renewal was
sent, checks it before each step, and ends the process when it ran out.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

EXIT_LEASE_LOST = 75


class Guard:
    """The lease of this engine as it knows it itself. Thread-safe.

    Args:
        ttl_s: Seconds a renewal is good for.
        last_words: Called once, with the reason, before the process ends.
    """

    def __init__(self, ttl_s: float, last_words: Callable[[str], None] | None = None) -> None:
        self.ttl_s = ttl_s
        self._last_words = last_words
        self._until = 0.0
        self._lock = threading.Lock()

    def renewed(self, asked_at: float) -> None:
        """A renewal succeeded that was sent at ``asked_at`` (``time.monotonic()``)."""
        with self._lock:
            self._until = max(self._until, asked_at + self.ttl_s)

    @property
    def remaining_s(self) -> float:
        """Seconds until this engine must stop acting."""
        return self._until - time.monotonic()

    def check(self) -> None:
        """Return if the lease holds; end the process if not."""
        if self.remaining_s <= 0:
            self.die("the lease ran out by the engine's own clock")

    def die(self, reason: str) -> None:
        """End the process at once, without ``finally``: another engine owns the runs now."""
        if self._last_words is not None:
            self._last_words(reason)
        os._exit(EXIT_LEASE_LOST)
