"""What time costs: the whole front of few stages, and honest parts of it for many."""

from __future__ import annotations

import itertools
import random
from math import inf

import pytest

from stix.plan.answer import Asked, Market, answer
from stix.plan.front import EXACT, front
from stix.plan.joint import Goal
from stix.plan.offers import Offer
from stix.plan.solve import Flow, Movement, Option, Problem, evaluate
from stix.spec.models import PipelineSpec


def problem(stages: int, seed: int) -> Problem:
    chance = random.Random(seed)
    options = [
        [Option(0, chance.randint(1, 50), chance.randint(1, 50)) for _ in range(3)]
        for _ in range(stages)
    ]
    flows = [Flow(n, n + 1) for n in range(stages - 1)]
    return Problem(options, flows, Movement())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("stages", [2, EXACT, EXACT + 2])
def test_every_point_is_a_plan_that_none_beats(stages: int, seed: int) -> None:
    asked = problem(stages, seed)
    every = {
        tuple(round(value) for value in evaluate(asked, choice))
        for choice in itertools.product(range(3), repeat=stages)
    }
    best = sorted(
        (usd, seconds)
        for usd, seconds in every
        if not any(u <= usd and s <= seconds and (u, s) != (usd, seconds) for u, s in every)
    )
    found = front(asked)
    told = [(round(one.usd), round(one.seconds)) for one in found]
    if stages <= EXACT:
        assert told == best
    else:
        assert set(told) <= set(best) and {told[0], told[-1]} == {best[0], best[-1]}
        assert all(one.gap == inf for one in found)


def test_the_plan_within_bounds_is_listed_where_only_some_are() -> None:
    prices = {"slow": 1.0, "fast": 3.0, "faster": 6.0}
    count = {"slow": 1, "fast": 2, "faster": 4}
    offers = [
        Offer("aws", "us-east-1", None, name, 8, 32, {"A100": count[name]}, price)
        for name, price in prices.items()
    ]
    either = [{"accelerators": f"A100:{n}"} for n in count.values()]
    stage = {
        "run": "true",
        "resources": {"any_of": either},
        "estimate": {"time": "3h", "accelerators": "A100:1"},
    }
    stages = {f"s{n}": {**stage, "needs": [f"s{n - 1}"] if n else []} for n in range(EXACT + 3)}
    spec = PipelineSpec.model_validate({"name": "p", "stages": stages})
    ends = answer(spec, Market(offers), Asked(front=True))["front"]["plans"]
    slow, quick = ends[0]["seconds"], ends[-1]["seconds"]
    for part in (0.13, 0.37, 0.61):
        goal = Goal(deadline=quick + (slow - quick) * part)
        told = answer(spec, Market(offers), Asked(goal, front=True))
        chosen = told["front"]["plans"][told["front"]["chosen"]]
        assert chosen["usd"] == pytest.approx(told["usd"]["value"])
        assert chosen["seconds"] == pytest.approx(told["seconds"]["value"])
        assert chosen["seconds"] <= quick + (slow - quick) * part + 1e-3
