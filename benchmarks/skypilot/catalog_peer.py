"""Runs inside SkyPilot's own environment: CPU seconds of its list of accelerators, as JSON.

Its home holds the catalogs; nothing is fetched. Usage: ``catalog_peer.py ROUNDS``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ["SKYPILOT_DISABLE_USAGE_COLLECTION"] = "1"
os.environ["SKYPILOT_MINIMIZE_LOGGING"] = "1"
for name in ("http_proxy", "https_proxy"):
    os.environ[name] = "http://127.0.0.1:9"
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever it prints

began = time.process_time()
from sky import catalog  # noqa: E402
from sky.skylet import constants  # noqa: E402

imported = time.process_time() - began
CLOUDS = [cloud for cloud in constants.ALL_CLOUDS if cloud not in ("kubernetes", "ssh", "slurm")]


def timed() -> tuple[float, Any]:
    """CPU seconds of one call, and what it gave."""
    start = time.process_time()
    found = catalog.list_accelerators(gpus_only=True, clouds=CLOUDS)
    return time.process_time() - start, found


calls = [timed() for _ in range(int(sys.argv[1]) + 1)]
machines = [machine for group in calls[0][1].values() for machine in group]
answer = {
    "import_s": imported,
    "first_s": calls[0][0],
    "warm_s": [seconds for seconds, _ in calls[1:]],
    "accelerators": len(calls[0][1]),
    "machines": len(machines),
    "clouds": len({machine.cloud for machine in machines}),
}
print(json.dumps(answer), file=ANSWERS, flush=True)
