"""Stages of a run and their attempts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Unpack

from stix.ledger.base import Part
from stix.ledger.errors import NotFound
from stix.ledger.rows import AttemptOutcome, AttemptRow, Fence, StageRow
from stix.ledger.sql import ATTEMPT_EXISTS, STAGE_EXISTS, Statement, event, fence, statement

_TYPES = {
    "state": "text",
    "reason": "text",
    "placement": "jsonb",
    "cache_key": "text",
    "cache_parts": "jsonb",
    "result": "jsonb",
    "outputs": "jsonb",
    "error": "jsonb",
    "flow_run_id": "text",
}
_TIMES = ("started", "ended")
# Large columns stay out of the event; who wants them reads the stage.
_SHOWN = ("reason", "placement", "result", "error", "flow_run_id")

_STAGE = """
    SELECT run_id, key, position, stage, params, needs, state, reason, placement, cache_key,
        cache_parts, result, outputs, error, flow_run_id, started, ended
    FROM stages WHERE run_id = :run_id"""
_STAGES = Statement.of(f"{_STAGE} ORDER BY position")
_ONE_STAGE = Statement.of(f"{_STAGE} AND key = :key")

_ATTEMPTS = Statement.of("""
    SELECT a.run_id, a.key, a.number, a.resume, a.state, a.offer, a.steps, a.event, a.action,
        a.exit_code, a.started, a.ended
    FROM attempts a JOIN stages s USING (run_id, key)
    WHERE a.run_id = :run_id AND (:key::text IS NULL OR a.key = :key)
    ORDER BY s.position, a.number""")

_START = statement(
    fence(STAGE_EXISTS),
    """effect AS (
        INSERT INTO attempts AS a (run_id, key, number, offer, resume)
        SELECT f.run_id, :key, :number, :offer, r.resumes
        FROM fence f JOIN runs r ON r.id = f.run_id
        ON CONFLICT (run_id, key, number) DO UPDATE SET offer = coalesce(:offer, a.offer))""",
    event(
        "attempt",
        "jsonb_build_object('number', :number::int, 'state', 'running', 'offer', :offer::jsonb)",
        key=":key",
    ),
)

_STEP = statement(
    fence(ATTEMPT_EXISTS),
    """effect AS (
        UPDATE attempts a SET steps = a.steps || jsonb_build_object(:step::text,
            jsonb_build_object('result', :result::jsonb, 'ended', clock_timestamp()))
        FROM fence f WHERE a.run_id = f.run_id AND a.key = :key AND a.number = :number)""",
    event("step", "jsonb_build_object('number', :number::int, 'step', :step::text)", key=":key"),
)

_FINISH = statement(
    fence(ATTEMPT_EXISTS),
    """effect AS (
        UPDATE attempts a SET state = :state, event = :event, action = :action,
            exit_code = :exit_code, ended = coalesce(a.ended, clock_timestamp())
        FROM fence f WHERE a.run_id = f.run_id AND a.key = :key AND a.number = :number)""",
    event(
        "attempt",
        "jsonb_build_object('number', :number::int, 'state', :state::text, 'event', :event::jsonb,"
        " 'action', :action::jsonb, 'exit_code', :exit_code::int)",
        key=":key",
    ),
)


@lru_cache(maxsize=256)
def _update(names: tuple[str, ...], times: tuple[tuple[str, bool], ...]) -> Statement:
    """The statement that sets these columns; times are set to now or emptied."""
    changes = {name: f":{name}::{_TYPES[name]}" for name in names}
    if "state" in changes:
        changes["started"] = (
            "CASE WHEN :state::text = 'running' THEN coalesce(s.started, clock_timestamp())"
            " WHEN :state::text = 'pending' THEN NULL ELSE s.started END"
        )
        changes["ended"] = (
            "CASE WHEN :state::text IN ('pending', 'running') THEN NULL ELSE clock_timestamp() END"
        )
    changes |= {name: "clock_timestamp()" if now else "NULL" for name, now in times}
    assignments = ", ".join(f"{name} = {value}" for name, value in changes.items())
    shown = "".join(f", '{name}', :{name}::{_TYPES[name]}" for name in names if name in _SHOWN)
    return statement(
        fence(STAGE_EXISTS),
        f"""effect AS (
            UPDATE stages s SET {assignments} FROM fence f
            WHERE s.run_id = f.run_id AND s.key = :key RETURNING s.state)""",
        event(
            "stage",
            f"jsonb_build_object('state', (SELECT state FROM effect){shown})",
            key=":key",
        ),
    )


class Stages(Part):
    """Stages and attempts."""

    async def stages(self, run_id: str) -> list[StageRow]:
        """The run's stages in the order of the pipeline."""
        return StageRow.all(await self._db.fetch(_STAGES, run_id=run_id))

    async def stage(self, run_id: str, key: str) -> StageRow:
        """One stage by its key."""
        rows = await self._db.fetch(_ONE_STAGE, run_id=run_id, key=key)
        if not rows:
            raise NotFound(f"run {run_id} has no stage '{key}'")
        return StageRow.of(rows[0])

    async def update_stage(self, held: Fence, key: str, **changes: Any) -> None:
        """Change columns of a stage and append the event ``stage`` with the state it has then.

        Args:
            changes: ``state``, ``reason``, ``placement``, ``cache_key``, ``cache_parts``,
                ``result``, ``outputs``, ``error``, ``flow_run_id``. ``started`` and ``ended`` take
                True (the database's clock, now) or None; the state sets them by itself.
        """
        unknown = changes.keys() - _TYPES.keys() - set(_TIMES)
        if unknown or not changes:
            raise ValueError(f"not columns of a stage: {sorted(unknown)}")
        times = tuple((name, bool(changes.pop(name))) for name in _TIMES if name in changes)
        query = _update(tuple(sorted(changes)), times)
        await self._write(held, query, key=key, **changes)

    async def start_attempt(
        self, held: Fence, key: str, number: int, offer: dict[str, Any] | None
    ) -> None:
        """Begin an attempt; the same number again only renews its offer."""
        await self._write(held, _START, key=key, number=number, offer=offer)

    async def attempts(self, run_id: str, key: str | None = None) -> list[AttemptRow]:
        """Attempts of a run, or of one stage, in order."""
        return AttemptRow.all(await self._db.fetch(_ATTEMPTS, run_id=run_id, key=key))

    async def record_step(
        self, held: Fence, key: str, number: int, step: str, result: dict[str, Any]
    ) -> None:
        """Remember that a step of an attempt finished, with what a second process needs of it."""
        await self._write(held, _STEP, key=key, number=number, step=step, result=result)

    async def finish_attempt(
        self, held: Fence, key: str, number: int, state: str, **outcome: Unpack[AttemptOutcome]
    ) -> None:
        """End an attempt with what happened and what recovery answered."""
        values = {"event": None, "action": None, "exit_code": None, **outcome}
        await self._write(held, _FINISH, key=key, number=number, state=str(state), **values)
