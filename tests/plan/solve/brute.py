"""Every plan of a small problem, one by one, and random problems to try it on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from stix.plan.solve import Flow, Minimize, Movement, Option, Problem, Rate, Reuse
from stix.plan.solve.problem import Moving

Warm = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Tried:
    """One plan with what it comes to."""

    choice: tuple[int, ...]
    warm: Warm
    usd: float
    seconds: float


def plans(problem: Problem) -> Iterator[Tried]:
    """All plans that pins and groups allow, with every way to hand clusters on."""
    for choice in product(*(range(len(options)) for options in problem.stages)):
        if any(choice[stage] != option for stage, option in problem.pinned.items()):
            continue
        places = [problem.stages[v][o].location for v, o in enumerate(choice)]
        areas = [problem.areas[p] for p in places] if problem.areas else places
        if any(len({areas[v] for v in group}) > 1 for group in problem.together):
            continue
        for warm in _warm(problem, choice):
            yield Tried(choice, warm, *value(problem, choice, warm))


def _warm(problem: Problem, choice: tuple[int, ...]) -> Iterator[Warm]:
    able = []
    for reuse in problem.reuse:
        key = problem.stages[reuse.source][choice[reuse.source]].key
        if key is not None and key == problem.stages[reuse.target][choice[reuse.target]].key:
            able.append((reuse.source, reuse.target))
    for taken in product((False, True), repeat=len(able)):
        pairs = tuple(pair for pair, yes in zip(able, taken, strict=True) if yes)
        sources, targets = [s for s, _ in pairs], [t for _, t in pairs]
        if len(set(sources)) == len(sources) and len(set(targets)) == len(targets):
            yield pairs


def value(problem: Problem, choice: tuple[int, ...], warm: Warm) -> tuple[float, float]:
    """USD and seconds of a plan, by recursion."""
    chosen = [problem.stages[v][o] for v, o in enumerate(choice)]
    heirs = {t for _, t in warm}
    rates, ways = problem.movement.rates, problem.movement.ways

    def rate(flow: Flow) -> Moving:
        return rates[ways[chosen[flow.source].location][chosen[flow.target].location]]

    def end(v: int) -> float:
        waits = [end(f.source) + rate(f).seconds_for(f.gib) for f in problem.flows if f.target == v]
        boot = chosen[v].boot_seconds if v in heirs else 0.0
        return max(waits, default=0.0) + chosen[v].seconds - boot

    usd = sum(o.usd - (o.boot_usd if v in heirs else 0.0) for v, o in enumerate(chosen))
    usd += sum(rate(f).usd_for(f.gib) for f in problem.flows)
    return usd, max(map(end, range(len(chosen))))


NEAR = 1e-5


def best(problem: Problem) -> Tried | None:
    """The best plan by trying all; None where nothing meets what is asked."""
    tried = [
        t
        for t in plans(problem)
        if (problem.deadline is None or t.seconds <= problem.deadline + NEAR)
        and (problem.budget is None or t.usd <= problem.budget + NEAR)
    ]
    for v, options in enumerate(problem.stages):  # the first tier that can be, stage by stage
        if v not in problem.pinned and tried:
            tier = min(options[t.choice[v]].tier for t in tried)
            tried = [t for t in tried if options[t.choice[v]].tier == tier]
    money = problem.minimize is Minimize.USD
    return min(
        tried, key=lambda t: (t.usd, t.seconds) if money else (t.seconds, t.usd), default=None
    )


def front(problem: Problem) -> list[tuple[float, float]]:
    """(USD, seconds) of all plans that none beats."""
    chosen = best(replace(problem, minimize=Minimize.USD))
    if chosen is None:
        return []
    tiers = [problem.stages[v][o].tier for v, o in enumerate(chosen.choice)]
    found: list[tuple[float, float]] = []
    tried = [
        (t.usd, t.seconds)
        for t in plans(problem)
        if [problem.stages[v][o].tier for v, o in enumerate(t.choice)] == tiers
        and (problem.deadline is None or t.seconds <= problem.deadline + NEAR)
        and (problem.budget is None or t.usd <= problem.budget + NEAR)
    ]
    for usd, seconds in sorted(tried):
        if not found or seconds < found[-1][1] - NEAR:
            if found and usd <= found[-1][0] + NEAR:
                found.pop()
            found.append((usd, seconds))
    return found


def problem_of(rng: random.Random, stages: int = 6, options: int = 5) -> Problem:
    """A random problem. Prices are round, so that plans tie often."""
    count, places = rng.randint(1, stages), rng.randint(1, 6)
    areas = tuple(rng.randrange(3) for _ in range(places))
    ordered, keyed, coarse = rng.random() < 0.3, rng.random() < 0.4, rng.random() < 0.5
    flows = _flows(rng, count)
    problem = Problem(
        stages=tuple(
            tuple(
                _option(rng, places, ordered, keyed, coarse) for _ in range(rng.randint(1, options))
            )
            for _ in range(count)
        ),
        flows=flows,
        movement=_movement(rng, places),
        reuse=tuple(Reuse(f.source, f.target) for f in flows if keyed and rng.random() < 0.7),
        together=_together(rng, count),
        areas=areas if rng.random() < 0.7 else (),
    )
    pinned = {
        v: rng.randrange(len(found)) for v, found in enumerate(problem.stages) if rng.random() < 0.1
    }
    return replace(problem, pinned=pinned)


def _option(rng: random.Random, places: int, ordered: bool, keyed: bool, coarse: bool) -> Option:
    usd = rng.randint(0, 6) / 2 if coarse else rng.uniform(0, 30)
    seconds = rng.randint(1, 6) * 60.0 if coarse else rng.uniform(1, 4000)
    place = rng.randrange(places)
    key = (place, rng.randrange(2)) if keyed and rng.random() < 0.8 else None
    share = rng.random()
    tier = rng.randrange(3) if ordered else 0
    return Option(place, usd, seconds, tier, key, usd * share, seconds * share)


def _flows(rng: random.Random, count: int) -> tuple[Flow, ...]:
    shape = rng.choice(["random", "random", "chain", "fan out", "fan in"])
    edges = {
        "chain": [(v - 1, v) for v in range(1, count)],
        "fan out": [(0, v) for v in range(1, count)],
        "fan in": [(v, count - 1) for v in range(count - 1)],
        "random": [(u, v) for v in range(count) for u in range(v) if rng.random() < 0.4],
    }[shape]
    names = list(range(count))
    if rng.random() < 0.3:
        rng.shuffle(names)  # stages need not be in the order of the DAG
    sizes = (0.0, 0.0, 1.0, 10.0, 500.0)
    return tuple(Flow(names[u], names[v], rng.choice(sizes)) for u, v in edges)


def _movement(rng: random.Random, places: int) -> Movement:
    rates = (
        Rate(),
        Rate(((10.0, 0.5), (float("inf"), 0.02)), 1.0, 5.0),
        Rate(((float("inf"), rng.choice([0.01, 0.09, 0.2])),), rng.choice([0.5, 5.0])),
    )
    ways = tuple(
        tuple(0 if a == b else rng.randrange(3) for b in range(places)) for a in range(places)
    )
    return Movement(rates, ways)


def _together(rng: random.Random, count: int) -> tuple[tuple[int, ...], ...]:
    if count < 2 or rng.random() < 0.75:
        return ()
    groups = rng.randint(1, 2)
    return tuple(
        tuple(rng.sample(range(count), rng.randint(2, min(3, count)))) for _ in range(groups)
    )


def limited(rng: random.Random, problem: Problem) -> Problem:
    """With an objective and, often, limits that bite; some cannot be met."""
    problem = replace(problem, minimize=rng.choice(list(Minimize)))
    tried = list(plans(problem))
    if tried and rng.random() < 0.5:
        some = rng.choice(tried)
        problem = replace(problem, deadline=some.seconds * rng.choice([0.8, 1.0, 1.0, 1.1]))
    if tried and rng.random() < 0.4:
        some = rng.choice(tried)
        problem = replace(problem, budget=some.usd * rng.choice([0.8, 1.0, 1.0, 1.1]))
    return problem
