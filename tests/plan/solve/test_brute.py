"""Random small problems against trying every plan."""

from __future__ import annotations

import random

import pytest

from stix.plan.solve import Infeasible, Limits, Minimize, Problem, Solution, pareto, solve
from tests.plan.solve import brute

NEAR = 1e-5


def test_best_plan_of_small_problems() -> None:
    judged = [judge(seed, stages=4, options=4) for seed in range(2_000)]
    assert judged.count("placed") > 1_500
    assert judged.count("refused") > 100


def test_best_plan_of_larger_problems() -> None:
    for seed in range(10_000, 10_300):
        judge(seed, stages=6, options=5)


@pytest.mark.full
@pytest.mark.timeout(3_600)
def test_best_plan_of_many_problems() -> None:
    for seed in range(20_000, 40_000):
        judge(seed, stages=6 if seed % 4 == 0 else 5, options=5 if seed % 4 == 0 else 4)


def test_front_of_small_problems() -> None:
    for seed in range(50_000, 50_400):
        problem = random_problem(seed, stages=4, options=4)
        try:
            found = [(plan.usd, plan.seconds) for plan in pareto(problem)]
        except Infeasible:
            found = []
        wanted = brute.front(problem)
        assert len(found) == len(wanted), seed
        for got, want in zip(found, wanted, strict=True):
            assert got == pytest.approx(want, abs=1e-4), seed


def test_branches_find_the_same() -> None:
    narrow = Limits(entries=4, branches=1_000_000)
    for seed in range(60_000, 60_010):
        problem = random_problem(seed, stages=4, options=4)
        if problem.minimize is Minimize.USD:
            assert usd_of(problem, narrow) == pytest.approx(usd_of(problem, Limits())), seed


def test_bounds_hold_where_room_runs_out() -> None:
    tight = Limits(labels=2, entries=4, branches=1)
    open_ = 0
    for seed in range(70_000, 70_400):
        problem = random_problem(seed, stages=4, options=4)
        try:
            short, best = solve(problem, tight), solve(problem)
        except Infeasible:
            continue
        assert short.lower_bound <= value(problem, best) + NEAR, seed
        assert value(problem, short) >= value(problem, best) - NEAR, seed
        if short.gap == 0:
            assert value(problem, short) == pytest.approx(value(problem, best), abs=1e-4), seed
        open_ += short.gap > 0
    assert open_ > 0


def test_same_problem_same_answer() -> None:
    for seed in range(80_000, 80_100):
        problem = random_problem(seed, stages=4, options=5)
        try:
            first = solve(problem)
        except Infeasible:
            continue
        assert solve(random_problem(seed, stages=4, options=5)) == first


def random_problem(seed: int, stages: int, options: int) -> Problem:
    rng = random.Random(seed)
    return brute.limited(rng, brute.problem_of(rng, stages, options))


def usd_of(problem: Problem, limits: Limits) -> float:
    try:
        return solve(problem, limits).usd
    except Infeasible:
        return -1.0


def value(problem: Problem, plan: Solution) -> float:
    return plan.usd if problem.minimize is Minimize.USD else plan.seconds


def judge(seed: int, stages: int, options: int) -> str:
    problem = random_problem(seed, stages, options)
    wanted = brute.best(problem)
    try:
        found = solve(problem)
    except Infeasible:
        assert wanted is None, seed
        return "refused"
    assert wanted is not None, seed
    assert brute.value(problem, found.choice, found.warm) == pytest.approx(
        (found.usd, found.seconds), abs=1e-6
    ), seed
    assert found.gap == 0, seed
    for stage, option in problem.pinned.items():
        assert found.choice[stage] == option, seed
    assert problem.deadline is None or found.seconds <= problem.deadline + NEAR, seed
    assert problem.budget is None or found.usd <= problem.budget + NEAR, seed
    if problem.minimize is Minimize.USD:
        assert found.usd == pytest.approx(wanted.usd, abs=NEAR), seed
    else:
        assert (found.seconds, found.usd) == pytest.approx((wanted.seconds, wanted.usd), abs=NEAR)
    return "placed"
