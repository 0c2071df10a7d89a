"""An ordinary Prefect flow; two of its functions run as STIX stages.

    python flow.py

The functions and their arguments are sent to the node, their results come back. Without
``resources`` a stage takes any node; ask for more and STIX looks for the cheapest that fits.
"""

from __future__ import annotations

import random

from prefect import flow, task

import stix


@task
def seeds(count: int) -> list[int]:
    """An ordinary Prefect task, run here."""
    return list(range(1, count + 1))


@stix.stage(resources={"cpus": "1+"})
def throw_darts(seed: int, darts: int) -> float:
    """Estimate pi from random points in a square."""
    dice = random.Random(seed)
    hits = sum(dice.random() ** 2 + dice.random() ** 2 <= 1 for _ in range(darts))
    return 4 * hits / darts


@stix.stage(resources={"cpus": "1+"}, recovery={"user_error": 1})
def average(estimates: list[float]) -> dict[str, float]:
    """Mean and spread of the estimates."""
    mean = sum(estimates) / len(estimates)
    return {"pi": mean, "spread": max(estimates) - min(estimates)}


@flow(log_prints=True)
def estimate_pi(count: int = 2, darts: int = 200_000) -> dict[str, float]:
    """Throw darts side by side, then average."""
    estimates = throw_darts.map(seeds(count), darts=darts)
    result: dict[str, float] = average(estimates)
    print(f"pi is about {result['pi']:.4f} (spread {result['spread']:.4f})")
    return result


if __name__ == "__main__":
    estimate_pi()
