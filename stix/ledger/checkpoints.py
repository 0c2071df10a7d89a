"""Checkpoints of a stage run: the newest ones, kept over its attempts."""

from __future__ import annotations

from typing import Any

from stix.ledger.base import Part
from stix.ledger.replicas import SEEN
from stix.ledger.rows import ArtifactRow, Fence
from stix.ledger.sql import Statement, event, fence, statement

_ADD = statement(
    fence(),
    # The row that is added is not seen by the part that removes: one fewer of the old ones stays.
    """gone AS (
        DELETE FROM artifacts a USING fence f, (
            SELECT ctid, row_number() OVER (ORDER BY name DESC) AS age FROM artifacts
            WHERE run_id = :run_id AND key = :key AND kind = 'checkpoint') old
        WHERE a.ctid = old.ctid AND old.age >= :keep)""",
    """effect AS (
        INSERT INTO artifacts (run_id, key, attempt, kind, name, digest, bytes, files, url)
        SELECT f.run_id, :key, :attempt, 'checkpoint', :name, :digest, :bytes, :files, :url
        FROM fence f)""",
    SEEN,
    event(
        "checkpoint",
        "jsonb_build_object('name', :name::text, 'digest', :digest::text,"
        " 'bytes', :bytes::bigint, 'attempt', :attempt::int)",
        key=":key",
    ),
)
_LATEST = Statement.of("""
    SELECT run_id, key, attempt, kind, name, digest, bytes, files, url, created FROM artifacts
    WHERE run_id = :run_id AND key = :key AND kind = 'checkpoint' ORDER BY name DESC LIMIT 1""")


class Checkpoints(Part):
    """Checkpoints."""

    async def add_checkpoint(self, held: Fence, key: str, keep: int, facts: dict[str, Any]) -> None:
        """Record one more, and forget all but the newest ``keep``.

        Args:
            facts: ``attempt``, ``name`` (later ones sort after earlier ones), ``digest``,
                ``bytes``, ``files``, ``url``.
        """
        await self._write(held, _ADD, key=key, keep=keep, **facts)

    async def latest_checkpoint(self, run_id: str, key: str) -> ArtifactRow | None:
        """The newest whole one of a stage run, of whichever attempt."""
        rows = await self._db.fetch(_LATEST, run_id=run_id, key=key)
        return ArtifactRow.all(rows)[0] if rows else None
