"""Circuit breakers: which providers are left alone for now, and who may ask them again.

The rules are those of ``BreakerStore`` in ``stix.clouds.wrappers``. Each write is one statement on
one row, so PostgreSQL orders the processes: who waited for the row sees what was written there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stix.ledger.base import Part, new_op
from stix.ledger.sql import Statement

Key = tuple[str, str]


@dataclass(frozen=True)
class CircuitRow:
    """One circuit of a cloud and a region (``-`` where calls know none).

    Attributes:
        failures: Failures in a row.
        opened: Since when it is open, Unix time in seconds; None where it is closed.
        wait_s: Seconds until a probe may be made.
        cooldown_s: How long it stays open after a failure, seconds.
        probing: A probe is under way.
        reason: The last failure.
    """

    cloud: str
    region: str
    failures: int
    opened: float | None
    wait_s: float
    cooldown_s: float
    probing: bool
    reason: str


_SELECT = """
    SELECT cloud, region, failures, extract(epoch FROM opened)::float8 AS opened,
        coalesce(greatest(0, extract(epoch FROM until - clock_timestamp())), 0)::float8 AS wait_s,
        cooldown_s, coalesce(probe_until > clock_timestamp(), false) AS probing, reason
    FROM breakers"""
_GET = Statement.of(f"{_SELECT} WHERE cloud = :cloud AND region = :region")
_LIST = Statement.of(f"{_SELECT} WHERE opened IS NOT NULL ORDER BY cloud, region")

# It renews a probe too, and may run twice.
_CLAIM = Statement.of("""
    UPDATE breakers SET probe = :probe,
        probe_until = clock_timestamp() + :ttl_s::float8 * interval '1 second'
    WHERE cloud = :cloud AND region = :region
        AND opened IS NOT NULL AND until <= clock_timestamp()
        AND (probe IS NULL OR probe = :probe OR probe_until <= clock_timestamp())
    RETURNING cloud""")

_RELEASE = Statement.of("""
    UPDATE breakers SET probe = NULL, probe_until = NULL
    WHERE cloud = :cloud AND region = :region AND probe = :probe""")

_SUCCEEDED = Statement.of("""
    DELETE FROM breakers
    WHERE cloud = :cloud AND region = :region AND (opened IS NULL OR probe = :probe)""")

# `op` makes a repetition of the same failure count once.
_FAILED = Statement.of("""
    INSERT INTO breakers AS b (cloud, region, failures, reason, op, opened, until, cooldown_s)
    SELECT :cloud, :region, 1, :reason, :op, new.at,
        new.at + :cooldown_s::float8 * interval '1 second', :cooldown_s::float8
    FROM (SELECT CASE WHEN :threshold::int <= 1 THEN clock_timestamp() END AS at) new
    ON CONFLICT (cloud, region) DO UPDATE SET
        failures = b.failures + 1,
        reason = excluded.reason,
        op = excluded.op,
        opened = CASE
            WHEN b.opened IS NULL AND b.failures + 1 >= :threshold THEN clock_timestamp()
            ELSE b.opened END,
        until = CASE
            WHEN b.opened IS NULL AND b.failures + 1 >= :threshold
                THEN clock_timestamp() + :cooldown_s * interval '1 second'
            WHEN b.probe = :probe THEN clock_timestamp()
                + least(b.cooldown_s * 2, :cap_s::float8) * interval '1 second'
            ELSE b.until END,
        cooldown_s = CASE
            WHEN b.opened IS NULL THEN :cooldown_s
            WHEN b.probe = :probe THEN least(b.cooldown_s * 2, :cap_s)
            ELSE b.cooldown_s END,
        probe = CASE WHEN b.probe = :probe THEN NULL ELSE b.probe END,
        probe_until = CASE WHEN b.probe = :probe THEN NULL ELSE b.probe_until END
    WHERE b.op IS DISTINCT FROM :op""")


class Breakers(Part):
    """Circuits; a ``BreakerStore``."""

    async def circuit(self, key: Key) -> CircuitRow | None:
        """What is known; None where nothing failed since the last success."""
        rows = _rows(await self._db.fetch(_GET, cloud=key[0], region=key[1]))
        return rows[0] if rows else None

    async def open_circuits(self) -> list[CircuitRow]:
        """All that are open, by cloud and region."""
        return _rows(await self._db.fetch(_LIST))

    async def claim_probe(self, key: Key, probe: str, ttl_s: float) -> bool:
        """Be the only probe of an open circuit for ``ttl_s`` seconds, or be it for longer."""
        values = {"cloud": key[0], "region": key[1], "probe": probe, "ttl_s": ttl_s}
        return bool(await self._db.fetch(_CLAIM, **values))

    async def release_probe(self, key: Key, probe: str) -> None:
        """The probe learnt nothing: another may be made at once."""
        await self._db.fetch(_RELEASE, cloud=key[0], region=key[1], probe=probe)

    async def call_succeeded(self, key: Key, probe: str) -> None:
        """Forget the failures of a closed circuit, and close an open one that this probed."""
        await self._db.fetch(_SUCCEEDED, cloud=key[0], region=key[1], probe=probe)

    async def call_failed(
        self, key: Key, probe: str, reason: str, *, threshold: int, cooldown_s: float, cap_s: float
    ) -> None:
        """Count a failure; open the circuit, or open it again after its probe failed."""
        await self._db.fetch(
            _FAILED,
            cloud=key[0],
            region=key[1],
            probe=probe,
            reason=reason,
            threshold=threshold,
            cooldown_s=cooldown_s,
            cap_s=cap_s,
            op=new_op(),
        )


def _rows(found: list[Any]) -> list[CircuitRow]:
    return [CircuitRow(**row) for row in found]
