"""What a command costs: CPU seconds and memory, beside ``python -c pass``.

    python benchmarks/cli.py [--rounds 9] [--output json]

Measured from outside by ``wait4`` on the process of the command alone: user + system time, median
of the rounds, and the highest resident set size. A server is started first in a folder of its own
and stopped at the end. Peer figure (SkyPilot 0.14.1, same kind of machine): ``sky --help`` costs
about 1.4 s and 155 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GOAL_SECONDS, GOAL_MB = 0.15, 40.0
CHEAP = ("--help", "runs", "status", "server status")
"""Commands that the goal is about."""


@dataclass(frozen=True)
class Row:
    """One command's cost; ``ratio`` is to ``python -c pass``."""

    command: str
    cpu_s: float
    rss_mb: float
    ratio: float


def cost(argv: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """CPU seconds and megabytes of one process.

    Raises:
        SystemExit: it failed.
    """
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


def measure(argv: Sequence[str], rounds: int, env: dict[str, str]) -> tuple[float, float]:
    """Median CPU seconds and greatest memory of some rounds, after one that fills caches."""
    cost(argv, env)
    costs = [cost(argv, env) for _ in range(rounds)]
    return statistics.median(c for c, _ in costs), max(m for _, m in costs)


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    lines = [f"{'command':<34}{'CPU s':>8}{'x pass':>8}{'MB':>8}"]
    lines += [f"{r.command:<34}{r.cpu_s:>8.3f}{r.ratio:>8.1f}{r.rss_mb:>8.1f}" for r in rows]
    lines.append(f"goal for {', '.join(CHEAP)}: {GOAL_SECONDS} s, {GOAL_MB:g} MB")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    given = parser.parse_args()
    stix = str(Path(sys.executable).with_name("stix"))
    example = str(ROOT / "examples" / "digits" / "pipeline.yaml")
    commands = ["--help", "version", "runs", "status", "server status", "validate"]
    with tempfile.TemporaryDirectory(prefix="stix-bench-") as home:
        env = {**os.environ, "STIX_HOME": home}
        subprocess.run([stix, "server", "start"], env=env, check=True, stdout=subprocess.DEVNULL)
        try:
            base, memory = measure([sys.executable, "-c", "pass"], given.rounds, env)
            rows = [Row("python -c pass", base, memory, 1.0)]
            for command in commands:
                argv = [stix, *command.split(), *([example] if command == "validate" else [])]
                cpu, rss = measure(argv, given.rounds, env)
                rows.append(Row(f"stix {command}", cpu, rss, cpu / base))
        finally:
            subprocess.run([stix, "server", "stop"], env=env, check=True)
    print(
        json.dumps([asdict(row) for row in rows], indent=2)
        if given.output == "json"
        else table(rows)
    )


if __name__ == "__main__":
    main()
