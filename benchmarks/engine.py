"""What STIX adds to Prefect: no-op stages on the local cloud beside a bare Prefect flow.

``python benchmarks/engine.py [--sizes 1,10,100,500] [--shapes chain,fan-out] [--live 1000]``

Both run on the same server in turns, with the same number of Prefect task runs per stage. Prints,
per shape and size: seconds per stage of both, the ratio, and CPU and memory of the processes
involved. ``--live N`` holds N sleeping stages at once in one engine and prints its memory.
``--start`` measures the way from ``stix run`` on a warm server to the first line of user code.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from stix.client.api import Client
from stix.client.local import ensure_server

HERE = Path(__file__).resolve().parent
BARE_LIMIT_S = 600
RECORDER_S = 8  # the server writes task runs with a delay


@dataclass(frozen=True)
class Cost:
    """CPU seconds and peak resident MB of a set of processes."""

    cpu: float
    rss_mb: float


def processes(home: Path) -> dict[str, psutil.Process]:
    """The server's processes by name."""
    rows = json.loads((home / "processes.json").read_text())
    return {row["name"]: psutil.Process(row["pid"]) for row in rows}


def cpu(found: dict[str, psutil.Process]) -> dict[str, float]:
    """CPU seconds so far, with children (PostgreSQL's backends) where they live."""
    used = {}
    for name, process in found.items():
        total = 0.0
        backends = process.children() if name == "postgres" else []
        for each in (process, *backends):
            try:
                times = each.cpu_times()
                total += times.user + times.system
            except psutil.NoSuchProcess:
                continue
        used[name] = total
    return used


def spec(shape: str, stages: int, run: str = "true") -> dict[str, Any]:
    """A pipeline of no-op stages."""
    found: dict[str, Any] = {}
    for number in range(stages):
        found[f"s{number}"] = {"run": run}
        if shape == "chain" and number:
            found[f"s{number}"]["needs"] = [f"s{number - 1}"]
    return {"version": 1, "name": f"bench-{shape}-{stages}", "stages": found}


def wait(client: Client, run: str) -> dict[str, Any]:
    """The run's row in the list, once it has ended; asked for rarely, not to load the server."""
    while True:
        row = next(r for r in client.runs(limit=1) if r["id"] == run)
        if row["state"] in ("succeeded", "failed", "cancelled"):
            return row
        time.sleep(1)


def seconds(row: dict[str, Any]) -> float:
    """From the submission of a run to its end, by the server's clock."""
    begin, end = (datetime.fromisoformat(row[name]) for name in ("created", "ended"))
    return (end - begin).total_seconds()


