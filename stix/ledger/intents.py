"""Intents: a record before each cloud call that makes something, settled after it."""

from __future__ import annotations

from typing import Any

from stix.ledger.base import Part
from stix.ledger.rows import Fence, Intent, IntentRow
from stix.ledger.sql import (
    ALIVE,
    STAGE_EXISTS,
    Statement,
    event,
    fence,
    quiet_fence,
    quiet_statement,
    statement,
)

OUTCOMES = ("created", "failed", "removed", "swept")

_OPEN = statement(
    fence(STAGE_EXISTS),
    """effect AS (
        INSERT INTO intents (token, run_id, key, attempt, cloud, request)
        SELECT :intent, f.run_id, :key, :attempt, :cloud, :request FROM fence f
        ON CONFLICT (token) DO NOTHING)""",
    event(
        "intent",
        "jsonb_build_object('token', :intent::text, 'attempt', :attempt::int,"
        " 'cloud', :cloud::text)",
        key=":key",
    ),
)

# What was removed stays removed, whoever reports later that it was created.
_SETTLE = """
    UPDATE intents i SET outcome = :outcome, detail = :detail, settled = clock_timestamp()
    {source} WHERE i.token = :intent
        AND (i.outcome IS NULL OR i.outcome <> :outcome AND :outcome <> 'created'
            AND i.outcome NOT IN ('removed', 'swept'))"""
_SETTLE_ANY = Statement.of(_SETTLE.format(source=""))
_SETTLE_FENCED = quiet_statement(
    quiet_fence(), f"effect AS ({_SETTLE.format(source='FROM fence f')} AND i.run_id = f.run_id)"
)

_LIST = Statement.of(f"""
    SELECT i.token, i.run_id, i.key, i.attempt, i.cloud, i.request, i.outcome, i.detail,
        i.opened, i.settled, r.state AS run_state,
        coalesce(NOT l.done AND {ALIVE}, false) AS lease_live
    FROM intents i JOIN runs r ON r.id = i.run_id JOIN leases l ON l.run_id = i.run_id
    LEFT JOIN engines e ON e.id = l.engine_id
    WHERE (i.outcome IS NULL OR i.outcome = 'created')
        AND (:cloud::text IS NULL OR i.cloud = :cloud)
    ORDER BY i.opened""")


class Intents(Part):
    """Intents."""

    async def open_intent(self, held: Fence, intent: Intent) -> None:
        """Record what will be asked of a cloud, before it is asked. Idempotent by token."""
        values = {**intent.__dict__, "intent": intent.token}
        del values["token"]
        await self._write(held, _OPEN, **values)

    async def settle_intent(
        self, token: str, outcome: str, detail: Any, fence: Fence | None = None
    ) -> None:
        """Record how it ended: ``created``, ``failed``, ``removed`` or ``swept``.

        The last two are final. ``add_cluster`` settles as created and ``close_cluster`` as
        removed by themselves.
        """
        if outcome not in OUTCOMES:
            raise ValueError(f"an intent cannot end as '{outcome}'")
        values = {"intent": token, "outcome": outcome, "detail": detail}
        if fence is None:
            await self._db.fetch(_SETTLE_ANY, **values)
        else:
            await self._quiet(fence, _SETTLE_FENCED, **values)

    async def open_intents(self, cloud: str | None = None) -> list[IntentRow]:
        """Intents behind which something may still exist: not settled, or created."""
        return IntentRow.all(await self._db.fetch(_LIST, cloud=cloud))
