"""A select loop with timers and signals."""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import signal
import time

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable, Protocol

    class HasFileno(Protocol):
        def fileno(self) -> int: ...


READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Loop:
    """Calls back on files, times and signals, one thing at a time."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._stopped = False
        self._woken, self._wake = os.pipe()
        for fd in (self._woken, self._wake):
            os.set_blocking(fd, False)
        self.watch(self._woken, READ, self._on_signals)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def watch(self, file: int | HasFileno, events: int, callback: Callable[[int], None]) -> None:
        """Call back with the ready events; a second call for a file replaces the first."""
        try:
            self._selector.modify(file, events, callback)
        except KeyError:
            self._selector.register(file, events, callback)

    def unwatch(self, file: int | HasFileno) -> None:
        try:
            self._selector.unregister(file)
        except (KeyError, ValueError):
            pass

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), callback))

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        self._handlers[number] = callback
        signal.signal(number, _nothing)  # the wakeup descriptor tells us

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> None:
        registered = self._selector.get_map()
        while not self._stopped:
            for key, events in self._selector.select(self._timeout()):
                # An earlier callback of this round may have closed the file.
                if registered.get(key.fd) is key:
                    key.data(events)
            while self._timers and self._timers[0][0] <= time.monotonic():
                heapq.heappop(self._timers)[2]()

    def _timeout(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _on_signals(self, _: int) -> None:
        for number in set(os.read(self._woken, 4096)):
            handler = self._handlers.get(number)
            if handler is not None:
                handler()


def _nothing(number: int, frame: Any) -> None:
    """A handler must exist for the signal to wake the loop instead of acting."""
