"""Engines, and which of them may act for a run."""

from __future__ import annotations

from stix.ledger.base import Part, new_op
from stix.ledger.rows import Claim, Fence
from stix.ledger.sql import ALIVE, Statement, event, fence, statement

_EXPIRES = "clock_timestamp() + :ttl_s::float8 * interval '1 second'"

_REGISTER = Statement.of(f"""
    INSERT INTO engines (id, host, pid, expires) VALUES (:engine, :host, :pid, {_EXPIRES})
    ON CONFLICT (id) DO NOTHING""")

_RENEW = Statement.of(f"""
    UPDATE engines e SET expires = {_EXPIRES} WHERE e.id = :engine AND {ALIVE} RETURNING e.id""")

_RETIRE = Statement.of("""
    WITH gone AS (
        UPDATE engines SET retired = clock_timestamp()
        WHERE id = :engine AND retired IS NULL RETURNING id),
    fence AS (
        UPDATE leases l SET engine_id = NULL, events = l.events + 1,
            last_event = clock_timestamp()
        FROM gone g WHERE l.engine_id = g.id AND NOT l.done
        RETURNING l.run_id, l.events AS number),
    event AS (
        INSERT INTO events (run_id, number, kind, data)
        SELECT run_id, number, 'lease',
            jsonb_build_object('engine', :engine::text, 'action', 'released')
        FROM fence)
    SELECT pg_notify('stix_work', run_id), pg_notify('stix_events', run_id) FROM fence""")

# A statement of its own, before a claim: whoever claims sees every engine fenced that it relies on.
# A renewal that holds the row is waited for, and the condition checked again on what it wrote.
_FENCE_EXPIRED = Statement.of("""
    UPDATE engines SET fenced = clock_timestamp() WHERE id IN (
        SELECT id FROM engines
        WHERE fenced IS NULL AND retired IS NULL AND expires <= clock_timestamp()
        ORDER BY id FOR UPDATE)""")

# Whether a lease is free is decided from the lease's row alone and from the ids of engines that
# are gone for good: PostgreSQL re-evaluates a condition on a row that changed meanwhile, but only
# with the new version of the locked table.
_CLAIM = """
    WITH me AS (SELECT e.id FROM engines e WHERE e.id = :engine AND {alive}),
    picked AS (
        SELECT l.run_id, l.engine_id AS previous
        FROM leases l JOIN runs r ON r.id = l.run_id JOIN me ON true
        WHERE NOT l.done AND {which} AND (l.engine_id IS NULL OR l.engine_id IN (
            SELECT id FROM engines WHERE fenced IS NOT NULL OR retired IS NOT NULL))
        ORDER BY r.created, r.id {limit}),
    taken AS (
        UPDATE leases l SET engine_id = :engine, token = nextval('lease_token'),
            claimed = clock_timestamp(), op = :op, events = l.events + 1,
            last_event = clock_timestamp()
        FROM picked p WHERE l.run_id = p.run_id
        RETURNING l.run_id, l.token, l.events AS number, p.previous),
    claim AS (
        SELECT t.run_id, t.token, t.number, r.created, r.flow_run_id,
            t.previous IS NOT NULL OR r.started IS NOT NULL AND r.state <> 'queued' AS takeover
        FROM taken t JOIN runs r ON r.id = t.run_id),
    event AS (
        INSERT INTO events (run_id, number, kind, data)
        SELECT run_id, number, 'lease', jsonb_build_object(
            'engine', :engine::text, 'action', 'claimed', 'takeover', takeover)
        FROM claim)
    SELECT run_id, token, takeover, flow_run_id, pg_notify('stix_events', run_id)
    FROM claim ORDER BY created, run_id"""

_CLAIM_MANY = Statement.of(
    _CLAIM.format(
        alive=ALIVE, which="true", limit="LIMIT :limit::bigint FOR UPDATE OF l SKIP LOCKED"
    )
)
_CLAIM_ONE = Statement.of(
    _CLAIM.format(alive=ALIVE, which="l.run_id = :run_id", limit="FOR UPDATE OF l")
)

