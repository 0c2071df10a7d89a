"""A circuit breaker: a provider that is ill is left alone, and asked again by one call at a time.

A circuit is closed, and calls go through. After so many failures in a row it opens: calls fail
at once. When the cool-down is over it is half open: one call of all processes is the probe, the
others fail still. The probe's success closes the circuit; its failure opens it again for twice as
long. What is known of circuits lies in a store that all processes share, so that a restart forgets
nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from stix.clouds.errors import CapacityError, CircuitOpen, NodeGone, Throttled, TransientError
from stix.clouds.wrappers.call import ANYWHERE, Call, log
from stix.errors import StixError

T = TypeVar("T")

Key = tuple[str, str]
"""Cloud and region; the region is ``-`` where calls know none."""

ILL = (TransientError, Throttled, TimeoutError)
"""Errors that say that the provider is ill, or the way to it."""
ANSWERED = (CapacityError, NodeGone)
"""Errors that only a provider that is well can give. Others (a malformed wish, a lack of rights)
may have been found before anything was sent, and say nothing."""
FREE = frozenset({"runner", "prepare"})
"""Calls that pass unjudged: they speak with one node, whose silence is no illness of the provider,
and to give up on a node that is being made costs more than it saves."""
_STORE_S = 10.0
_REASON_CHARACTERS = 300


class Circuit(Protocol):
    """What a store knows of one circuit.

    Attributes:
        failures: Failures in a row.
        opened: Since when calls fail at once, Unix time in seconds; None where they do not.
        wait_s: Seconds until a probe may be made; 0 where it may be now.
        cooldown_s: How long the circuit stays open after a failure, seconds.
        probing: A probe is under way.
        reason: The last failure.
    """

    @property
    def cloud(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def failures(self) -> int: ...
    @property
    def opened(self) -> float | None: ...
    @property
    def wait_s(self) -> float: ...
    @property
    def cooldown_s(self) -> float: ...
    @property
    def probing(self) -> bool: ...
    @property
    def reason(self) -> str: ...


class BreakerStore(Protocol):
    """Where circuits are kept. Each method is atomic, over all processes that share the store.

    ``probe`` is the name of the caller's own probe; empty for a call that is none.
    """

    async def circuit(self, key: Key) -> Circuit | None:
        """What is known; None where nothing failed since the last success."""

    async def open_circuits(self) -> Sequence[Circuit]:
        """All that are open."""

    async def claim_probe(self, key: Key, probe: str, ttl_s: float) -> bool:
        """Be the probe for ``ttl_s`` seconds, or, being it, for so much longer.

        False where the circuit is closed, the cool-down is not over, or another has it.
        """

    async def release_probe(self, key: Key, probe: str) -> None:
        """Nothing was learnt: another may probe."""

    async def call_succeeded(self, key: Key, probe: str) -> None:
        """Close the circuit where this was its probe, or no longer count where it is closed."""

    async def call_failed(
        self, key: Key, probe: str, reason: str, *, threshold: int, cooldown_s: float, cap_s: float
    ) -> None:
        """Count it. The failure number ``threshold`` in a row opens a closed circuit for
        ``cooldown_s``; that of a probe opens it again for twice as long as before, up to ``cap_s``.
        Failures of calls that began before it opened change nothing."""


@dataclass(frozen=True)
class BreakerPolicy:
    """When a circuit opens and for how long.

    Attributes:
        failures: So many in a row open it.
        cooldown_s, cap_s: For how long at first and at most, seconds.
        probe_s: A probe that is not renewed for so long was of a process that died, seconds.
    """

    failures: int = 5
    cooldown_s: float = 30.0
    cap_s: float = 300.0
    probe_s: float = 30.0


class Breaker:
    """Calls of a provider that is ill raise ``CircuitOpen`` and do not reach it.

    A store that does not answer lets calls through: keeping a provider alive is less worth than
    giving back machines.

    Args:
        store: What all processes know.
        sleep: How to let time pass between two renewals of a probe.
    """

    def __init__(
        self,
        store: BreakerStore,
        policy: BreakerPolicy | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._policy = policy or BreakerPolicy()
        self._sleep = sleep

    async def __call__(self, call: Call, proceed: Callable[[], Awaitable[T]]) -> T:
        if call.name in FREE:
            return await proceed()
        key = (call.cloud, call.region)
        probe = await self._admit(key)
        if not probe:
            return await self._judged(key, probe, proceed)
        log.info("%s is asked again, as a probe", _place(*key))
        async with self._kept(key, probe):
            return await self._judged(key, probe, proceed)

    async def _admit(self, key: Key) -> str:
        """Go on: the name of our probe, or empty where none is needed.

        Raises:
            CircuitOpen: do not.
        """
        circuit = await self._known(key)
        if circuit is not None and circuit.wait_s <= 0 and not circuit.probing:
            probe = uuid.uuid4().hex
            claim = self._store.claim_probe(key, probe, self._policy.probe_s)
            if await _safely(claim):
                return probe
            circuit = await self._known(key)
        if circuit is None:
            return ""
        raise circuit_open(circuit)

    async def _known(self, key: Key) -> Circuit | None:
        """The circuit, if it is open."""
        circuit = await _safely(self._store.circuit(key))
        return circuit if circuit is not None and circuit.opened is not None else None

    async def _judged(self, key: Key, probe: str, proceed: Callable[[], Awaitable[T]]) -> T:
        verdict: Awaitable[None] | None = None
        try:
            answer = await proceed()
            verdict = self._store.call_succeeded(key, probe)
            return answer
        except ILL as error:
            verdict = self._failed(key, probe, error)
            raise
        except ANSWERED:
            verdict = self._store.call_succeeded(key, probe)
            raise
        finally:
            if verdict is None and probe:
                verdict = self._store.release_probe(key, probe)
            if verdict is not None:
                await _safely(verdict)

    def _failed(self, key: Key, probe: str, error: BaseException) -> Awaitable[None]:
        words = error.message if isinstance(error, StixError) else str(error)
        policy = self._policy
        return self._store.call_failed(
            key,
            probe,
            (words or type(error).__name__)[:_REASON_CHARACTERS],
            threshold=policy.failures,
            cooldown_s=policy.cooldown_s,
            cap_s=policy.cap_s,
        )

    @asynccontextmanager
    async def _kept(self, key: Key, probe: str) -> AsyncIterator[None]:
        """Stay the probe for as long as the call takes."""
        renewing = asyncio.create_task(self._renew(key, probe))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, key: Key, probe: str) -> None:
        while True:
            await self._sleep(self._policy.probe_s / 3)
            await _safely(self._store.claim_probe(key, probe, self._policy.probe_s))


async def _safely(asked: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(_STORE_S):
            return await asked
    except (StixError, TimeoutError) as error:
        log.warning("the circuit breaker does without its store: %s", error or "no answer")
        return None


def _place(cloud: str, region: str) -> str:
    return cloud if region == ANYWHERE else f"{cloud}/{region}"


def circuit_open(circuit: Circuit) -> CircuitOpen:
    """The error of a call that is not made: since when, why, and when it is tried again."""
    since = datetime.fromtimestamp(circuit.opened or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if circuit.probing:
        again = "one call is trying it now"
    elif circuit.wait_s > 0:
        again = f"the next try is in {circuit.wait_s:.0f} s"
    else:
        again = "the next call tries it"
    return CircuitOpen(
        f"{_place(circuit.cloud, circuit.region)} is not asked since {since}:"
        f" {circuit.failures} calls failed in a row, the last with: {circuit.reason}; {again}",
        scope="cloud" if circuit.region == ANYWHERE else "region",
        wait_s=circuit.wait_s,
    )
