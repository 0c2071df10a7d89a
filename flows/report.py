"""The tables that a run leaves in the Prefect UI: plan, results, receipt."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

from prefect.artifacts import create_table_artifact

from stix.engine.runtime import RunContext
from stix.ledger import StageRow

CELL = 200

log = logging.getLogger("stix.engine")


def _key(kind: str, run_id: str) -> str:
    """Prefect takes lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"stix-{kind}-{run_id}".lower()).strip("-")


async def _table(run: RunContext, kind: str, rows: list[dict[str, Any]], what: str) -> None:
    if not rows:
        return
    try:
        await create_table_artifact(  # type: ignore[misc]
            table=rows, key=_key(kind, run.run_id), description=f"{what} of run `{run.run_id}`"
        )
    except Exception as error:  # noqa: BLE001  a table less must not change how a run ends
        log.warning("the table %r of run %s is missing: %s", kind, run.run_id, error)


async def publish_plan(run: RunContext) -> None:
    """Which offer each stage takes, and at what price."""
    rows = [
        {
            "stage": name,
            "offer": placement.offer.infra,
            "type": placement.offer.instance_type,
            "nodes": placement.num_nodes,
            "USD/h": round(placement.usd_per_hour, 4),
            "alternatives": len(placement.alternatives),
        }
        for name, placement in run.plan.stages.items()
    ]
    await _table(run, "plan", rows, "Plan")


async def publish_results(run: RunContext) -> None:
    """What each stage came to, and what it cost."""
    await _table(run, "results", result_rows(run.stage_rows.values()), "Results")
    receipts = await run.runtime.ledger.receipts(run.run_id)
    lines = [
        {
            "stage": line.key,
            "attempt": line.attempt,
            "hours": round(float(line.quantity), 6),
            "USD/h": float(line.unit_price_usd),
            "USD": float(line.usd),
        }
        for line in receipts
    ]
    await _table(run, "receipt", lines, "Receipt")


def result_rows(stages: Iterable[StageRow]) -> list[dict[str, Any]]:
    """A row per stage run. Each has all columns: Prefect's UI shows those of the first."""
    rows: list[dict[str, Any]] = [
        {"stage": row.key, "state": str(row.state), **_small(row.result or {})} for row in stages
    ]
    empty = dict.fromkeys((name for row in rows for name in row), "")
    return [{**empty, **row} for row in rows]


def _small(result: dict[str, Any]) -> dict[str, Any]:
    """What fits into a cell."""
    return {
        k: v[:CELL] if isinstance(v, str) else v
        for k, v in result.items()
        if isinstance(v, str | int | float | bool)
    }
