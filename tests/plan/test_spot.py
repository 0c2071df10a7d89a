"""Expected time and money on machines that are taken away, against a simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stix.plan.spot import Checkpoints, expected

HOUR = 3600.0


def simulated(
    work: float, rate: float, restart: float, wait: float, points: Checkpoints | None, seed: int
) -> tuple[float, float, float]:
    """(seconds, paid seconds, preemptions) of one run."""
    rng = random.Random(seed)
    left, total, paid, times = work, 0.0, 0.0, 0
    while True:
        up = rng.expovariate(rate)
        useful = up - restart
        while useful > 0 and left > 0:
            piece = min(points.every if points else left, left)
            need = piece + (points.pause if points else 0.0)
            if useful < need:
                break
            useful, left = useful - need, left - piece
        if left <= 0:
            spent = up - useful
            return total + spent, paid + spent, times
        total, paid, times = total + up + wait, paid + up, times + 1


@pytest.mark.parametrize("points", [None, Checkpoints(1800.0), Checkpoints(900.0, 30.0)])
@pytest.mark.parametrize("per_hour", [0.05, 0.5])
def test_the_formula_is_what_a_simulation_shows(
    per_hour: float, points: Checkpoints | None
) -> None:
    rate, runs = per_hour / HOUR, 6000
    found = expected(2 * HOUR, rate, 180.0, 60.0, points)
    seen = [simulated(2 * HOUR, rate, 180.0, 60.0, points, seed) for seed in range(runs)]
    for value, column in zip(found, zip(*seen, strict=True), strict=True):
        assert value == pytest.approx(sum(column) / runs, rel=0.05)


def test_without_preemptions_nothing_is_lost() -> None:
    assert expected(100, 0, 20, 60) == (120, 120, 0)
    assert expected(100, 0, 20, 60, Checkpoints(10, 1)) == (130, 130, 0)


@given(st.floats(1, 1e5), st.floats(1e-7, 1e-4), st.floats(0, 600), st.floats(0, 600))
def test_more_preemptions_cost_more(work: float, rate: float, restart: float, wait: float) -> None:
    calm, rough = (expected(work, r, restart, wait) for r in (rate, 2 * rate))
    assert restart + work <= calm.paid * (1 + 1e-9)
    assert calm.paid <= calm.seconds
    assert calm.seconds <= rough.seconds * (1 + 1e-9)
    assert calm.paid <= rough.paid * (1 + 1e-9)


@given(st.floats(3600, 1e5), st.floats(1e-5, 1e-4), st.floats(60, 1800))
def test_free_checkpoints_never_hurt(work: float, rate: float, every: float) -> None:
    without = expected(work, rate, 120, 60)
    with_them = expected(work, rate, 120, 60, Checkpoints(every))
    assert with_them.seconds <= without.seconds * (1 + 1e-9)


def test_what_never_ends_says_so() -> None:
    found = expected(1000 * HOUR, 1 / HOUR, 100, 60)
    assert not found.ends
    assert math.isinf(found.seconds)
    assert expected(1000 * HOUR, 1 / HOUR, 100, 60, Checkpoints(600)).ends
