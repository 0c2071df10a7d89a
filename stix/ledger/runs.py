"""Runs: from submission to an end, and again by resume."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from stix.ledger.base import Part
from stix.ledger.errors import NotFound, WrongState
from stix.ledger.rows import Fence, NewRun, RunRow, RunSummary
from stix.ledger.sql import Statement, event, fence, statement
from stix.spec.states import RunState

_FINAL = "('succeeded', 'failed', 'cancelled')"
_KEPT = "('succeeded', 'cached', 'skipped')"
_GET = Statement.of("""
    SELECT id, name, state, spec, source, uploads, options, secret_names, flow_run_id, deadline_s,
        reason, error, cost_usd, resumes, created, started, ended
    FROM runs WHERE id = :run_id""")

_CREATE = Statement.of("""
    WITH fence AS (
        INSERT INTO runs (id, name, state, spec, source, uploads, options, secret_names,
            flow_run_id, deadline_s)
        VALUES (:run_id, :name, 'queued', :spec, :source, :uploads, :options, :secret_names,
            :flow_run_id, :deadline_s)
        ON CONFLICT (id) DO NOTHING RETURNING id AS run_id),
    lease AS (INSERT INTO leases (run_id, events) SELECT run_id, 1 FROM fence),
    points AS (
        INSERT INTO stages (run_id, key, position, stage, params, needs)
        SELECT f.run_id, p.key, p.position, p.stage, p.params, p.needs
        FROM fence f, jsonb_to_recordset(:points)
            AS p(key text, position int, stage text, params jsonb, needs jsonb)),
    event AS (
        INSERT INTO events (run_id, number, kind, data)
        SELECT run_id, 1, 'run', jsonb_build_object('state', 'queued') FROM fence)
    SELECT pg_notify('stix_work', run_id), pg_notify('stix_events', run_id) FROM fence""")

_LIST = Statement.of("""
    SELECT r.id, r.name, r.state, r.reason, r.error, r.resumes, r.created, r.started, r.ended,
        coalesce(s.counts, '{}') AS stages, r.cost_usd + coalesce(c.usd, 0) AS cost_usd
    FROM (
        SELECT * FROM runs WHERE :state::text IS NULL OR state = :state
        ORDER BY created DESC, id LIMIT :limit::bigint) r
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(state, n) AS counts FROM (
            SELECT state, count(*) AS n FROM stages WHERE run_id = r.id GROUP BY state) x
        ) s ON true
    LEFT JOIN LATERAL (
        SELECT round(sum(price_usd_h * extract(epoch FROM clock_timestamp() - k.created) / 3600
            * (SELECT count(*) FROM nodes n WHERE n.token = k.token)), 6) AS usd
        FROM clusters k WHERE k.run_id = r.id AND k.closed IS NULL) c ON true
    ORDER BY r.created DESC, r.id""")

_LATEST = Statement.of("SELECT id FROM runs ORDER BY created DESC, id LIMIT 1")
_PREFIX = Statement.of("""
    SELECT id FROM runs WHERE starts_with(id, :prefix) ORDER BY id = :prefix DESC, created DESC
    LIMIT 6""")
_RECENT = Statement.of("SELECT id FROM runs ORDER BY created DESC LIMIT 500")

_SET_FLOW_RUN = statement(
    fence(),
    """effect AS (
        UPDATE runs r SET flow_run_id = :flow_run_id FROM fence f WHERE r.id = f.run_id)""",
    event("run", "jsonb_build_object('flow_run_id', :flow_run_id::text)"),
)

_START = statement(
    fence(),
    """effect AS (
        UPDATE runs r SET
            state = CASE WHEN r.state = 'queued' THEN 'running' ELSE r.state END,
            started = coalesce(r.started, clock_timestamp())
        FROM fence f WHERE r.id = f.run_id RETURNING r.state)""",
    event("run", "jsonb_build_object('state', (SELECT state FROM effect))"),
)

# The cost grows in the statement that writes a receipt line. A sum over the lines here would see
# them as they were before this statement waited for another writer of the same run.
_FINISH = statement(
    fence("NOT l.done", extra="done = true"),
    """effect AS (
        UPDATE runs r SET state = :state, error = :error, ended = clock_timestamp()
        FROM fence f WHERE r.id = f.run_id RETURNING r.cost_usd)""",
    event(
        "run",
        "jsonb_build_object('state', :state::text, 'error', :error::jsonb,"
        " 'cost_usd', (SELECT cost_usd::text FROM effect))",
    ),
)

# The lease's row is locked first, as by every writer, so that two of them cannot wait in a circle;
# FOR UPDATE also gives its newest version.
_LOCK = "held AS (SELECT run_id, engine_id FROM leases WHERE run_id = :run_id FOR UPDATE)"

_CANCEL = statement(
    _LOCK,
    f"""changed AS (
        UPDATE runs r SET reason = :reason,
            state = CASE WHEN r.state = 'queued' AND h.engine_id IS NULL
                THEN 'cancelled' ELSE 'cancelling' END,
            ended = CASE WHEN r.state = 'queued' AND h.engine_id IS NULL
                THEN clock_timestamp() END
        FROM held h WHERE r.id = h.run_id AND r.state IN ('queued', 'running')
        RETURNING r.id, r.state),
    stopped AS (
        UPDATE stages s SET state = 'cancelled', reason = :reason, ended = clock_timestamp()
        FROM changed c
        WHERE s.run_id = c.id AND c.state = 'cancelled' AND s.state NOT IN {_KEPT})""",
    """fence AS (
        UPDATE leases l SET events = l.events + 1, last_event = clock_timestamp(),
            done = l.done OR c.state = 'cancelled'
        FROM changed c WHERE l.run_id = c.id
        RETURNING l.run_id, l.events AS number, c.state)""",
    event("run", "jsonb_build_object('state', f.state, 'reason', :reason::text)"),
    select="f.state, pg_notify('stix_cancel', f.run_id)",
)

_RESUME = statement(
    _LOCK,
    f"""again AS (
        SELECT s.key FROM stages s JOIN held h ON h.run_id = s.run_id
        WHERE s.state NOT IN {_KEPT} AND (:names::text[] IS NULL
            OR s.key = ANY(:names::text[]) OR s.stage = ANY(:names::text[]))),
    changed AS (
        UPDATE runs r SET state = 'queued', resumes = r.resumes + 1, reason = NULL, error = NULL,
            started = NULL, ended = NULL
        FROM held h
        WHERE r.id = h.run_id AND r.state IN {_FINAL} AND EXISTS (SELECT FROM again)
        RETURNING r.id, r.resumes),
    reset AS (
        UPDATE stages s SET state = 'pending', reason = NULL, error = NULL, placement = NULL,
            flow_run_id = NULL, started = NULL, ended = NULL
        FROM changed c WHERE s.run_id = c.id AND s.key IN (SELECT key FROM again)
        RETURNING s.key, s.position)""",
    """fence AS (
        UPDATE leases l SET events = l.events + 1, last_event = clock_timestamp(),
            done = false, engine_id = NULL, token = nextval('lease_token')
        FROM changed c WHERE l.run_id = c.id
        RETURNING l.run_id, l.events AS number, c.resumes)""",
    event(
        "run",
        "jsonb_build_object('state', 'queued', 'resumes', f.resumes, 'stages',"
        " (SELECT jsonb_agg(key ORDER BY position) FROM reset))",
    ),
    select="f.run_id, pg_notify('stix_work', f.run_id)",
)

# Before the first event ever, the database's own start counts.
_ACTIVITY = Statement.of("""
    SELECT (SELECT count(*) FROM leases WHERE NOT done) AS active,
        extract(epoch FROM clock_timestamp() - coalesce(
            (SELECT max(last_event) FROM leases), pg_postmaster_start_time()))::float8 AS idle""")


class Runs(Part):
    """Runs."""

    async def create_run(self, new: NewRun) -> str:
        """Keep a run with its stages, ready to be claimed. The same id again changes nothing."""
        points = [{**point.__dict__, "position": i} for i, point in enumerate(new.points)]
        values: dict[str, Any] = {**new.__dict__, "run_id": new.id, "points": points}
        await self._db.fetch(_CREATE, **values)
        return new.id

    async def run(self, run_id: str) -> RunRow:
        """One run by its full id."""
        rows = await self._db.fetch(_GET, run_id=run_id)
        if not rows:
            raise await self._unknown(run_id)
        return RunRow.of(rows[0])

    async def runs(self, limit: int = 50, state: str | None = None) -> list[RunSummary]:
        """The newest runs, newest first."""
        return RunSummary.all(await self._db.fetch(_LIST, limit=limit, state=state))

    async def resolve(self, name: str) -> str:
        """The id meant by ``latest``, by an id or by a prefix that only one run has."""
        query = _LATEST if name == "latest" else _PREFIX
        ids = [row["id"] for row in await self._db.fetch(query, prefix=name)]
        if not ids or not name:
            raise await self._unknown(name)
        if len(ids) > 1 and ids[0] != name:
            shown = ", ".join(ids[:5])
            raise NotFound(
                f"'{name}' is the beginning of several runs: {shown}", fix="give more characters"
            )
        return str(ids[0])

    async def _unknown(self, name: str) -> NotFound:
        if name == "latest":
            return NotFound("there is no run yet", fix="start one with 'stix run FILE'")
        ids = [row["id"] for row in await self._db.fetch(_RECENT)]
        near = difflib.get_close_matches(name, ids, n=1, cutoff=0.5)
        fix = f"did you mean {near[0]}?" if near else "'stix runs' lists the runs"
        return NotFound(f"there is no run '{name}'", fix=fix)

    async def set_flow_run(self, held: Fence, flow_run_id: str) -> None:
        """Remember which Prefect flow run executes this run."""
        await self._write(held, _SET_FLOW_RUN, flow_run_id=flow_run_id)

    async def start_run(self, held: Fence) -> None:
        """Queued becomes running; a run that is cancelling stays so."""
        await self._write(held, _START)

    async def finish_run(self, held: Fence, state: str, error: dict[str, Any] | None) -> None:
        """Bring the run to a final state. The same state again is silent.

        Raises:
            WrongState: the run already ended otherwise.
        """
        if not RunState(state).final:
            raise ValueError(f"{state} is not a final state")
        values = {"state": str(state), "error": error}
        rows = await self._append(_FINISH, run_id=held.run_id, token=held.token, **values)
        if rows is None or rows:
            return
        now = (await self.run(held.run_id)).state
        if not now.final:
            raise await self._refusal(held, {})
        if now != state:
            raise WrongState(f"run {held.run_id} already ended: {now}")

    async def request_cancel(self, run_id: str, reason: str) -> RunState:
        """Ask for an end of the run; what is final or cancelling already stays as it is.

        Returns:
            The state now: ``cancelled`` at once for a queued run that no engine holds.
        """
        await self._append(_CANCEL, run_id=run_id, reason=reason)
        return (await self.run(run_id)).state

    async def resume_run(self, run_id: str, *, stages: Sequence[str] | None = None) -> None:
        """Queue a final run again. What did not succeed becomes pending, the rest stays.

        Args:
            stages: Names or keys of stages; only these of the unsuccessful ones go again.

        Raises:
            WrongState: the run has not ended, or nothing is left to do.
        """
        names = None if stages is None else list(stages)
        rows = await self._append(_RESUME, run_id=run_id, names=names)
        if rows is not None and not rows:
            run = await self.run(run_id)
            if not run.state.final:
                raise WrongState(f"run {run_id} is {run.state}; only a run that ended can resume")
            raise WrongState(f"run {run_id} has no such stage left to run")

    async def recent_activity(self) -> tuple[int, float]:
        """Number of runs that are not final, and seconds since the last event of any run."""
        row = (await self._db.fetch(_ACTIVITY))[0]
        return row["active"], row["idle"]
