"""What the parts of ``Ledger`` share: the fenced write and its refusal."""

from __future__ import annotations

import random
from typing import Any

from stix.errors import StixError
from stix.ledger.database import Database
from stix.ledger.errors import Fenced, NotFound
from stix.ledger.rows import Fence
from stix.ledger.sql import ALIVE, Statement

_APPLIED = Statement.of("SELECT 1 FROM events WHERE run_id = :run_id AND op = :op")

_WHY = Statement.of(f"""
    SELECT l.token = :token AS current, l.engine_id, coalesce({ALIVE}, false) AS alive
    FROM leases l LEFT JOIN engines e ON e.id = l.engine_id WHERE l.run_id = :run_id""")


def new_op() -> int:
    """A name for one write, by which a repetition finds out that the first one arrived."""
    return random.getrandbits(62)


class Part:
    """Base of the mixins of ``Ledger``."""

    _db: Database

    async def _append(
        self, statement: Statement, *, run_id: str, **values: object
    ) -> list[Any] | None:
        """Run a write that appends one event, once; None where an earlier try did it."""
        return await self._db.append(statement, _APPLIED, run_id=run_id, op=new_op(), **values)

    async def _write(self, fence: Fence, statement: Statement, **values: object) -> None:
        """Run a fenced write that appends one event.

        Raises:
            Fenced: the fence no longer holds; nothing was written.
            NotFound: the fence holds, but the statement's stage or attempt does not exist.
        """
        rows = await self._append(statement, run_id=fence.run_id, token=fence.token, **values)
        if rows is not None and not rows:
            raise await self._refusal(fence, values)

    async def _quiet(self, fence: Fence, statement: Statement, **values: object) -> None:
        """Run a fenced write without event, which may run twice."""
        rows = await self._db.fetch(statement, run_id=fence.run_id, token=fence.token, **values)
        if not rows:
            raise await self._refusal(fence, values)

    async def _refusal(self, fence: Fence, values: dict[str, Any]) -> StixError:
        rows = await self._db.fetch(_WHY, run_id=fence.run_id, token=fence.token)
        if not rows:
            return NotFound(f"there is no run {fence.run_id}")
        row = rows[0]
        if row["current"] and row["alive"]:
            what = " ".join(str(values[k]) for k in ("key", "number") if k in values)
            return NotFound(f"run {fence.run_id} has no such stage or attempt: {what}")
        if row["current"]:
            why = f"its engine {row['engine_id']} is fenced, expired or retired"
        else:
            why = f"token {fence.token} is old; owner now: {row['engine_id'] or 'none'}"
        return Fenced(f"this engine may no longer act for run {fence.run_id}: {why}")
