"""Artifacts, and the cache of stages by what went into them."""

from __future__ import annotations

from typing import Any, Unpack

from stix.ledger.base import Part
from stix.ledger.replicas import SEEN
from stix.ledger.rows import ArtifactFields, ArtifactRow, CacheHit, Fence
from stix.ledger.sql import Statement, event, fence, quiet_fence, quiet_statement, statement

_ADD = statement(
    fence(),
    """effect AS (
        INSERT INTO artifacts (run_id, key, attempt, kind, name, digest, bytes, files, url)
        SELECT f.run_id, :key, :attempt, :kind, :name, :digest, :bytes, :files, :url FROM fence f
        ON CONFLICT (run_id, key, attempt, kind, name) DO UPDATE SET digest = excluded.digest,
            bytes = excluded.bytes, files = excluded.files, url = excluded.url)""",
    SEEN,
    event(
        "artifact",
        "jsonb_build_object('kind', :kind::text, 'name', :name::text, 'digest', :digest::text,"
        " 'bytes', :bytes::bigint, 'attempt', :attempt::int)",
        key=":key",
    ),
)

_LIST = Statement.of("""
    SELECT run_id, key, attempt, kind, name, digest, bytes, files, url, created FROM artifacts
    WHERE (:run_id::text IS NULL OR run_id = :run_id)
        AND (:digest::text IS NULL OR digest = :digest)
    ORDER BY created, key, name""")

_GET = Statement.of("""
    SELECT cache_key, run_id, key, outputs, result, created FROM cache
    WHERE cache_key = :cache_key""")

_PUT = quiet_statement(
    quiet_fence(),
    """effect AS (
        INSERT INTO cache (cache_key, run_id, key, outputs, result)
        SELECT :cache_key, f.run_id, :key, :outputs, :result FROM fence f
        ON CONFLICT (cache_key) DO UPDATE SET run_id = excluded.run_id, key = excluded.key,
            outputs = excluded.outputs, result = excluded.result, created = clock_timestamp())""",
)

_LAST_PARTS = Statement.of("""
    SELECT s.cache_parts FROM runs r JOIN stages s ON s.run_id = r.id
    WHERE r.name = :name AND s.stage = :stage AND s.params = :params
        AND s.cache_parts IS NOT NULL
        AND r.created < (SELECT created FROM runs WHERE id = :before)
    ORDER BY s.state IN ('succeeded', 'cached') DESC, r.created DESC LIMIT 1""")

_LAST_OUTPUTS = Statement.of("""
    SELECT coalesce(s.cache_key, '') AS cache_key, r.id AS run_id, s.key, s.outputs, s.result,
        r.created
    FROM runs r JOIN stages s ON s.run_id = r.id
    WHERE r.name = :name AND s.stage = :stage AND s.params = :params
        AND s.state IN ('succeeded', 'cached') AND s.outputs IS NOT NULL
        AND r.created < (SELECT created FROM runs WHERE id = :before)
    ORDER BY r.created DESC LIMIT 1""")

_KEPT = """kept AS (
        SELECT id FROM (
            SELECT id, state, ended,
                row_number() OVER (PARTITION BY name ORDER BY created DESC, id) AS place
            FROM runs) r
        WHERE state NOT IN ('succeeded', 'failed', 'cancelled') OR place <= :keep_last::bigint
            OR ended > clock_timestamp() - make_interval(secs => :older_s::float))"""

# Whatever looks like a digest is one: a root too many costs room, one too few costs data.
_ROOTS = Statement.of(f"""
    WITH {_KEPT}, told AS (
        SELECT r.uploads::text AS words FROM runs r JOIN kept k ON k.id = r.id
        UNION ALL SELECT s.outputs::text FROM stages s JOIN kept k ON k.id = s.run_id
        UNION ALL SELECT a.steps::text FROM attempts a JOIN kept k ON k.id = a.run_id
        UNION ALL SELECT a.digest FROM artifacts a JOIN kept k ON k.id = a.run_id
        UNION ALL SELECT c.outputs::text FROM cache c JOIN kept k ON k.id = c.run_id)
    SELECT DISTINCT found.digest[1] AS digest
    FROM told, LATERAL regexp_matches(words, '[0-9a-f]{{64}}', 'g') AS found(digest)""")

_WITH = Statement.of("""
    SELECT s.run_id, s.key FROM stages s JOIN runs r ON r.id = s.run_id
    WHERE strpos(s.outputs::text, :digest) > 0 ORDER BY r.created, s.position""")

_FORGET = Statement.of("""
    DELETE FROM cache WHERE EXISTS (
        SELECT FROM regexp_matches(outputs::text, '[0-9a-f]{64}', 'g') AS found(digest)
        WHERE found.digest[1] = ANY(:digests::text[]))""")


class Artifacts(Part):
    """Artifacts and the cache."""

    async def add_artifact(self, held: Fence, **artifact: Unpack[ArtifactFields]) -> None:
        """Record a named output that lies in a store; the same name again replaces it."""
        await self._write(held, _ADD, **artifact)

    async def artifacts(
        self, run_id: str | None = None, digest: str | None = None
    ) -> list[ArtifactRow]:
        """Artifacts of one run, of one digest, or all."""
        return ArtifactRow.all(await self._db.fetch(_LIST, run_id=run_id, digest=digest))

    async def cache_get(self, cache_key: str) -> CacheHit | None:
        """What an earlier run left under this key."""
        rows = await self._db.fetch(_GET, cache_key=cache_key)
        return CacheHit.of(rows[0]) if rows else None

    async def cache_put(
        self, held: Fence, cache_key: str, key: str, outputs: Any, result: Any
    ) -> None:
        """Let later runs with the same key use these outputs; the newest wins."""
        await self._quiet(held, _PUT, cache_key=cache_key, key=key, outputs=outputs, result=result)

    async def last_parts(
        self, pipeline_name: str, stage: str, params: dict[str, Any], before_run: str
    ) -> Any:
        """``cache_parts`` of the same stage in an earlier run of the pipeline, or None.

        Of the newest in which it ended well; where there is none, of the newest.
        """
        rows = await self._db.fetch(
            _LAST_PARTS, name=pipeline_name, stage=stage, params=params, before=before_run
        )
        return rows[0]["cache_parts"] if rows else None

    async def last_outputs(
        self, pipeline_name: str, stage: str, params: dict[str, Any], before_run: str
    ) -> CacheHit | None:
        """What the same stage left in the newest earlier run in which it ended well."""
        rows = await self._db.fetch(
            _LAST_OUTPUTS, name=pipeline_name, stage=stage, params=params, before=before_run
        )
        return CacheHit.of(rows[0]) if rows else None

    async def artifact_roots(self, older_s: float, keep_last: int) -> set[str]:
        """Digests that runs which are kept rely on: outputs, logs, uploads, cached results.

        Args:
            older_s: Runs that ended longer ago, in seconds, are not kept.
            keep_last: But the newest so many of each pipeline are. Active runs always are.
        """
        rows = await self._db.fetch(_ROOTS, older_s=older_s, keep_last=keep_last)
        return {str(row["digest"]) for row in rows}

    async def stages_with(self, digest: str) -> list[tuple[str, str]]:
        """Run and key of the stage runs that have this output, the first run first."""
        rows = await self._db.fetch(_WITH, digest=digest)
        return [(str(row["run_id"]), str(row["key"])) for row in rows]

    async def forget_outputs(self, digests: list[str]) -> None:
        """No run shall look for these artifacts in the cache."""
        await self._db.fetch(_FORGET, digests=digests)
