"""A plan for people: the table, the totals, the DAG, and why each offer lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stix.cli.output import clip, pairs, table
from stix.cli.view import demand_text
from stix.plan import shown
from stix.plan.rails import rails

if TYPE_CHECKING:
    from stix.client.api import Json

FRONT_SHOWN = 20
AWAY = "*"
_WHY_LOST = {
    "beaten": "another in the same place is not dearer and not slower",
    "tier": "come later in `ordered`",
    "data": "cheaper by themselves, dearer with the data that has to move",
    "dearer": "make the plan dearer",
    "slower": "make the plan slower",
    "late": "break the deadline or the budget",
    "equal": "cost the same",
}
_WHY_NOT = {
    "infra": "lie elsewhere than `infra` says",
    "instance_type": "are another `instance_type`",
    "spot": "are on the other market than `use_spot` says",
    "accelerators": "have not the accelerators",
    "slice": "are slices of TPUs, which are rented by name",
    "cpus": "have not the `cpus`",
    "memory": "have not the `memory`",
    "local_disk": "have not the `local_disk`",
    "arch": "have another processor than `arch` says (x86_64 where it says nothing)",
    "price": "cost more than `max_hourly_cost`",
    "capacity": "have no room for all nodes",
    "blocked": "had no room a short time ago",
    "preemption": "would be interrupted again and again before the stage ends",
}


def whole(plan: Json) -> str:
    """All stages with totals, the DAG, and the front where it was asked for."""
    parts = [_stages(plan), _totals(plan), _drawn(plan), _front(plan), _notes(plan)]
    return "\n\n".join(part for part in parts if part)


def _stages(plan: Json) -> str:
    rows = []
    for stage in plan["stages"]:
        offer, nodes, cost = stage["chosen"]["offer"], stage["num_nodes"], stage["cost"]
        best = stage["next_best"]
        rows.append(
            (
                stage["stage"],
                shown.offer(offer) + ("" if stage["enabled"] else AWAY),
                nodes * stage["points"],
                demand_text(stage["chosen"]["demand"]),
                shown.price(offer, nodes),
                shown.time(cost["seconds"]["value"]),
                _mark(offer) + shown.money(cost["usd"]["value"]),
                _moved(plan, stage),
                shown.offer(best["choice"]["offer"]) if best else "-",
                _worse(best) if best else "-",
            )
        )
    heads = ["stage", "where", "nodes", "each", "price", "time", "cost", "egress in", "next best"]
    return table([*heads, "than this"], rows)


def _moved(plan: Json, stage: Json) -> str:
    """What comes in, and for how much."""
    edges = [edge for edge in plan["edges"] if edge["target"] == stage["stage"]]
    gb = sum(edge["gb"]["value"] for edge in edges)
    usd = sum(edge["usd"]["value"] for edge in edges)
    doubt = any(fact["unconfirmed"] for edge in edges for fact in edge["facts"])
    return f"{shown.data(gb)} {'~' if doubt else ''}{shown.money(usd)}" if gb or usd else "-"


def _worse(loser: Json) -> str:
    """By how much the whole plan is dearer and slower with it."""
    if loser["code"] == "beaten":
        return "not better"
    parts = [
        f"{'+' if loser['usd'] > 0 else '-'}{shown.money(abs(loser['usd']))}"
        if abs(loser["usd"]) > 1e-6
        else "",
        f"{'+' if loser['seconds'] > 0 else '-'}{shown.time(abs(loser['seconds']))}"
        if abs(loser["seconds"]) >= 1
        else "",
    ]
    return " ".join(part for part in parts if part) or "equal"


def _mark(offer: Json) -> str:
    return "~" if offer["price_is_estimate"] else ""


def _totals(plan: Json) -> str:
    each = sum(float(stage["usd_per_hour"]) for stage in plan["stages"])
    egress = f", of it {shown.money(plan['egress_usd'])} for moving data"
    sure = "proven" if plan["gap"] == 0 else f"within {plan['gap']:.1%} of the best"
    return pairs(
        [
            (
                "cost",
                ("~" if _guessed(plan) else "") + shown.bar(plan["usd"], shown.money) + egress,
            ),
            ("time", shown.bar(plan["seconds"], shown.time)),
            ("best in", f"{plan['minimize']}, {sure}"),
            ("all at once", f"{shown.money(each)}/h"),
        ]
    )


def _guessed(plan: Json) -> bool:
    """Whether any price of the plan is an estimate, or confirmed by no source."""
    machines = any(stage["chosen"]["offer"]["price_is_estimate"] for stage in plan["stages"])
    return machines or any(fact["unconfirmed"] for edge in plan["edges"] for fact in edge["facts"])


def _drawn(plan: Json) -> str:
    """The DAG beside where its stages run; a single stage needs no drawing."""
    stages = {stage["stage"]: stage for stage in plan["stages"]}
    edges = [(edge["source"], edge["target"]) for edge in plan["edges"]]
    edges = [edge for edge in edges if edge[0] in stages]
    lines = rails(list(stages), edges) if edges else []
    width = max((len(drawing) for drawing, _ in lines), default=0)
    return "\n".join(
        f"{drawing.ljust(width)}  {_beside(stages[name], plan)}" if name else drawing
        for drawing, name in lines
    )


def _beside(stage: Json, plan: Json) -> str:
    cost = stage["cost"]
    offer = stage["chosen"]["offer"]
    where = shown.offer({**offer, "instance_type": "", "spot": False})
    span = f"{shown.time(stage['start'])} to {shown.time(stage['end'])}"
    moved = _moved(plan, stage)
    arrives = "" if moved == "-" else f", {moved} in"
    return f"{stage['stage']}: {where}, {shown.money(cost['usd']['value'])}, {span}{arrives}"


def _front(plan: Json) -> str:
    front = plan.get("front")
    if not front:
        return ""
    plans, chosen = front["plans"], front["chosen"]
    shown_ones = _spread(len(plans), chosen)
    rows = []
    for number in shown_ones:
        point = plans[number]
        limits = (plan["deadline"], point["seconds"]), (plan["budget"], point["usd"])
        out = any(limit is not None and value > limit + 1e-6 for limit, value in limits)
        rows.append(
            (
                shown.money(point["usd"]),
                shown.time(point["seconds"]),
                "chosen" if number == chosen else "out of bounds" if out else "",
                clip(", ".join(_changed(plans, number, chosen)), 90),
            )
        )
    text = table(["cost", "time", "", "other than chosen"], rows)
    left = len(plans) - len(shown_ones)
    more = f"\n({left} more between these: -o json)" if left else ""
    partial = "" if front["proven"] else "\nsome of them: there are more between"
    return text + more + partial


def _spread(count: int, chosen: int) -> list[int]:
    """Positions over the whole front, the chosen one among them."""
    if count <= FRONT_SHOWN:
        return list(range(count))
    step = (count - 1) / (FRONT_SHOWN - 1)
    return sorted({chosen, *(round(number * step) for number in range(FRONT_SHOWN))})


def _changed(plans: Sequence[Json], number: int, chosen: int) -> list[str]:
    here, there = plans[number]["offers"], plans[chosen]["offers"]
    return [f"{name}: {shown.offer(here[name])}" for name in here if here[name] != there[name]]


def _notes(plan: Json) -> str:
    away: dict[str, list[str]] = {}
    for cloud in dict.fromkeys(s["chosen"]["offer"]["cloud"] for s in plan["stages"]):
        if cloud in plan["elsewhere"]:
            away.setdefault(plan["elsewhere"][cloud], []).append(cloud)
    lines = [
        f"{AWAY} not enabled here: {', '.join(clouds)} ({why})" for why, clouds in away.items()
    ]
    if _guessed(plan):
        lines.append("~ the price is an estimate")
    guessed = [s["stage"] for s in plan["stages"] if s["cost"]["basis"] == "assumed"]
    if guessed:
        names = clip(", ".join(guessed), 100)
        lines.append(f"time assumed, for want of `estimate:` and earlier runs: {names}")
    return "\n".join([*lines, *(f"note: {note}" for note in plan["notes"])])


def explained(plan: Json, name: str) -> str:
    """Why one stage runs where it runs."""
    stage = next(stage for stage in plan["stages"] if stage["stage"] == name)
    parts = [_chosen(plan, stage), _losers(stage), _excluded(stage), _nearest(stage)]
    return "\n\n".join(part for part in parts if part)


def _chosen(plan: Json, stage: Json) -> str:
    cost, offer = stage["cost"], stage["chosen"]["offer"]
    parts = cost["parts"]
    money = {
        "compute": parts["compute_usd"],
        "boot and setup": parts["boot_usd"],
        "interruptions": parts["preemption_usd"],
        "reading data": parts["data_usd"],
        "keeping outputs": parts["storage_usd"],
    }
    spans = {
        "run": parts["run_s"],
        "boot": parts["boot_s"],
        "setup": parts["setup_s"],
        "interruptions": parts["preemption_s"],
        "reading data": parts["data_s"],
        "shortages": parts["wait_s"],
    }
    source = " of ".join(part for part in (offer["source"], offer["as_of"]) if part)
    away = "" if stage["enabled"] else f"not enabled here: {plan['elsewhere'].get(offer['cloud'])}"
    runs = f", {cost['runs']} runs" if cost["runs"] else ""
    return pairs(
        [
            ("stage", stage["stage"]),
            ("chosen", shown.offer(offer)),
            ("", away),
            ("price", shown.price(offer, stage["num_nodes"])),
            ("from", source),
            ("cost", _sum(shown.bar(cost["usd"], shown.money), money, shown.money)),
            ("time", _sum(shown.bar(cost["seconds"], shown.time), spans, shown.time)),
            ("basis", f"{cost['basis']}{runs}"),
            ("egress in", _moved(plan, stage)),
            ("reserves", demand_text(stage["chosen"]["demand"])),
        ]
    )


def _sum(total: str, parts: dict[str, float], text: Any) -> str:
    told = [f"{name} {text(value)}" for name, value in parts.items() if value >= 1e-6]
    return total + (f" = {' + '.join(told)}" if len(told) > 1 else "")


def _losers(stage: Json) -> str:
    rows = [
        (
            shown.offer(loser["choice"]["offer"]),
            shown.price(loser["choice"]["offer"], stage["num_nodes"]),
            _worse(loser),
            loser["why"],
        )
        for loser in stage["losers"]
    ]
    text = table(["lost", "price", "plan", "why"], rows) if rows else "nothing else serves"
    counts = _counted(stage["lost"], _WHY_LOST)
    return f"{text}\n\n{counts}" if counts else text


def _excluded(stage: Json) -> str:
    total = sum(stage["excluded"].values())
    counts = _counted(stage["excluded"], _WHY_NOT)
    return f"excluded: {total} offers\n{counts}" if total else "excluded: none"


def _counted(counts: dict[str, int], words: dict[str, str]) -> str:
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    return "\n".join(f"  {n} {words.get(code, code)}" for code, n in ranked if n)


def _nearest(stage: Json) -> str:
    rows = [
        (
            shown.offer(near["offer"]),
            shown.price(near["offer"]),
            "; ".join(reason["message"] for reason in near["reasons"]),
        )
        for near in stage["nearest"]
    ]
    return table(["nearest misses", "price", "why not"], rows) if rows else ""
