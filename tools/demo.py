"""``./dev demo``: the example pipeline, through the command line a user has.

The run is kept in the user's own state folder (STIX_HOME), so that ``stix runs show latest`` works
afterwards. A server that this starts stops by itself when it has been idle.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STIX = Path(sys.executable).with_name("stix")
PIPELINE = "examples/digits/pipeline.yaml"
TARGET = ROOT / "out" / "digits"


def stix(*args: str) -> int:
    """Run one ``stix`` command with its output here; its exit code."""
    print(f"$ stix {' '.join(args)}", flush=True)
    # The nodes of the local cloud then find the Python that has scikit-learn.
    path = f"{STIX.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    env = {**os.environ, "PATH": path}
    return subprocess.run([str(STIX), *args], cwd=ROOT, env=env, check=False).returncode


def scores(table: Path) -> list[str]:
    """The lines of the table of scores, best first."""
    rows = json.loads(table.read_text(encoding="utf-8"))
    head = f"{'model':<10}{'accuracy':>9}{'macro F1':>10}"
    return [head, *(f"{r['model']:<10}{r['accuracy']:>9.4f}{r['f1']:>10.4f}" for r in rows)]


def main(extra: list[str]) -> int:
    started = time.monotonic()
    code = stix("run", PIPELINE, *extra)
    if code != 0:
        return code
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.parent.mkdir(exist_ok=True)
    code = stix("artifacts", "get", "report.report", str(TARGET))
    if code != 0:
        return code
    (table,) = TARGET.rglob("scores.json")
    (picture,) = TARGET.rglob("confusion.png")
    print("\n" + "\n".join(scores(table)))
    print(f"\nconfusion matrix: {picture}")
    print(f"done in {time.monotonic() - started:.0f} s; next: .venv/bin/stix runs show latest")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
