"""Runs inside SkyPilot's own environment: one case through its optimizer, as JSON.

Its home holds the catalogs; nothing is fetched, and clouds count as enabled because its own state
says so. Usage: ``optimizer_peer.py CLOUDS LIMIT < CASE``: names of clouds, CPU seconds at most, and
``{"tasks": [{"resources": [...], "ordered": bool, "gb": number}], "edges": [[0, 1]]}``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

os.environ["SKYPILOT_DISABLE_USAGE_COLLECTION"] = "1"
os.environ["SKYPILOT_MINIMIZE_LOGGING"] = "1"
for name in ("http_proxy", "https_proxy"):
    os.environ[name] = "http://127.0.0.1:9"
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever it prints

import networkx  # noqa: E402, F401 - loaded before the clock starts, like all it needs
import pandas  # noqa: E402, F401
import pulp  # noqa: E402, F401
import sky  # noqa: E402
from sky import check, global_user_state, optimizer, skypilot_config  # noqa: E402
from sky.clouds import cloud as sky_cloud  # noqa: E402

QUICK = 5.0  # CPU seconds


def cpu() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)


def enable(clouds: list[str]) -> None:
    """What ``sky check`` would store."""
    workspace = skypilot_config.get_active_workspace()
    for capability in (sky_cloud.CloudCapability.COMPUTE, sky_cloud.CloudCapability.STORAGE):
        global_user_state.set_enabled_clouds(clouds, capability, workspace)
    allowed = check._get_workspace_allowed_clouds(workspace)
    global_user_state.set_allowed_clouds(allowed, workspace)
    found = check.get_cached_enabled_clouds_or_refresh(sky_cloud.CloudCapability.COMPUTE)
    if len(found) != len(clouds):
        raise RuntimeError(f"only {found} are enabled")


def build(case: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The case as SkyPilot's DAG."""
    tasks = []
    with sky.Dag() as dag:
        for number, asked in enumerate(case["tasks"]):
            task = sky.Task(name=f"t{number}", run="echo")
            wishes = [sky.Resources(**wish) for wish in asked["resources"]]
            task.set_resources(wishes if asked["ordered"] else set(wishes))
            if asked["gb"]:
                task.set_outputs("CLOUD", estimated_size_gigabytes=asked["gb"])
            tasks.append(task)
        for source, target in case["edges"]:
            tasks[source] >> tasks[target]
    return dag, tasks


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds, the plan, what it costs by SkyPilot's own sums, and the candidates it had."""
    candidates: list[list[tuple[str, str, str | None, float]]] = []
    estimate = optimizer.Optimizer._estimate_nodes_cost_or_time

    def watched(*args: Any, **kwargs: Any) -> Any:
        found = estimate(*args, **kwargs)
        for task, costs in found[0].items():
            if task.name.startswith("t"):
                rows = [(str(r.cloud).lower(), r.region, r.zone, c) for r, c in costs.items()]
                candidates.append(rows)
        return found

    optimizer.Optimizer._estimate_nodes_cost_or_time = staticmethod(watched)
    used: list[float] = []
    while not used or (len(used) < 3 and used[0] < QUICK):  # its later calls find its files read
        dag, tasks = build(case)
        candidates.clear()
        before = cpu()
        optimizer.Optimizer.optimize(dag, quiet=True)
        used.append(cpu() - before)
    plan = {task: task.best_resources for task in tasks}
    return {
        "cpu_s": min(used),
        "usd": optimizer.Optimizer._compute_total_cost(dag.get_graph(), tasks, plan),
        "plan": [[str(r.cloud).lower(), r.instance_type, r.region, r.zone] for r in plan.values()],
        "candidates": sum(map(len, candidates)),
    }


def main() -> None:
    enable(sys.argv[1].split(","))
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))  # of this process, and of its solver
    try:
        given = answer(json.load(sys.stdin))
    except Exception as trouble:  # noqa: BLE001 - of any kind: it is the peer's, and the answer
        given = {"error": f"{type(trouble).__name__}: {str(trouble)[:200]}"}
    print(json.dumps(given), file=ANSWERS, flush=True)


main()
