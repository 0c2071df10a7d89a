"""Ask no faster than the provider allows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from stix.clouds.wrappers.call import Call

T = TypeVar("T")

ALL = "*"
"""The rate of all calls of a cloud together."""
_FREE = frozenset({"runner"})
"""Calls that ask nothing of the provider; they have a rate only where it is named."""


@dataclass
class _Bucket:
    """Tokens that come at ``rate`` per second, at most those of one second and at least one."""

    rate: float
    limit: RateLimit
    tokens: float = field(init=False)
    filled: float = field(init=False)
    queue: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.tokens = max(1.0, self.rate)
        self.filled = self.limit.clock()

    async def take(self) -> None:
        # The lock is given out in the order of asking, and a caller that is cancelled while it
        # waits has taken nothing.
        async with self.queue:
            while (wait := self._missing()) > 0:
                await self.limit.sleep(wait)
            self.tokens -= 1.0

    def _missing(self) -> float:
        """Seconds until there is a token."""
        now = self.limit.clock()
        self.tokens = min(max(1.0, self.rate), self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        # Rounding must not let a caller wait for a token that is there but for 1e-16 of it.
        return 0.0 if self.tokens >= 1.0 - 1e-9 else (1.0 - self.tokens) / self.rate


class RateLimit:
    """Calls wait for their turn, first come first served. One process knows only of its own calls.

    Args:
        rates: Call name to calls per second; ``*`` bounds all calls together.
        clock, sleep: Seconds that only grow, and how to let some pass.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if wrong := {name: rate for name, rate in rates.items() if not rate > 0}:
            raise ValueError(f"a rate is calls per second, above 0: {wrong}")
        self.clock = clock
        self.sleep = sleep
        self._rates = rates
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    async def __call__(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T:
        for name in (call.name, ALL):
            if name in self._rates and (name != ALL or call.name not in _FREE):
                await self._bucket(call.cloud, name).take()
        return await proceed()

    def _bucket(self, cloud: str, name: str) -> _Bucket:
        if (cloud, name) not in self._buckets:
            self._buckets[cloud, name] = _Bucket(self._rates[name], self)
        return self._buckets[cloud, name]
