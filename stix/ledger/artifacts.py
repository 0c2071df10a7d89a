"""Artifacts, and the cache of stages by what went into them."""

from __future__ import annotations

from typing import Any, Unpack

from stix.ledger.base import Part
from stix.ledger.rows import ArtifactFields, ArtifactRow, CacheHit, Fence
from stix.ledger.sql import Statement, event, fence, quiet_fence, quiet_statement, statement

_ADD = statement(
    fence(),
    """effect AS (
        INSERT INTO artifacts (run_id, key, attempt, kind, name, digest, bytes, files, url)
        SELECT f.run_id, :key, :attempt, :kind, :name, :digest, :bytes, :files, :url FROM fence f
        ON CONFLICT (run_id, key, attempt, kind, name) DO UPDATE SET digest = excluded.digest,
            bytes = excluded.bytes, files = excluded.files, url = excluded.url)""",
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
    ORDER BY r.created DESC LIMIT 1""")


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
        """``cache_parts`` of the same stage in the newest earlier run of the pipeline, or None."""
        rows = await self._db.fetch(
            _LAST_PARTS, name=pipeline_name, stage=stage, params=params, before=before_run
        )
        return rows[0]["cache_parts"] if rows else None
