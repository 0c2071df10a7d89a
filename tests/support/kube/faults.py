"""Faults that a test scripts: what the server does instead of, before or after an answer."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Step = Literal["before", "unanswered", "answered"]


@dataclass
class Fault:
    """The next ``times`` calls that match, after the first ``skip`` of them.

    Attributes:
        method, path: Which calls; ``path`` is a regular expression searched in path and query.
        step: ``before`` the call has an effect, after it but with no answer given
            (``unanswered``), or when the answer was sent (``answered``).
        code: Answer with this status of failure; 0 cuts the connection.
        kill: Process to kill by SIGKILL at that step; 0 for none.
        stall: Seconds to wait before anything else.
    """

    method: str
    path: str
    step: Step = "before"
    code: int = 0
    reason: str = ""
    message: str = "scripted"
    headers: Mapping[str, str] = field(default_factory=dict)
    kill: int = 0
    stall: float = 0.0
    times: int = 1
    skip: int = 0
    seen: int = 0

    def due(self, method: str, path: str) -> bool:
        """Whether this call is meant; counts it."""
        if method != self.method or not re.search(self.path, path) or self.times <= 0:
            return False
        self.seen += 1
        if self.seen <= self.skip:
            return False
        self.times -= 1
        return True

    def strike(self) -> None:
        if self.kill:
            os.kill(self.kill, signal.SIGKILL)


@dataclass
class Numbered:
    """Faults by the number of the call, counted anew from each ``watch``."""

    count: int = 0
    faults: dict[int, Fault] = field(default_factory=dict)

    def watch(self) -> None:
        self.count = 0
        self.faults.clear()

    def next(self) -> Fault | None:
        self.count += 1
        return self.faults.get(self.count - 1)