# A claim whose answer was lost is found again by its op. Its event tells whether it was a takeover.
_CLAIMED = Statement.of("""
    SELECT l.run_id, l.token, (e.data->>'takeover')::boolean AS takeover, r.flow_run_id
    FROM leases l JOIN runs r ON r.id = l.run_id
    JOIN LATERAL (
        SELECT data FROM events e WHERE e.run_id = l.run_id AND e.kind = 'lease'
        ORDER BY number DESC LIMIT 1) e ON true
    WHERE l.engine_id = :engine AND l.op = :op ORDER BY r.created, r.id""")

_RELEASE = statement(
    fence(extra="engine_id = NULL"),
    event("lease", "jsonb_build_object('action', 'released')"),
    select="f.run_id, pg_notify('stix_work', f.run_id)",
)

_FENCED = Statement.of(f"SELECT e.id FROM engines e WHERE NOT ({ALIVE}) ORDER BY e.started")
_IS_ALIVE = Statement.of(f"SELECT e.id FROM engines e WHERE e.id = :engine AND {ALIVE}")
_ON_HOST = Statement.of(f"SELECT e.id, e.pid FROM engines e WHERE e.host = :host AND {ALIVE}")
_CANCELLING = Statement.of("""
    SELECT r.id FROM leases l JOIN runs r ON r.id = l.run_id
    WHERE l.engine_id = :engine AND NOT l.done AND r.state = 'cancelling' ORDER BY r.created""")


class Leases(Part):
    """Engines and leases."""

    async def register_engine(self, engine_id: str, host: str, pid: int, ttl_s: float) -> None:
        """Announce a new engine process, valid for ``ttl_s`` seconds. Ids are never used again."""
        await self._db.fetch(_REGISTER, engine=engine_id, host=host, pid=pid, ttl_s=ttl_s)

    async def renew_engine(self, engine_id: str, ttl_s: float) -> bool:
        """Extend the engine's validity to ``ttl_s`` seconds from now.

        Returns:
            False when the engine expired, was fenced or retired, or is unknown: it must exit.
        """
        return bool(await self._db.fetch_ahead(_RENEW, engine=engine_id, ttl_s=ttl_s))

    async def retire_engine(self, engine_id: str) -> None:
        """A clean stop: the engine's runs are free at once, and its writes are refused."""
        await self._db.fetch(_RETIRE, engine=engine_id)

    async def claim(self, engine_id: str, *, limit: int = 50) -> list[Claim]:
        """Take up to ``limit`` free runs, oldest first; fence engines that have expired.

        A run is free when it is not final and its lease is absent, released, or of an engine that
        expired, was fenced or retired. An engine that is not valid itself gets none.
        """
        return await self._claim(_CLAIM_MANY, engine=engine_id, limit=limit)

    async def claim_run(self, engine_id: str, run_id: str) -> Claim | None:
        """Take one run if it is free; None when anybody, this engine included, holds it."""
        claims = await self._claim(_CLAIM_ONE, engine=engine_id, run_id=run_id)
        return claims[0] if claims else None

    async def _claim(self, query: Statement, **values: object) -> list[Claim]:
        await self._db.fetch(_FENCE_EXPIRED)
        values["op"] = new_op()
        rows = await self._db.append(query, _CLAIMED, **values)
        found = await self._db.fetch(_CLAIMED, **values) if rows is None else rows
        keys = ("run_id", "token", "takeover", "flow_run_id")
        return [Claim(*(row[key] for key in keys)) for row in found]

    async def release(self, held: Fence) -> None:
        """Give the run back, for any engine to claim."""
        await self._write(held, _RELEASE)

    async def fenced_engines(self) -> list[str]:
        """Ids of the engines that may not act: fenced, expired or retired."""
        return [row["id"] for row in await self._db.fetch(_FENCED)]

    async def is_engine_fenced(self, engine_id: str) -> bool:
        """True for an engine that may not act, and for an id the ledger does not know."""
        return not await self._db.fetch_ahead(_IS_ALIVE, engine=engine_id)

    async def engines_on(self, host: str) -> dict[str, int]:
        """Ids and process ids of the engines of a host that may act."""
        return {row["id"]: row["pid"] for row in await self._db.fetch(_ON_HOST, host=host)}

    async def cancelling_runs(self, engine_id: str) -> list[str]:
        """Runs of this engine that somebody asked to cancel."""
        rows = await self._db.fetch(_CANCELLING, engine=engine_id)
        return [row["id"] for row in rows]
