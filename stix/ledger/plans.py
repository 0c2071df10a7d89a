"""Plans of a run: which offer each stage is to take, and why that changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from stix.ledger.base import Part
from stix.ledger.rows import Fence
from stix.ledger.sql import Statement, fence, statement

_RECORDED = """EXISTS (
    SELECT FROM events v WHERE v.run_id = {run} AND v.kind = :kind
        AND v.data->>'cause' = :cause::text)"""

_RECORD = statement(
    fence(f"NOT {_RECORDED.format(run='l.run_id')}"),
    """effect AS (
        UPDATE stages s SET placement = p.value FROM fence f, jsonb_each(:placements) p
        WHERE s.run_id = f.run_id AND s.stage = p.key)""",
    """event AS (
        INSERT INTO events (run_id, number, kind, key, data, op)
        SELECT f.run_id, f.number, :kind, :key,
            :summary::jsonb || jsonb_build_object('cause', :cause::text), :op
        FROM fence f)""",
)
_IS_RECORDED = Statement.of(f"SELECT {_RECORDED.format(run=':run_id')} AS there")


class Plans(Part):
    """Plans."""

    async def record_plan(
        self,
        held: Fence,
        kind: Literal["planned", "replanned"],
        cause: str,
        placements: Mapping[str, Any],
        summary: Mapping[str, Any],
        key: str | None = None,
    ) -> bool:
        """Write what stages are to take, with an event of this kind; once for each cause.

        Args:
            cause: Names what made the plan necessary, the same after a crash.
            placements: Stage to ``Placement.to_dict()``, for the column ``placement`` of all its
                points; other stages keep theirs.
            summary: Data of the event.
            key: The stage run it is about.

        Returns:
            Whether it was written; False where a plan of this cause was recorded before.
        """
        same = {"kind": kind, "cause": cause}
        values = {"placements": dict(placements), "summary": dict(summary), "key": key, **same}
        rows = await self._append(_RECORD, run_id=held.run_id, token=held.token, **values)
        if rows is None or rows:
            return True
        if (await self._db.fetch(_IS_RECORDED, run_id=held.run_id, **same))[0]["there"]:
            return False
        raise await self._refusal(held, {})
