"""What earlier runs left behind for estimates: times, sizes, and what came of asking for nodes."""

from __future__ import annotations

from typing import NamedTuple

from stix.ledger.base import Part
from stix.ledger.sql import Statement

RUNS, PER_STAGE = 50, 12
"""How many runs are looked at, and how many runs of each stage are told: it is asked at each start
of a run, and the bar of an estimate hardly narrows after that."""
SIGHTING_RUNS, SIGHTINGS = 50, 200

# A step begins where the one before it ended, and the first of them where the nodes came.
_STAGE_RUNS = Statement.of("""
    WITH earlier AS (
        SELECT id FROM runs WHERE name = :name ORDER BY created DESC LIMIT :runs::bigint),
    good AS (
        SELECT a.run_id, a.key, a.number, s.stage, a.ended,
            row_number() OVER (PARTITION BY s.stage COLLATE "C" ORDER BY a.ended DESC) AS age
        FROM earlier e JOIN attempts a ON a.run_id = e.id
            JOIN stages s ON s.run_id = a.run_id AND s.key = a.key
        WHERE a.state = 'succeeded'),
    kept AS (
        SELECT g.stage, g.ended, a.run_id, a.key, a.number, a.offer->'offer' AS offer,
            (a.steps->'sync'->>'ended')::timestamptz AS synced,
            (a.steps->'setup'->>'ended')::timestamptz AS set_up,
            (a.steps->'setup'->'result'->>'ran')::boolean AS has_setup,
            (a.steps->'run'->>'ended')::timestamptz AS ran
        FROM good g JOIN attempts a USING (run_id, key, number)
        WHERE g.age <= :per_stage::bigint)
    SELECT k.stage, nullif(k.offer->'accelerators', '{}'::jsonb) AS accelerators,
        coalesce((k.offer->>'cpus')::float8, 0) AS cpus,
        greatest(1, (SELECT count(*) FROM nodes n WHERE n.token = c.token)) AS nodes,
        extract(epoch FROM k.ran - greatest(c.created, k.synced, k.set_up))::float8 AS seconds,
        CASE WHEN k.has_setup THEN
            extract(epoch FROM k.set_up - greatest(c.created, k.synced))::float8
        END AS setup_seconds,
        (SELECT jsonb_object_agg(x.name, x.bytes) FROM artifacts x
         WHERE x.run_id = k.run_id AND x.key = k.key AND x.attempt = k.number
            AND x.kind = 'output') AS outputs
    FROM kept k CROSS JOIN LATERAL (
        SELECT c.token, c.created FROM clusters c
        WHERE c.run_id = k.run_id AND c.key = k.key AND c.attempt = k.number
        ORDER BY c.created DESC LIMIT 1) c
    WHERE k.ran IS NOT NULL ORDER BY k.ended""")

# Of machines that cost nothing no shortage is told: they are full of our own runs, which end.
_SIGHTINGS = Statement.of("""
    WITH recent AS (SELECT id FROM runs ORDER BY created DESC LIMIT :runs::bigint),
    came AS (
        SELECT c.offer, c.created AS at, '' AS scope,
            extract(epoch FROM c.created - i.opened)::float8 AS boot_seconds,
            CASE WHEN (c.offer->>'spot')::boolean THEN
                extract(epoch FROM coalesce(c.closed, clock_timestamp()) - c.created)::float8
                / 3600 * (SELECT count(*) FROM nodes n WHERE n.token = c.token)
            END AS spot_hours,
            coalesce(a.event->>'kind' = 'preempted', false) AS preempted
        FROM recent r JOIN clusters c ON c.run_id = r.id
            JOIN attempts a ON a.run_id = c.run_id AND a.key = c.key AND a.number = c.attempt
            LEFT JOIN intents i ON i.token = c.token
        WHERE c.price_usd_h > 0 ORDER BY c.created DESC LIMIT :most::bigint),
    short AS (
        SELECT x.seen->'offer' AS offer, to_timestamp((x.seen->>'at')::float8) AS at,
            x.seen->>'scope' AS scope
        FROM recent r JOIN attempts a ON a.run_id = r.id
            CROSS JOIN LATERAL jsonb_array_elements(
                coalesce(a.steps->'shortages'->'result'->'seen', '[]'::jsonb)) AS x(seen)
        UNION ALL
        SELECT a.offer->'offer', a.ended, a.event->>'scope'
        FROM recent r JOIN attempts a ON a.run_id = r.id
        WHERE a.event->>'kind' = 'capacity' AND a.offer IS NOT NULL),
    dear AS (
        SELECT * FROM short WHERE (offer->>'price')::float8 > 0
        ORDER BY at DESC LIMIT :most::bigint)
    SELECT offer->>'cloud' AS cloud, offer->>'region' AS region, offer->>'zone' AS zone,
        offer->>'instance_type' AS instance_type,
        coalesce((offer->>'spot')::boolean, false) AS spot,
        extract(epoch FROM at)::float8 AS at, scope, boot_seconds, spot_hours, preempted
    FROM (
        SELECT * FROM came
        UNION ALL
        SELECT offer, at, scope, NULL, NULL, false FROM dear) AS found
    WHERE offer ?& ARRAY['cloud', 'region', 'instance_type'] ORDER BY at""")


class StageRunRow(NamedTuple):
    """An attempt that succeeded. Times in s, ``outputs`` in bytes, the rest of one node.

    ``setup_seconds`` is None where nothing was set up.
    """

    stage: str
    accelerators: dict[str, float] | None
    cpus: float
    nodes: int
    seconds: float
    setup_seconds: float | None
    outputs: dict[str, int] | None


class SightingRow(NamedTuple):
    """What came of asking for nodes; ``at`` in seconds since the epoch.

    ``scope`` is how far a shortage reaches, empty where the nodes came; ``spot_hours`` is how long
    spot nodes were held, None for others.
    """

    cloud: str
    region: str
    zone: str | None
    instance_type: str
    spot: bool
    at: float
    scope: str
    boot_seconds: float | None
    spot_hours: float | None
    preempted: bool


class Earlier(Part):
    """Reads what earlier runs showed."""

    async def stage_runs(
        self, name: str, *, runs: int = RUNS, per_stage: int = PER_STAGE
    ) -> list[StageRunRow]:
        """Stage runs that ended well in the latest runs of a pipeline, the oldest first."""
        values = {"name": name, "runs": runs, "per_stage": per_stage}
        return [StageRunRow(*row) for row in await self._db.fetch(_STAGE_RUNS, **values)]

    async def sightings(
        self, *, runs: int = SIGHTING_RUNS, most: int = SIGHTINGS
    ) -> list[SightingRow]:
        """Where nodes came or did not come in the latest runs of all pipelines, oldest first.

        Machines that cost nothing are not among them.
        """
        rows = await self._db.fetch(_SIGHTINGS, runs=runs, most=most)
        return [SightingRow(*row) for row in rows]