def task_runs(url: str, run: str) -> int:
    """Prefect's task runs of a run: its steps and its stages' tracking tasks."""
    body = json.dumps({"task_runs": {"tags": {"all_": [f"stix-run:{run}"]}}}).encode()
    request = urllib.request.Request(
        f"{url}/api/task_runs/count", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(json.load(answer))


def ours(client: Client, home: Path, shape: str, stages: int) -> dict[str, Any]:
    """One run of ours."""
    found = processes(home)
    before = cpu(found)
    run = client.create_run({"spec": spec(shape, stages)})["id"]
    row = wait(client, run)
    after = cpu(found)
    assert row["state"] == "succeeded", row
    used = {name: round(after[name] - before[name], 2) for name in after}
    rss = found["engine-1"].memory_info().rss / 1e6
    return {"run": run, "wall": seconds(row), "cpu": used, "rss_mb": rss}


def bare(url: str, shape: str, stages: int, steps: int) -> dict[str, Any] | None:
    """One run of the peer; None where it did not end in time."""
    env = {**os.environ, "PREFECT_API_URL": f"{url}/api", "PREFECT_LOGGING_LEVEL": "WARNING"}
    command = [sys.executable, str(HERE / "bare_flow.py"), shape, str(stages), str(steps)]
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=BARE_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        print(done.stderr[-400:], file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def refused_calls(home: Path) -> int:
    """API calls of the engine that failed, by its log."""
    log = (home / "logs/server/engine-1.log").read_text(errors="replace")
    return sum(" ERROR " in line or "Traceback" in line for line in log.splitlines())


def compare(client: Client, home: Path, shapes: Sequence[str], sizes: Sequence[int]) -> None:
    """The table."""
    url = client.status()["urls"]["prefect_ui"]
    ours(client, home, "fan-out", 2)  # warm
    print(
        f"{'shape':8} {'N':>5} {'stix s/stage':>13} {'bare s/stage':>13} {'ratio':>6}  cpu, memory"
    )
    for shape in shapes:
        for stages in sizes:
            mine = ours(client, home, shape, stages)
            time.sleep(RECORDER_S)
            per_stage = task_runs(url, mine["run"]) / stages
            # A bare stage has a wrapper task run and a tracking one beside its steps.
            steps = max(1, round(per_stage) + 1 - 2)
            peer = bare(url, shape, stages, steps)
            other = peer["wall"] / stages if peer else float("nan")
            print(
                f"{shape:8} {stages:5} {mine['wall'] / stages:13.3f} {other:13.3f} "
                f"{mine['wall'] / stages / other:6.2f}  {mine['cpu']} engine "
                f"{mine['rss_mb']:.0f} MB; {per_stage:.0f}+1 task runs per stage"
            )
    print(f"errors in the engine's log: {refused_calls(home)}")


def live(client: Client, home: Path, stages: int) -> None:
    """Memory of one engine with so many sleeping stages."""
    engine = processes(home)["engine-1"]
    flag = Path(tempfile.mkdtemp(prefix="stix-bench-")) / "end"
    run = client.create_run(
        {"spec": spec("fan-out", stages, f"while [ ! -e {flag} ]; do sleep 5; done")}
    )["id"]
    begin, peak = time.perf_counter(), 0.0
    while True:
        row = next(r for r in client.runs(limit=1) if r["id"] == run)
        peak = max(peak, engine.memory_info().rss / 1e6)
        nodes = sum(1 for _ in (home / "nodes").iterdir())
        if nodes >= stages or row["state"] in ("succeeded", "failed", "cancelled"):
            break
        time.sleep(2)
    print(
        f"{nodes} live stages after {time.perf_counter() - begin:.0f} s: engine "
        f"{engine.memory_info().rss / 1e6:.0f} MB now, {peak:.0f} MB at most, "
        f"{engine.num_threads()} threads"
    )
    flag.touch()
    print(f"ended {wait(client, run)['state']} after {time.perf_counter() - begin:.0f} s")


def start(rounds: int) -> None:
    """From ``stix run`` to the first line of user code, on a warm server."""
    with tempfile.TemporaryDirectory() as folder:
        stamp, file = Path(folder) / "stamp", Path(folder) / "start.yaml"
        file.write_text(f"run: date +%s.%N > {stamp}\n")
        taken = []
        for _ in range(rounds):
            begin = time.time()
            subprocess.run(
                [sys.executable, "-m", "stix.cli.main", "run", str(file), "--output", "json"],
                check=True,
                capture_output=True,
            )
            taken.append(float(stamp.read_text()) - begin)
    taken.sort()
    print(f"stix run to user code: median {taken[len(taken) // 2]:.2f} s, all {taken}")


def main() -> None:
    """Measure on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1,10,100,500")
    parser.add_argument("--shapes", default="chain,fan-out")
    parser.add_argument("--live", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="stix-b-", dir="/tmp"))
    os.environ["STIX_HOME"] = str(home)
    client = ensure_server(home)
    try:
        sizes = [int(size) for size in given.sizes.split(",") if size]
        start(given.rounds)
        compare(client, home, [s for s in given.shapes.split(",") if s], sizes)
        if given.live:
            live(client, home, given.live)
    finally:
        client.stop()


if __name__ == "__main__":
    main()
