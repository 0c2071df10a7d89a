"""Runs inside SkyPilot's own environment: what it makes of YAML texts, and at what cost.

Lines of JSON in, lines of JSON out. ``{"yaml", "env"}`` gives ``{"name", "execution", "tasks"}`` or
``{"error"}``; ``{"time": [files]}`` gives ``{"cpu_s": seconds}``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ["SKYPILOT_DISABLE_USAGE_COLLECTION"] = "1"
os.environ["SKYPILOT_MINIMIZE_LOGGING"] = "1"
for name in ("http_proxy", "https_proxy"):  # nothing is fetched
    os.environ[name] = "http://127.0.0.1:9"
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever it prints

from sky.utils import dag_utils  # noqa: E402


def written(dag: Any) -> dict[str, Any]:
    """Every task of a file in its canonical form."""
    tasks = [task.to_yaml_config() for task in dag.tasks]
    for task in tasks:
        task.pop("_user_specified_yaml", None)
    return {"name": dag.name, "execution": dag.execution.value, "tasks": tasks}


def canonical(text: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """From text."""
    overrides = list((env or {}).items()) or None
    return written(dag_utils.load_dag_from_yaml_str(text, env_overrides=overrides))


def timed(files: list[str]) -> float:
    """CPU seconds for all files, once."""
    began = time.process_time()
    for file in files:
        written(dag_utils.load_dag_from_yaml(file))
    return time.process_time() - began


def answer(row: dict[str, Any]) -> str:
    """One line of JSON."""
    try:
        if "time" in row:
            return json.dumps({"cpu_s": timed(row["time"])})
        return json.dumps(canonical(row["yaml"], row.get("env")))
    except Exception as refusal:  # noqa: BLE001 - of any kind: it is the peer's, and the answer
        return json.dumps({"error": f"{type(refusal).__name__}: {refusal}"})


for line in sys.stdin:
    print(answer(json.loads(line)), file=ANSWERS, flush=True)
