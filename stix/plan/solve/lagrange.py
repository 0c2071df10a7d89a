"""Plans under a deadline at a price for time: a good one quickly, and a bound for all.

Time on a path of the DAG is given a price. The cheapest plan at these prices is found exactly, and
what it costs, less the price of the deadline, is a lower bound of every plan that meets it. Paths
that come too late get dearer, those that are early cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from stix.plan.solve.additive import cheapest
from stix.plan.solve.model import Model, Table, add
from stix.plan.solve.narrow import Guide
from stix.plan.solve.problem import Limits
from stix.plan.solve.steps import Links, topological

ROUNDS = 24
Path = tuple[int, ...]


@dataclass(frozen=True)
class Priced:
    """The cheapest plan seen that is in time, if any, and what no plan in time is below."""

    usd: int | None
    plan: list[int] | None
    bound: int
    guide: Guide


def span(model: Model, plan: Sequence[int]) -> tuple[int, Path]:
    """When the last stage ends, and the path that says so."""
    links = Links.of(model)
    ends = [0] * len(model.states)
    before = [-1] * len(model.states)
    for v in topological(links):
        start = 0
        for p in links.parents[v]:
            table = model.seconds[p, v]
            at = ends[p] + (table[plan[p]][plan[v]] if table else 0)
            if at > start or before[v] < 0:
                start, before[v] = max(start, at), p
        ends[v] = start + model.states[v][plan[v]].seconds
    last = max(range(len(ends)), key=lambda v: (ends[v], -v))
    path = [last]
    while before[path[-1]] >= 0:
        path.append(before[path[-1]])
    return ends[last], tuple(reversed(path))


def money(model: Model, plan: Sequence[int]) -> int:
    """What a plan costs; ``model.big`` or more where it cannot be."""
    total = sum(found[i].usd for found, i in zip(model.states, plan, strict=True))
    return total + sum(table[plan[u]][plan[v]] for (u, v), table in model.usd.items())


def priced(model: Model, deadline: int, limits: Limits) -> Priced:
    """Look for the prices that bring bound and plan together."""
    prices: dict[Path, float] = {}
    best: tuple[int, list[int]] | None = None
    bound, guide = 0, Guide(model)
    small = replace(limits, branches=0, entries=min(limits.entries, 50_000))
    step = 0.0
    for number in range(ROUNDS):
        paid = Guide(_at(model, prices), sum(prices.values()))
        answer = cheapest(paid.model, small)
        low = round(answer.bound - paid.due(deadline))
        if low > bound:
            bound, guide = low, paid
        cost = money(model, answer.plan)
        end, path = span(model, answer.plan)
        if end <= deadline and cost < model.big and (best is None or cost < best[0]):
            best = cost, answer.plan
        if best is not None and bound >= best[0] - _NEAR:
            break
        late = {p: _length(model, p, answer.plan) - deadline for p in {*prices, path}}
        norm = sum(float(x) * x for p, x in late.items() if x > 0 or prices.get(p))
        if norm == 0:
            break
        target = best[0] if best else 2 * max(cost, bound, 1)
        step = max(target - bound, target // 100) / norm * (1.0 if number < ROUNDS // 2 else 0.5)
        moved = {p: prices.get(p, 0.0) + step * x for p, x in late.items()}
        prices = {p: price for p, price in moved.items() if price > 0}
    return Priced(best[0] if best else None, best[1] if best else None, bound, guide)


_NEAR = 1_000


def _length(model: Model, path: Path, plan: Sequence[int]) -> int:
    total = sum(model.states[v][plan[v]].seconds for v in path)
    for u, v in pairwise(path):
        table = model.seconds[u, v]
        total += table[plan[u]][plan[v]] if table else 0
    return total


def _weights(prices: dict[Path, float]) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
    stages: dict[int, float] = {}
    edges: dict[tuple[int, int], float] = {}
    for path, price in prices.items():
        for v in path:
            stages[v] = stages.get(v, 0.0) + price
        for edge in pairwise(path):
            edges[edge] = edges.get(edge, 0.0) + price
    return stages, edges


def _at(model: Model, prices: dict[Path, float]) -> Model:
    """The model with time paid for."""
    stages, edges = _weights(prices)
    states = [
        [s._replace(usd=s.usd + round(stages[v] * s.seconds)) for s in found]
        if v in stages
        else found
        for v, found in enumerate(model.states)
    ]
    usd = dict(model.usd)
    for edge, price in edges.items():
        times = model.seconds[edge]
        if times:
            paid: Table = [[round(price * t) for t in row] for row in times]
            usd[edge] = add(usd[edge], paid) if edge in usd else paid
    return replace(model, states=states, usd=usd)
