"""A rehearsal for people: how it ended, each stage, each attempt, and what could not be had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stix.cli.output import clip, pairs, table
from stix.plan import shown

if TYPE_CHECKING:
    from stix.client.api import Json

ROWS = 40
WORDS = 70


def whole(report: Json) -> str:
    """All of it."""
    parts = [_head(report), _spread(report), _stages(report), _attempts(report), _tries(report)]
    parts.append("\n".join(f"note: {note}" for note in report["notes"]))
    return "\n\n".join(part for part in parts if part)


def _head(report: Json) -> str:
    many = len(report["runs"]) > 1
    first = f" (of seed {report['seed']}, as all below)" if many else ""
    return pairs(
        [
            ("finished", ("yes" if report["finished"] else f"no: {report['reason']}") + first),
            ("time", shown.time(report["seconds"])),
            ("cost", shown.money(report["usd"])),
            ("preemptions", f"{report['preemptions']} in {report['attempts']} attempts"),
            ("on", _market(report)),
            ("seed", f"{report['seed']}, course {report['digest']}"),
        ]
    )


def _market(report: Json) -> str:
    where = "machines of the catalog" if report["market"] == "catalog" else "made-up machines"
    return f"{where}, {report['preempt_rate']:g} preemptions per spot node and hour"


def _spread(report: Json) -> str:
    """Over all rehearsals."""
    found = report["spread"]
    if not found:
        return ""
    count = f"{found['finished']} of {found['runs']} rehearsals finish"
    texts: dict[str, tuple[str, Any]] = {
        "cost": ("usd", shown.money),
        "time": ("seconds", shown.time),
        "preemptions": ("preemptions", lambda number: f"{number:g}"),
    }
    ends = ("min", "median", "p95", "max")
    rows = [
        (name, *(text(found[key][end]) for end in ends))
        for name, (key, text) in texts.items()
        if found[key]
    ]
    return f"{count}\n{table(['of those', 'least', *ends[1:3], 'most'], rows)}" if rows else count


def _stages(report: Json) -> str:
    rows = [
        (
            row["key"],
            row["state"],
            len(row["attempts"]) or "-",
            _where(row["attempts"][-1]) if row["attempts"] else "-",
            shown.time(_elapsed(row, report)) if row["attempts"] else "-",
            shown.money(row["usd"]),
            clip(row["reason"], WORDS),
        )
        for row in report["stages"]
    ]
    return _cut(["stage", "state", "attempts", "where", "time", "cost", "reason"], rows)


def _elapsed(row: Json, report: Json) -> float:
    end = row["attempts"][-1]["end"]
    return float((report["seconds"] if end is None else end) - row["attempts"][0]["start"])


def _attempts(report: Json) -> str:
    """Of stages that needed more than one, or failed."""
    rows = [
        (
            row["key"],
            one["number"],
            f"{shown.time(one['start'])} to {_end(one)}",
            _where(one),
            shown.money(one["usd"]),
            clip((one["event"] or {}).get("detail") or one["state"], WORDS),
            clip(one["decision"], WORDS),
        )
        for row in report["stages"]
        if len(row["attempts"]) > 1 or row["state"] == "failed"
        for one in row["attempts"]
    ]
    heads = ["stage", "attempt", "when", "where", "cost", "ended", "then"]
    return _cut(heads, rows) if rows else ""


def _end(one: Json) -> str:
    return "-" if one["end"] is None else shown.time(one["end"])


def _tries(report: Json) -> str:
    """What was asked for in vain, offer by offer."""
    rows = [
        (
            row["key"],
            one["number"],
            shown.time(tried["at"]),
            _where(tried),
            clip(tried["event"]["detail"], WORDS),
            clip(tried["decision"], WORDS),
        )
        for row in report["stages"]
        for one in row["attempts"]
        for tried in one["tries"]
    ]
    total = sum(one["tried"] for row in report["stages"] for one in row["attempts"])
    heads = ["stage", "attempt", "at", "asked for", "answer", "then"]
    return _cut(heads, rows, total) if rows else ""


def _where(about: Json) -> str:
    spot = " spot" if about["spot"] else ""
    return f"{about['infra']} {about['instance_type']}{spot}"


def _cut(heads: list[str], rows: list[tuple[Any, ...]], total: int | None = None) -> str:
    left = (len(rows) if total is None else total) - len(rows[:ROWS])
    return table(heads, rows[:ROWS]) + (f"\n({left} more)" if left else "")
