"""All accelerators of all clouds: `stix gpus` beside SkyPilot 0.14.1's list_accelerators.

    python benchmarks/catalog.py CATALOGS [--rounds 5] [--output json]

CATALOGS is a folder of SkyPilot's catalogs (``aws/vms.csv`` ...) with the ``.meta`` folder that
keeps it from fetching them anew; they are not part of this repository. STIX answers twice: from its
bundled catalog, and from the same rows as SkyPilot, converted to its own files beforehand.

Measured is CPU time: of the query in a fresh process (reading the files included, imports not),
of the query with its imports, and of the whole process. SkyPilot's query is its warm call, which
is the cheapest it has. The least of the rounds counts. Goal: at least 100 times less for the query.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from skypilot.convert import convert
from skypilot.environment import python

GOAL = 100.0
OURS = """
import json, sys, time
from pathlib import Path
start = time.process_time()
from stix.clouds.catalog import Catalog
from stix.clouds.catalog.gpus import find
imported = time.process_time()
catalog = Catalog.load(folders=map(Path, sys.argv[1:])) if sys.argv[1:] else Catalog.load()
found = find(catalog)
first = time.process_time()
find(catalog)
warm = time.process_time()
print(json.dumps({
    "import_s": imported - start, "first_s": first - imported, "warm_s": warm - first,
    "rows": len(catalog), "clouds": len({gpu.kind.cloud for gpu in found}),
    "machines": len(found), "accelerators": len({gpu.kind.accelerator for gpu in found}),
}))
"""
COMMAND = [sys.executable, "-m", "stix.cli.main", "gpus"]


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command: list[str], home: Path | None = None) -> tuple[str, float]:
    """What a process prints, and its CPU seconds in all."""
    before = cpu_of_children()
    environment = {**os.environ, "HOME": str(home)} if home else None
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout, cpu_of_children() - before


def ours(rounds: int, *folders: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", OURS, *map(str, folders)]
    answers = [json.loads(run(command)[0]) for _ in range(rounds)]
    least = {key: min(answer[key] for answer in answers) for key in answers[0]}
    least["query_s"] = least["first_s"]
    least["with_imports_s"] = min(a["first_s"] + a["import_s"] for a in answers)
    least["process_s"] = min(run(COMMAND)[1] for _ in range(rounds))
    return least


def theirs(catalogs: Path, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / ".sky" / "catalogs").mkdir(parents=True)
        (home / ".sky" / "catalogs" / "v8").symlink_to(catalogs.resolve())
        script = Path(__file__).parent / "skypilot" / "catalog_peer.py"
        peer = [str(python()), str(script)]
        answer: dict[str, Any] = json.loads(run([*peer, str(rounds)], home)[0])
        _, answer["process_s"] = run([*peer, "0"], home)
    answer["rows"] = sum(rows(file) for file in catalogs.glob("*/vms.csv"))
    answer["query_s"] = min([answer["first_s"], *answer["warm_s"]])
    answer["with_imports_s"] = answer["first_s"] + answer["import_s"]
    return answer


def rows(file: Path) -> int:
    with file.open(encoding="utf-8") as lines:
        return sum(1 for _ in lines) - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("catalogs", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        convert(chosen.catalogs, Path(folder))
        same = ours(chosen.rounds, Path(folder))
    stix, sky = ours(chosen.rounds), theirs(chosen.catalogs, chosen.rounds)
    parts = ("query_s", "with_imports_s", "process_s")
    ratios = {part: round(sky[part] / stix[part], 1) for part in parts}
    ratios["same_query_s"] = round(sky["query_s"] / same["query_s"], 1)
    answer = {"stix": stix, "same": same, "skypilot": sky, "ratios": ratios, "goal": GOAL}
    print(json.dumps(answer) if chosen.output == "json" else table(answer, parts))
    return 0 if min(ratios["query_s"], ratios["same_query_s"]) >= GOAL else 1


def table(answer: dict[str, Any], parts: tuple[str, ...]) -> str:
    """For people."""
    stix, same, sky, ratios = (answer[key] for key in ("stix", "same", "skypilot", "ratios"))
    lines = [f"{'ms CPU':16}{'STIX':>10}{'SkyPilot':>12}{'ratio':>9}"]
    for part in parts:
        name, numbers = part[:-2].replace("_", " "), (stix[part] * 1e3, sky[part] * 1e3)
        lines.append(f"{name:16}{numbers[0]:10.2f}{numbers[1]:12.1f}{ratios[part]:9}")
    numbers = (same["query_s"] * 1e3, sky["query_s"] * 1e3)
    lines.append(
        f"{'query, same rows':16}{numbers[0]:10.2f}{numbers[1]:12.1f}{ratios['same_query_s']:9}"
    )
    lines += ["", f"{'':16}{'STIX':>10}{'same rows':>12}{'SkyPilot':>9}"]
    for count in ("rows", "clouds", "machines", "accelerators"):
        lines.append(f"{count:16}{stix[count]:10}{same[count]:12}{sky[count]:9}")
    lines.append(f"goal: {GOAL:g} times less for a query, the first call in its process included")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
