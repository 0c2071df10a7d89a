"""A simulated month with ten thousand preemptions: how much CPU time it takes.

    python benchmarks/rehearse.py [--points 100] [--rate 0.16] [--rounds 5] [--output json]

A stage of 100 points on spot machines, with more work than a month holds and hourly checkpoints, at
0.16 preemptions per machine and hour. Measured is CPU time of this process from the pipeline to the
report, the file and the market read before; the least and the median of the rounds, under one seed.
The digest shows that each round had the same course.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from stix.clouds.sim.scenario import Scenario
from stix.rehearse.driver import How, rehearse
from stix.rehearse.market import Market, market_of
from stix.rehearse.record import Rehearsed
from stix.spec.loader import load_file
from stix.spec.models import PipelineSpec

DAYS = 30.0
TEXT = """
name: month
stages:
  train:
    run: "true"
    matrix: {{x: {points}}}
    resources: {{use_spot: true, cpus: 4+}}
    estimate: {{time: 40d, checkpoint: 1h}}
    recovery: {{preempted: unlimited}}
"""


def pipeline(points: int) -> PipelineSpec:
    """A stage of so many points."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "month.yaml"
        path.write_text(TEXT.format(points=list(range(points))))
        return load_file(path).pipeline


def measured(spec: PipelineSpec, market: Market, rate: float) -> tuple[float, Rehearsed]:
    """CPU seconds of one rehearsal, and what it was."""
    start = time.process_time()
    done = rehearse(spec, market, Scenario(preempt_rate=rate), How(days=DAYS))
    return time.process_time() - start, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    given = parser.parse_args()
    spec = pipeline(given.points)
    market = market_of(spec)
    rounds = [measured(spec, market, given.rate) for _ in range(given.rounds)]
    times, last = [seconds for seconds, _ in rounds], rounds[-1][1]
    found: dict[str, Any] = {
        "cpu_s": {"min": min(times), "median": statistics.median(times)},
        "days": last.seconds / 86_400,
        "preemptions": last.preemptions,
        "attempts": sum(len(stage.attempts) for stage in last.stages),
        "digests": sorted({done.digest for _, done in rounds}),
    }
    if given.output == "json":
        print(json.dumps(found, indent=2))
        return
    print(
        f"{found['days']:.1f} days, {found['preemptions']} preemptions,"
        f" {found['attempts']} attempts:"
        f" {min(times):.2f} s of CPU (median {statistics.median(times):.2f} s),"
        f" digest {', '.join(found['digests'])}"
    )


if __name__ == "__main__":
    main()
