"""A run's parts as rows for people; shared by ``runs``, ``run`` and the live view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stix.cli.output import between, clip, duration, moment, pairs, size, table, usd
from stix.client.artifacts import outputs

if TYPE_CHECKING:
    from stix.client.api import Json

REASON_WIDTH = 70
BEGUN = ("running", "succeeded", "cached", "failed")
DONE, COULD_NOT_RUN, FAILED, CANCELLED = 0, 1, 100, 103


def exit_code(run: Json) -> int:
    """Exit code of a finished run: 0 done, 1 could not run, 100 a stage failed, 103 cancelled."""
    if run["state"] == "failed" and never_ran(run):
        return COULD_NOT_RUN
    return {"succeeded": DONE, "cancelled": CANCELLED}.get(str(run["state"]), FAILED)


def never_ran(run: Json) -> bool:
    """Whether the run ended before any of its stages began, such as for want of a place."""
    return not any(s.get("attempts") or s["state"] in BEGUN for s in run["stages"])


def place(stage: Json) -> str:
    """Where the last attempt ran: cloud, region, zone and machine."""
    attempt = last(stage)
    offer = (attempt.get("offer") or {}).get("offer")
    zones = {node.get("zone") for node in attempt.get("nodes") or ()}
    # An offer of a whole pool names no zone; its nodes know where they are.
    return offer_text({**offer, "zone": zones.pop()} if offer and len(zones) == 1 else offer)


def offer_text(offer: Json | None) -> str:
    """``cloud/region/zone machine``, and whether it is spot."""
    if not offer:
        return "-"
    parts = [str(offer[k]) for k in ("cloud", "region", "zone") if offer.get(k) not in (None, "-")]
    spot = " spot" if offer.get("spot") else ""
    return f"{'/'.join(parts)} {offer.get('instance_type') or ''}".rstrip() + spot


def demand_text(demand: Json) -> str:
    """What one node reserves: vCPUs, memory, accelerators."""
    parts = [
        f"{demand['cpus']:g} cpu" if demand.get("cpus") else "",
        f"{demand['memory_gib']:g} GiB" if demand.get("memory_gib") else "",
        *(f"{name}:{count:g}" for name, count in (demand.get("accelerators") or {}).items()),
    ]
    return " ".join(part for part in parts if part) or "-"


def last(stage: Json) -> Json:
    """The last attempt; empty where there is none."""
    attempts = stage.get("attempts") or []
    return dict(attempts[-1]) if attempts else {}


def reason(item: Json) -> str:
    """Why a stage or an attempt is in its state, in a few words."""
    why = item.get("reason") or item.get("error") or item.get("event") or ""
    if isinstance(why, dict):
        why = why.get("message") or event_text(why)
    return str(why)


def event_text(event: Json) -> str:
    """What ended an attempt: its kind, exit code and detail."""
    code = event.get("exit_code")
    kind = str(event.get("kind") or "").replace("_", " ")
    detail = str(event.get("detail") or "")
    return ", ".join(p for p in (kind, detail or (f"exit code {code}" if code else "")) if p)


def cost(run: Json, key: str | None = None, attempt: int | None = None) -> float:
    """USD of a run, a stage or one attempt, by the receipts."""
    return sum(
        float(line["usd"])
        for line in run.get("receipts") or []
        if key in (None, line["key"]) and attempt in (None, line["attempt"])
    )


def elapsed(item: Json) -> float | None:
    """Seconds from start to end, or to now."""
    return between(item.get("started"), item.get("ended"))


def stage_table(run: Json) -> str:
    """One line per stage."""
    rows = [
        (
            s["key"],
            s["state"],
            duration(elapsed(s)),
            len(s.get("attempts") or []) or "-",
            place(s),
            usd(cost(run, s["key"])),
            clip(reason(s), REASON_WIDTH),
        )
        for s in run["stages"]
    ]
    return table(["stage", "state", "time", "attempts", "where", "cost", "reason"], rows)


def results_table(run: Json) -> str:
    """What stages wrote to STIX_RESULT; empty where none did."""
    having = [s for s in run["stages"] if s.get("result")]
    if not having:
        return ""
    names = list(dict.fromkeys(name for s in having for name in s["result"]))
    rows = [[s["key"], *(_value(s["result"].get(n)) for n in names)] for s in having]
    return table(["stage", *names], rows)


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return clip(str(value), 40)


def attempts_table(run: Json) -> str:
    """One line per attempt: state, time, place, cost, why it ended."""
    rows = [
        (
            s["key"],
            a.get("number", i),
            a["state"],
            duration(elapsed(a)),
            place({"attempts": [a]}),
            usd(cost(run, s["key"], a["number"])),
            clip(reason(a), REASON_WIDTH),
        )
        for s in run["stages"]
        for i, a in enumerate(s.get("attempts") or [], 1)
    ]
    heads = ["stage", "attempt", "state", "time", "where", "cost", "reason"]
    return table(heads, rows) if rows else ""


def tried_table(run: Json) -> str:
    """What attempts asked for in vain, offer by offer; empty where each got what it asked for."""
    rows = [
        (
            s["key"],
            a.get("number", i),
            f"{t['infra']} {t['instance_type']}" + (" spot" if t["spot"] else ""),
            clip(event_text(t["event"]), REASON_WIDTH),
            clip(t["decision"], REASON_WIDTH),
        )
        for s in run["stages"]
        for i, a in enumerate(s.get("attempts") or [], 1)
        for t in _tried(a)
    ]
    return table(["stage", "attempt", "asked for", "answer", "then"], rows) if rows else ""


def _tried(attempt: Json) -> list[Json]:
    return _step(attempt, "shortages", "tried")


def checkpoints_table(run: Json) -> str:
    """What attempts went on from; empty where each began anew."""
    rows = []
    for stage in run["stages"]:
        for i, attempt in enumerate(stage.get("attempts") or [], 1):
            step = (attempt.get("steps") or {}).get("sync") or {}
            found = (step.get("result") or {}).get("checkpoint")
            if found:
                taken = moment(found["taken"])
                when = f"{taken:%H:%M:%S}" if taken else "-"
                came = f"checkpoint {found['number']} of attempt {found['attempt']}"
                rows.append(
                    (stage["key"], attempt.get("number", i), came, when, size(found["bytes"]))
                )
    return table(["stage", "attempt", "went on from", "taken", "size"], rows) if rows else ""


def mounts_table(run: Json) -> str:
    """What attempts mounted where by which tool, and what was left to upload at their end."""
    rows = []
    for stage in run["stages"]:
        for i, attempt in enumerate(stage.get("attempts") or [], 1):
            waited = {
                (one["target"], one["rank"]): one for one in _step(attempt, "flush", "flushed")
            }
            for one in _step(attempt, "mounts", "mounted"):
                last = waited.get((one["target"], one["rank"]))
                left = f"{last['files']} files, {size(last['bytes'])}" if last else "-"
                what = (stage["key"], attempt.get("number", i), one["rank"], one["target"])
                rows.append((*what, one["url"], one["mode"], one["tool"], left))
    heads = ["stage", "attempt", "node", "mounted at", "url", "mode", "by", "flushed at the end"]
    return table(heads, rows) if rows else ""


def _step(attempt: Json, step: str, name: str) -> list[Json]:
    """A list that a step of an attempt left."""
    found = (attempt.get("steps") or {}).get(step) or {}
    return list((found.get("result") or {}).get(name) or [])


def receipt(run: Json) -> str:
    """What the run cost, as the ledger closed it."""
    lines = run.get("receipts") or []
    total = cost(run)
    return f"{usd(total)} in {len(lines)} line(s)" if lines else usd(total)


def header(run: Json) -> str:
    """Name, state and times of a run."""
    return pairs(
        [
            ("run", f"{run['id']}  {run.get('name') or ''}".rstrip()),
            ("state", run["state"]),
            ("reason", reason(run)),
            ("created", run.get("created")),
            ("time", duration(elapsed(run))),
            ("cost", receipt(run)),
        ]
    )


def artifacts_hint(run: Json) -> str:
    """The outputs and how to fetch one."""
    names = list(outputs(run))
    if not names:
        return ""
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"outputs   {shown}\nfetch     stix artifacts get {names[-1]} --run {run['id']}"
