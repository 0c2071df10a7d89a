"""Runs: what they are, what happened, and what people may ask of them."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from stix.errors import UsageError
from stix.ledger import EventRow, NodeRow, StageRow
from stix.server.api.encode import all_plain, plain
from stix.server.api.system import Here
from stix.server.context import Context
from stix.spec.states import RunState, StageState
from stix.spec.wire import from_wire

router = APIRouter()

LONGEST_WAIT_S = 60.0
Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)]


class Cancel(BaseModel):
    """The body of ``cancel``; it may be left out."""

    model_config = ConfigDict(extra="forbid")

    reason: str = "cancelled by the user"


class Resume(BaseModel):
    """The body of ``resume``; it may be left out. A run's secrets are forgotten at its end."""

    model_config = ConfigDict(extra="forbid")

    stages: list[str] | None = None
    secrets: dict[str, str] = Field(default_factory=dict, repr=False)


@router.get("/runs")
async def runs(
    context: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    state: RunState | None = None,
) -> list[Any]:
    """The newest runs."""
    return all_plain(await context.ledger.runs(limit=limit, state=state))


@router.get("/runs/{name}")
async def run(context: Here, name: str) -> dict[str, Any]:
    """A run with its stages, attempts, receipts and artifacts."""
    ledger = context.ledger
    run_id = await ledger.resolve(name)
    row = plain(await ledger.run(run_id))
    row["cost_usd"] = float(await ledger.cost(run_id))
    nodes: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for node in await ledger.nodes(run_id):
        nodes[node.key, node.attempt].append(_node(node))
    attempts: dict[str, list[Any]] = defaultdict(list)
    for attempt in await ledger.attempts(run_id):
        mine = nodes[attempt.key, attempt.number]
        attempts[attempt.key].append({**plain(attempt), "nodes": mine})
    stages = [
        {**plain(stage), "attempts": attempts[stage.key]} for stage in await ledger.stages(run_id)
    ]
    return {
        **row,
        "stages": stages,
        "receipts": all_plain(await ledger.receipts(run_id)),
        "artifacts": all_plain(await ledger.artifacts(run_id=run_id)),
    }


def _node(node: NodeRow) -> dict[str, Any]:
    """A node of an attempt: which machine it was, and whether it is gone."""
    ref = node.data["ref"]
    return {
        "id": node.id,
        "rank": node.rank,
        "cloud": node.cloud,
        "region": ref["region"],
        "zone": ref["zone"],
        "address": node.data["address"],
        "closed": plain(node.closed),
    }


@router.get("/runs/{name}/events")
async def events(context: Here, name: str, after: int = 0, wait: Wait = 0) -> list[Any]:
    """Events after a number; waits for one."""
    run_id = await context.ledger.resolve(name)
    deadline = time.monotonic() + wait
    rows: list[EventRow] = []
    with context.waiters.waiting(run_id) as news:
        while not rows:
            news.clear()
            rows = await context.ledger.events(run_id, after)
            left = deadline - time.monotonic()
            if left <= 0 or (not rows and not await context.waiters.wait(news, left)):
                break
    return all_plain(rows)


@router.post("/runs/{name}/cancel", status_code=202)
async def cancel(context: Here, name: str, body: Cancel | None = None) -> dict[str, Any]:
    """Ask for an end of the run."""
    run_id = await context.ledger.resolve(name)
    state = await context.ledger.request_cancel(run_id, (body or Cancel()).reason)
    return {"id": run_id, "state": state}


@router.post("/runs/{name}/resume", status_code=202)
async def resume(context: Here, name: str, body: Resume | None = None) -> dict[str, Any]:
    """Run again what did not succeed."""
    wish = body or Resume()
    run_id = await context.ledger.resolve(name)
    row = await context.ledger.run(run_id)
    if row.state.final:
        _keep_secrets(context, run_id, row.secret_names, wish.secrets)
    await context.ledger.resume_run(run_id, stages=wish.stages)
    return {"id": run_id, "state": RunState.QUEUED}


def _keep_secrets(context: Context, run_id: str, names: list[str], given: dict[str, str]) -> None:
    if not names:
        return
    values = {**context.vault.get(run_id), **given}
    missing = [name for name in names if name not in values]
    if missing:
        raise UsageError(
            f"the secrets of run {run_id} were forgotten at its end: {', '.join(missing)}",
            fix=f"give them again: --secret {missing[0]}",
        )
    context.vault.put(run_id, {name: values[name] for name in names})


@router.get("/runs/{name}/why")
async def why(context: Here, name: str, stage: str) -> dict[str, Any]:
    """Why a stage ran or was skipped: its cache key, part by part, beside that of the last run."""
    ledger = context.ledger
    run_id = await ledger.resolve(name)
    row = await ledger.stage(run_id, stage)
    run_row = await ledger.run(run_id)
    before = await ledger.last_parts(run_row.name, row.stage, row.params, run_id)
    now = row.cache_parts or {}
    ran = bool(await ledger.attempts(run_id, stage))
    parts = [
        {
            "part": part,
            "now": now.get(part),
            "before": (before or {}).get(part),
            "changed": before is not None and now.get(part) != before.get(part),
        }
        for part in dict.fromkeys([*now, *(before or {})])
    ]
    changed = [str(part["part"]) for part in parts if part["changed"]]
    never = from_wire(run_row.spec).resolved().stages[row.stage].uncached
    told = _told_to_run(run_row.options, row)
    facts = _Facts(row, ran, before is not None, changed, told, never)
    return {
        "run": run_id,
        "stage": stage,
        "ran": ran,
        "state": row.state,
        "reason": row.reason or _reason(facts),
        "parts": parts,
    }


@dataclass(frozen=True)
class _Facts:
    """What decides the reason."""

    row: StageRow
    ran: bool
    seen_before: bool
    changed: list[str]
    told: str
    never: str


def _told_to_run(options: dict[str, Any], row: StageRow) -> str:
    if options.get("no_cache"):
        return "the run was started with --no-cache"
    if row.stage in (options.get("force") or ()):
        return "the run was started with --force for this stage"
    if row.stage in (options.get("accept") or ()):
        return "--accept: no earlier run left outputs that could be accepted"
    return ""


def _reason(facts: _Facts) -> str:
    if facts.row.state is StageState.CACHED:
        return "nothing that its outputs depend on changed: those of an earlier run serve"
    if not facts.ran:
        return f"it did not run: {facts.row.state}"
    if facts.told:
        return facts.told
    if not facts.seen_before:
        return "no earlier run of this pipeline had this stage"
    if facts.changed:
        return f"changed since the last run: {', '.join(facts.changed)}"
    if facts.never:
        return f"nothing changed, but {facts.never}"
    return "nothing changed, but no outputs of an earlier run can serve"
