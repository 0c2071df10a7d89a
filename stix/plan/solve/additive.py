"""The plan that costs least, where all costs add up: bounds, then elimination, else branches."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import count

from stix.plan.solve.bound import Graph
from stix.plan.solve.eliminate import Elimination
from stix.plan.solve.model import Model, Table
from stix.plan.solve.problem import Limits

PASSES = 8
NARROW = (2, 5)
"""After these passes the likely states are tried alone."""
_SHIFT = 44
"""Money comes first, then milliseconds of work, which take fewer bits than this."""

Pairs = dict[tuple[int, int], Table]


@dataclass(frozen=True)
class Cheapest:
    """A position among the states of each variable; money in nano-dollars."""

    plan: list[int]
    bound: int
    proven: bool
    branched: bool
    explored: int


def cheapest(model: Model, limits: Limits) -> Cheapest:
    """The cheapest plan of a model; of equal ones that with the least sum of stage times."""
    search = _Search(model, limits)
    search.run()
    return Cheapest(search.plan, search.bound, search.proven, search.branches > 0, search.explored)


class _Search:
    """Best first over the states of the variables that hold the tables large."""

    def __init__(self, model: Model, limits: Limits) -> None:
        self._model, self._limits = model, limits
        self._unary = [[state.usd for state in found] for found in model.states]
        self._pairs: Pairs = {}
        for (u, v), table in model.usd.items():
            if u < v:
                self._pairs[u, v] = table
            else:
                self._pairs[v, u] = [list(column) for column in zip(*table, strict=True)]
        self._times = [[state.seconds // 1000 for state in found] for found in model.states]
        self.plan = [0] * len(self._unary)
        self._best: int | None = None
        self.bound = 0
        self.proven = False
        self.branches = 0
        self.explored = 0

    def run(self) -> None:
        every = [list(range(len(costs))) for costs in self._unary]
        order, opened = count(), 0
        queue = [(0.0, next(order), every)]
        while queue:
            bound, _, left = heapq.heappop(queue)
            if self._best is not None and bound > (self._best >> _SHIFT) + _SLACK:
                break
            if self.branches and opened > self._limits.branches:
                self.bound = min(int(bound), (self._best or 0) >> _SHIFT)
                return
            opened += 1
            for low, child in self._open(left):
                self.branches += 1
                heapq.heappush(queue, (max(low, bound), next(order), child))
        self.proven = True
        self.bound = self._money(self.plan)

    def _open(self, left: list[list[int]]) -> list[tuple[float, list[list[int]]]]:
        """Solve what is left of the states, or give the branches it falls into."""
        unary = [[costs[i] for i in kept] for costs, kept in zip(self._unary, left, strict=True)]
        pairs = _restricted(self._pairs, left, self._unary)
        if any(len(kept) > 1 for kept in left) and pairs:
            graph = Graph(unary, pairs)
            for number in range(PASSES):
                guess = graph.improve(graph.run(number % 2 == 1, self._limit()))
                self._offer([kept[i] for kept, i in zip(left, guess, strict=True)])
                if number in NARROW:
                    self._narrow(graph, left)
                self.explored += sum(map(len, graph.left))
                if all(len(kept) == 1 for kept in graph.left) or graph.bound > self._limit():
                    break
            if graph.bound > self._limit():
                return []
            bound = graph.bound
            left = [[a[i] for i in b] for a, b in zip(left, graph.left, strict=True)]
        else:
            bound = 0.0
        exact = Elimination(*self._combined(left))
        if exact.entries <= self._limits.entries:
            self.explored += exact.entries
            _, plan = exact.solve()
            self._offer([kept[i] for kept, i in zip(left, plan, strict=True)])
            return []
        return [(bound, child) for child in self._split(left)]

    def _narrow(self, graph: Graph, left: list[list[int]]) -> None:
        """The best plan of the likely states alone, where that is cheap to find."""
        for number in (5, 3, 2):
            likely = [
                [kept[i] for i in few] for kept, few in zip(left, graph.likely(number), strict=True)
            ]
            exact = Elimination(*self._combined(likely))
            if exact.entries <= self._limits.entries // 10:
                self.explored += exact.entries
                self._offer([kept[i] for kept, i in zip(likely, exact.solve()[1], strict=True)])
                return

    def _split(self, left: list[list[int]]) -> list[list[list[int]]]:
        """One branch per state of the variable with the most states and neighbours."""
        degree = [0] * len(left)
        for u, v in self._pairs:
            if len(left[u]) > 1 and len(left[v]) > 1:
                degree[u] += 1
                degree[v] += 1
        widest = max(range(len(left)), key=lambda v: (len(left[v]) > 1, degree[v], len(left[v])))
        return [[*left[:widest], [i], *left[widest + 1 :]] for i in left[widest]]

    def _combined(self, left: list[list[int]]) -> tuple[list[list[int]], Pairs]:
        unary = [
            [(costs[i] << _SHIFT) + times[i] for i in kept]
            for costs, times, kept in zip(self._unary, self._times, left, strict=True)
        ]
        pairs: Pairs = {}
        for (u, v), table in _restricted(self._pairs, left, self._unary).items():
            if len(left[u]) == 1:
                unary[v] = [a + (b << _SHIFT) for a, b in zip(unary[v], table[0], strict=True)]
            elif len(left[v]) == 1:
                unary[u] = [a + (b[0] << _SHIFT) for a, b in zip(unary[u], table, strict=True)]
            else:
                pairs[u, v] = [[cost << _SHIFT for cost in row] for row in table]
        return unary, pairs

    def _limit(self) -> float:
        return float("inf") if self._best is None else (self._best >> _SHIFT) + _SLACK

    def _offer(self, plan: list[int]) -> None:
        cost = (self._money(plan) << _SHIFT) + sum(
            times[i] for times, i in zip(self._times, plan, strict=True)
        )
        if self._best is None or cost < self._best:
            self._best, self.plan = cost, plan

    def _money(self, plan: list[int]) -> int:
        total = sum(costs[i] for costs, i in zip(self._unary, plan, strict=True))
        return total + sum(table[plan[u]][plan[v]] for (u, v), table in self._pairs.items())


_SLACK = 1_000.0
"""Nano-dollars that the floats of a bound may be off."""


def _restricted(pairs: Pairs, left: list[list[int]], every: list[list[int]]) -> Pairs:
    """The tables of the states that are left; one object per distinct table, as before."""
    known: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Table] = {}
    found: Pairs = {}
    for (u, v), table in pairs.items():
        if len(left[u]) == len(every[u]) and len(left[v]) == len(every[v]):
            found[u, v] = table
            continue
        name = (id(table), tuple(left[u]), tuple(left[v]))
        if name not in known:
            known[name] = [[row[j] for j in left[v]] for row in map(table.__getitem__, left[u])]
        found[u, v] = known[name]
    return found
