"""What a stage costs on machines that can be taken away: expected time and paid time.

Preemptions are a Poisson process. With ``rate`` per second, a piece of work of ``s`` seconds that
starts over when it is interrupted, waits ``wait`` for the next machine and spends ``restart`` on it
(boot and setup, which may be interrupted too) takes, on average,

    exp(rate * restart) * (1 / rate + wait) * (exp(rate * s) - 1)

This is the exact formula of J. T. Daly, "A higher order estimate of the optimum checkpoint interval
for restart dumps", Future Generation Computer Systems 22 (2006), with the downtime apart as in
M. Bougeret et al., "Checkpointing strategies for parallel jobs", SC 2011 (E(T) there). Without
checkpoints the whole stage is one piece; with one every ``every`` seconds, that costs ``pause``,
each interval is one. While it waits nothing is paid.
"""

from __future__ import annotations

import math
from typing import NamedTuple

_STEEPEST = 50.0
"""From here on (e^50 times its length) a piece never ends."""


class Expected(NamedTuple):
    """What is to be expected of a stage.

    Attributes:
        seconds: From the first boot to the end, with all that is done over and waited for.
        paid: Seconds for which machines are paid.
        preemptions: How often they are taken away.
    """

    seconds: float
    paid: float
    preemptions: float

    @property
    def ends(self) -> bool:
        """Whether the stage can be expected to end at all."""
        return math.isfinite(self.seconds)


NEVER = Expected(math.inf, math.inf, math.inf)


class Checkpoints(NamedTuple):
    """Every so many seconds of work the stage keeps what it has, which takes ``pause`` seconds."""

    every: float
    pause: float = 0.0


def expected(
    work: float, rate: float, restart: float, wait: float, checkpoints: Checkpoints | None = None
) -> Expected:
    """Time and paid time of ``work`` seconds under ``rate`` preemptions per second.

    Args:
        work: Seconds of the command itself, uninterrupted.
        rate: Preemptions per second, of any of the nodes.
        restart: Boot and setup, which the first start needs as well.
        wait: Until another machine is found, unpaid.
        checkpoints: None where the stage begins anew each time.
    """
    pieces, piece, pause = 1.0, work, 0.0
    if checkpoints and checkpoints.every < work:
        pieces, piece = work / checkpoints.every, checkpoints.every
        pause = checkpoints.pause
    if rate <= 0:
        total = restart + work + pieces * pause
        return Expected(total, total, 0.0)
    if rate * (restart + piece + pause) > _STEEPEST:
        return NEVER
    first = math.expm1(rate * restart)
    again = math.exp(rate * restart) * math.expm1(rate * (piece + pause))
    interruptions = first + pieces * again
    paid = interruptions / rate
    return Expected(paid + interruptions * wait, paid, interruptions)
