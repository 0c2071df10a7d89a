"""Where to run a whole DAG: STIX's solver beside SkyPilot 0.14.1's optimizer.

    python benchmarks/plan.py CATALOGS [--long] [--only TEXT] [--alone] [--output json]

CATALOGS is a folder of SkyPilot's catalogs (``aws/vms.csv`` ...) with the ``.meta`` folder that
keeps it from fetching them anew; they are not part of this repository. Both get the same requests,
the same candidates and the same prices for data: those of SkyPilot. Its optimizer runs each case in
a process of its own, with at most 180 s of CPU. Both totals are by SkyPilot's sums.

Measured is CPU time from the requests to the plan, catalogs read before: STIX in this process,
SkyPilot's cheapest call of up to three (one where a call takes over 5 s). The long cases take
SkyPilot minutes each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skypilot.environment import python
from skypilot.offers import Offers, Wish

from stix.plan.solve import Flow, Problem, solve

ALL = [
    *("AWS", "GCP", "Azure", "Lambda", "RunPod", "Nebius", "Cudo", "DO", "Paperspace"),
    *("Hyperbolic", "Verda", "Vast", "Fluidstack", "IBM", "OCI", "SCP", "PrimeIntellect"),
    *("Shadeform", "Seeweb", "Mithril", "Yotta"),
]
CLOUDS = {"all": ALL, "big3": ["AWS", "GCP", "Azure"]}
KINDS: dict[str, list[Wish]] = {
    "mixed": [
        {"cpus": "4+"},
        {"accelerators": "A100:8"},
        {"accelerators": "L4:1"},
        {"accelerators": "V100:1"},
        {"cpus": "16+", "memory": "64+"},
    ],
    "gpu": [{"accelerators": name} for name in ("A100:8", "H100:8", "A100-80GB:8")],
}
ANY_OF = [
    *("A100:8", "H100:8", "L4:4", "T4:4", "V100:8"),
    *("A100-80GB:8", "A10G:4", "L40S:4", "A100:4", "H200:8"),
]
LIMIT = 180
QUICK = (
    ("single:A100:8", "all", 50),
    ("single:A100:8:spot", "all", 50),
    ("single:H100:8", "all", 50),
    ("single:cpu", "all", 50),
    ("anyof", "all", 50),
    ("ordered", "all", 50),
    ("single:A100:8", "big3", 50),
    ("single:cpu", "big3", 50),
    ("chain:10:mixed", "all", 50),
    ("chain:10:mixed", "big3", 50),
    ("dag:10:gpu", "big3", 50),
    ("dag:10:mixed", "big3", 50),
)
LONG = (
    ("chain:50:mixed", "all", 500),
    ("chain:100:mixed", "all", 500),
    ("chain:100:mixed", "big3", 500),
    ("dag:20:gpu", "big3", 50),
    ("dag:20:mixed", "big3", 50),
    ("dag:10:mixed", "all", 50),
    ("dag:20:mixed", "all", 500),
    ("dag:50:gpu", "big3", 1000),
    ("dag:50:mixed", "big3", 1000),
    ("dag:50:mixed", "all", 1000),
)
ALONE = (("dag:1000:mixed", "all", 2.0), ("dag:1000:gpu", "big3", 2.0))
"""Beyond SkyPilot; the goal is CPU seconds."""


@dataclass(frozen=True)
class Case:
    """What is asked, for both sides.

    Attributes:
        tasks: ``resources``, ``ordered`` and ``gb`` (of output) of each.
        edges: Pairs of tasks.
    """

    tasks: list[dict[str, Any]]
    edges: list[tuple[int, int]]


def case_of(name: str) -> Case:
    """``single:A100:8[:spot]``, ``single:cpu``, ``anyof``, ``ordered``, ``chain:10:mixed``, ..."""
    kind, *rest = name.split(":")
    if kind == "single":
        asked = {"accelerators": ":".join(rest[:2]), "use_spot": rest[-1] == "spot"}
        return Case([_task([{"cpus": "4+"} if rest[0] == "cpu" else asked])], [])
    if kind in ("anyof", "ordered"):
        wishes: list[Wish] = [{"accelerators": name} for name in ANY_OF]
        return Case([_task(wishes, ordered=kind == "ordered")], [])
    count, wishes, rng = int(rest[0]), KINDS[rest[1]], random.Random(7)
    tasks, edges = [], []
    for number in range(count):
        gb = rng.choice([10.0, 50.0, 200.0, 1000.0])
        tasks.append(_task([wishes[number % len(wishes)]], gb=gb))
        before = list(range(max(0, number - 5), number))
        if kind == "chain":
            edges += [(number - 1, number)] if number else []
        elif before:
            parents = rng.sample(before, min(number, rng.choice([1, 2])))
            edges += [(parent, number) for parent in parents]
    return Case(tasks, edges)


def _task(resources: list[Wish], *, ordered: bool = False, gb: float = 0.0) -> dict[str, Any]:
    return {"resources": resources, "ordered": ordered, "gb": gb}


def ours(offers: Offers, case: Case) -> dict[str, Any]:
    """The cheapest of three."""
    best: dict[str, Any] = {"cpu_s": float("inf")}
    for _ in range(3):
        start = time.process_time()
        known: dict[str, Any] = {}  # equal requests have equal candidates
        stages = []
        for task in case.tasks:
            name = repr(task["resources"])
            if name not in known:
                known[name] = offers.options(task["resources"], task["ordered"])
            stages.append(known[name])
        flows = [Flow(a, b, case.tasks[a]["gb"]) for a, b in case.edges]
        found = solve(Problem(stages, flows, offers.movement()))
        used = time.process_time() - start
        if used < best["cpu_s"]:
            plan = [options[i].key for options, i in zip(stages, found.choice, strict=True)]
            best = {"cpu_s": used, "usd": found.usd, "gap": found.gap, "plan": plan}
            best["candidates"] = sum(map(len, stages))
    return best


def theirs(catalogs: Path, case: Case, clouds: list[str]) -> dict[str, Any]:
    """One process, one case."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / ".sky" / "catalogs"
        folder.mkdir(parents=True)
        (folder / "v8").symlink_to(catalogs.resolve())
        script = Path(__file__).parent / "skypilot" / "optimizer_peer.py"
        done = subprocess.run(
            [python(), script, ",".join(clouds), str(LIMIT)],
            input=json.dumps({"tasks": case.tasks, "edges": case.edges}),
            capture_output=True,
            text=True,
            env={**os.environ, "HOME": home},
        )
    if not done.stdout:
        return {"error": f"ended by signal {-done.returncode}, over {LIMIT} s of CPU"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def measure(catalogs: Path, name: str, clouds: str, goal: float) -> dict[str, Any]:
    case = case_of(name)
    offers = Offers(catalogs, [cloud.lower() for cloud in CLOUDS[clouds]])
    row: dict[str, Any] = {"case": name, "clouds": clouds, "goal": goal}
    row["stix"], sky = ours(offers, case), theirs(catalogs, case, CLOUDS[clouds])
    row["skypilot"] = sky
    least = sky.get("cpu_s", LIMIT)  # where it was stopped it had used that much
    row["ratio"] = least / row["stix"]["cpu_s"]
    row["dearer"] = "usd" in sky and row["stix"]["usd"] > sky["usd"] + 1e-6
    row["ok"] = row["ratio"] >= goal and not row["dearer"] and row["stix"]["gap"] == 0
    return row


def line(row: dict[str, Any]) -> str:
    """For people."""
    stix, sky = row["stix"], row["skypilot"]
    usd = f"{sky['usd']:10.2f}" if "usd" in sky else f"{'none':>10}"
    cpu = f"{sky['cpu_s']:10.2f}" if "cpu_s" in sky else f"{'>' + str(LIMIT):>10}"
    parts = f"{row['case']:20}{row['clouds']:6}{stix['candidates']:8}{stix['cpu_s'] * 1e3:10.1f}"
    good = "ok" if row["ok"] else "BELOW"
    return f"{parts}{cpu}{row['ratio']:10.0f}{row['goal']:8g}{stix['usd']:10.2f}{usd}  {good}"


def alone(catalogs: Path, name: str, clouds: str, goal: float) -> dict[str, Any]:
    offers = Offers(catalogs, [cloud.lower() for cloud in CLOUDS[clouds]])
    stix = ours(offers, case_of(name))
    ok = stix["cpu_s"] <= goal and stix["gap"] == 0
    return {"case": name, "clouds": clouds, "goal": goal, "stix": stix, "ok": ok}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("catalogs", type=Path)
    parser.add_argument("--long", action="store_true", help="the cases that take it minutes, too")
    parser.add_argument("--only", default="", help="cases that contain this")
    parser.add_argument("--alone", action="store_true", help="without SkyPilot")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    chosen = parser.parse_args()
    table = chosen.output == "table"
    rows = []
    if table:
        print(f"{'case':20}{'clouds':6}{'options':>8}{'STIX ms':>10}{'SkyPilot s':>10}", end="")
        print(f"{'ratio':>10}{'goal':>8}{'STIX USD':>10}{'its USD':>10}")
    cases = [] if chosen.alone else [*QUICK, *(LONG if chosen.long else ())]
    for name, clouds, goal in cases:
        if chosen.only in f"{name} {clouds}":
            rows.append(measure(chosen.catalogs, name, clouds, goal))
            if table:
                print(line(rows[-1]), flush=True)
    for name, clouds, seconds in ALONE:
        if chosen.only in f"{name} {clouds}":
            rows.append(alone(chosen.catalogs, name, clouds, seconds))
            stix, good = rows[-1]["stix"], "ok" if rows[-1]["ok"] else "ABOVE"
            if table:
                print(
                    f"{name:20}{clouds:6}{stix['candidates']:8}{stix['cpu_s'] * 1e3:10.1f}", end=""
                )
                print(f"{'':10}{f'under {seconds:g} s':>18}{stix['usd']:10.2f}{'':10}  {good}")
    if not table:
        print(json.dumps(rows))
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
