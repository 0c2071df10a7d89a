"""Circuits in the memory of one process, for tests and where there is no ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stix.clouds.wrappers.breaker import Key


@dataclass(frozen=True)
class _Circuit:
    cloud: str
    region: str
    failures: int = 0
    opened: float | None = None
    until: float = 0.0
    cooldown_s: float = 0.0
    reason: str = ""
    probe: str = ""
    probe_until: float = 0.0
    wait_s: float = 0.0
    probing: bool = False


class MemoryBreakers:
    """A store whose time is ``clock``, Unix time in seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._circuits: dict[Key, _Circuit] = {}

    def _get(self, key: Key) -> _Circuit | None:
        circuit, now = self._circuits.get(key), self._clock()
        return circuit and replace(
            circuit,
            wait_s=max(0.0, circuit.until - now),
            probing=bool(circuit.probe) and circuit.probe_until > now,
        )

    async def circuit(self, key: Key) -> _Circuit | None:
        return self._get(key)

    async def open_circuits(self) -> Sequence[_Circuit]:
        found = [self._get(key) for key in sorted(self._circuits)]
        return [circuit for circuit in found if circuit and circuit.opened is not None]

    async def claim_probe(self, key: Key, probe: str, ttl_s: float) -> bool:
        circuit = self._get(key)
        if circuit is None or circuit.opened is None or circuit.wait_s > 0:
            return False
        if circuit.probing and circuit.probe != probe:
            return False
        self._circuits[key] = replace(circuit, probe=probe, probe_until=self._clock() + ttl_s)
        return True

    async def release_probe(self, key: Key, probe: str) -> None:
        circuit = self._get(key)
        if circuit is not None and circuit.probe == probe:
            self._circuits[key] = replace(circuit, probe="")

    async def call_succeeded(self, key: Key, probe: str) -> None:
        circuit = self._get(key)
        if circuit is None:
            return
        if circuit.opened is None or (probe and circuit.probe == probe):
            del self._circuits[key]

    async def call_failed(
        self, key: Key, probe: str, reason: str, *, threshold: int, cooldown_s: float, cap_s: float
    ) -> None:
        now, old = self._clock(), self._get(key) or _Circuit(*key)
        new = replace(old, failures=old.failures + 1, reason=reason)
        if old.opened is None and new.failures >= threshold:
            new = replace(new, opened=now, until=now + cooldown_s, cooldown_s=cooldown_s)
        elif probe and old.probe == probe:
            cooldown_s = min(old.cooldown_s * 2, cap_s)
            new = replace(new, until=now + cooldown_s, cooldown_s=cooldown_s, probe="")
        self._circuits[key] = new
