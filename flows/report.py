"""The tables that a run leaves in the Prefect UI: plan, results, receipt."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any

from prefect.artifacts import create_table_artifact

from stix.engine.runtime import RunContext
from stix.ledger import StageRow
from stix.plan import shown
from stix.plan.jointplan import JointPlan, StagePlan
from stix.plan.placement import Plan
from stix.plan.rails import rails

CELL = 200

log = logging.getLogger("stix.engine")


def _key(kind: str, run_id: str) -> str:
    """Prefect takes lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", f"stix-{kind}-{run_id}".lower()).strip("-")


async def _table(
    run: RunContext, kind: str, rows: list[dict[str, Any]], what: str, more: str = ""
) -> None:
    if not rows:
        return
    try:
        await create_table_artifact(  # type: ignore[misc]
            table=rows,
            key=_key(kind, run.run_id),
            description="\n\n".join([f"{what} of run `{run.run_id}`", *([more] if more else [])]),
        )
    except Exception as error:  # noqa: BLE001  a table less must not change how a run ends
        log.warning("the table %r of run %s is missing: %s", kind, run.run_id, error)


async def publish_plan(run: RunContext) -> None:
    """Which offer each stage takes, at what price, and what the whole is thought to come to."""
    await _table(run, "plan", plan_rows(run.plan, run.joint), "Plan", plan_text(run.joint))


def plan_rows(plan: Plan, joint: JointPlan | None) -> list[dict[str, Any]]:
    """A row per stage; what is expected of it stands where the plan as a whole is known."""
    rows: list[dict[str, Any]] = []
    for name, placement in plan.stages.items():
        row = {
            "stage": name,
            "offer": placement.offer.infra,
            "type": placement.offer.instance_type,
            "nodes": placement.num_nodes,
            "USD/h": round(placement.usd_per_hour, 4),
            "alternatives": len(placement.alternatives),
        }
        whole = joint.stages.get(name) if joint else None
        known = whole is not None and whole.offer == placement.offer
        rows.append({**row, **(_expected(whole, joint) if known and whole and joint else _UNKNOWN)})
    return rows


def _expected(stage: StagePlan, joint: JointPlan) -> dict[str, Any]:
    edges = [edge for edge in joint.edges if edge.target == stage.stage]
    best = stage.next_best
    return {
        "time": shown.time(stage.cost.seconds.value),
        "USD": round(stage.cost.usd.value, 4),
        "bar": f"{stage.cost.usd.low:.4g} to {stage.cost.usd.high:.4g}",
        "egress in": round(sum(edge.usd.value for edge in edges), 4),
        "GB in": round(sum(edge.gb.value for edge in edges), 3),
        "next best": f"{best.choice.offer.infra} {best.choice.offer.instance_type}" if best else "",
        "why not": best.why if best else "",
    }


_UNKNOWN = dict.fromkeys(("time", "USD", "bar", "egress in", "GB in", "next best", "why not"), "")


def plan_text(joint: JointPlan | None) -> str:
    """Totals, notes and the DAG, as Markdown for above the table."""
    if joint is None:
        return ""
    usd, seconds = joint.usd.to_dict(), joint.seconds.to_dict()
    edges = [(e.source, e.target) for e in joint.edges if e.source in joint.stages]
    lines = rails(list(joint.stages), edges) if edges else []
    width = max((len(drawing) for drawing, _ in lines), default=0)
    drawn = "\n".join(f"{drawing.ljust(width)}  {name}".rstrip() for drawing, name in lines)
    parts = [
        f"Expected cost: {shown.bar(usd, shown.money)}, of it {shown.money(joint.egress_usd)}"
        f" for moving data. Expected time: {shown.bar(seconds, shown.time)}.",
        f"The best in {joint.minimize}"
        + (", proven." if joint.gap == 0 else f", within {joint.gap:.1%}."),
        "\n".join(f"- {note}" for note in joint.notes),
        f"```\n{drawn}\n```" if drawn else "",
    ]
    return "\n\n".join(part for part in parts if part)


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
