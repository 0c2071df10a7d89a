"""Processes in virtual time: generators that wait for a while or for a signal, on a world's clock.

A process yields ``Wait``; it goes on when the time has passed (it is sent None) or one of the
signals was fired (it is sent that signal), whichever is first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

from stix.clouds.sim.world import Timer, World


class Signal:
    """Something that processes wait for. Firing wakes all that wait now, and nobody later."""

    def __init__(self) -> None:
        self.waiting: dict[Process, int] = {}

    def fire(self) -> None:
        waiting, self.waiting = self.waiting, {}
        for process, turn in waiting.items():
            process.wake(turn, self)


class Wait:
    """For ``seconds`` (None: for ever) or until one of ``signals`` is fired."""

    __slots__ = ("seconds", "signals")

    def __init__(self, seconds: float | None, *signals: Signal) -> None:
        self.seconds, self.signals = seconds, signals


Body = Generator[Wait, Signal | None, Any]


class Process:
    """A body on its way through time; it begins when the world's clock runs."""

    def __init__(self, world: World, body: Body) -> None:
        self._world, self._body = world, body
        self._turn = 0
        self._timer: Timer | None = None
        self._signals: tuple[Signal, ...] = ()
        self.over = False
        world.after(0.0, lambda: self._go(None))

    def wake(self, turn: int, signal: Signal | None) -> None:
        """Go on, at this time but after what is planned for it already."""
        if turn != self._turn or self.over:
            return
        self._turn += 1
        if self._timer is not None:
            self._timer.cancel()
        for other in self._signals:
            other.waiting.pop(self, None)
        self._world.after(0.0, lambda: self._go(signal))

    def stop(self) -> None:
        """End it where it stands; its ``finally`` clauses run."""
        self._turn += 1
        self.over = True
        self._body.close()

    def _go(self, signal: Signal | None) -> None:
        if self.over:
            return
        try:
            wait = self._body.send(signal)
        except StopIteration:
            self.over = True
            return
        turn = self._turn
        self._signals = wait.signals
        for other in wait.signals:
            other.waiting[self] = turn
        self._timer = None
        if wait.seconds is not None:
            self._timer = self._world.after(wait.seconds, lambda: self.wake(turn, None))


class Gate:
    """Opens once; who comes later finds it open."""

    def __init__(self) -> None:
        self._open = False
        self._signal = Signal()

    def open(self) -> None:
        self._open = True
        self._signal.fire()

    def passed(self) -> Body:
        while not self._open:
            yield Wait(None, self._signal)


class Slots:
    """Room for so many at a time, given in the order of asking; None for no limit."""

    def __init__(self, count: int | None) -> None:
        self._free = count
        self._queue: deque[Signal] = deque()

    def take(self) -> Body:
        if self._free is None:
            return
        if self._free > 0 and not self._queue:
            self._free -= 1
            return
        mine = Signal()
        self._queue.append(mine)
        yield Wait(None, mine)

    def give(self) -> None:
        """The next in the queue has it at once."""
        if self._free is None:
            return
        if self._queue:
            self._queue.popleft().fire()
        else:
            self._free += 1
