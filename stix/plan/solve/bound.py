"""Lower bounds of a sum of costs of states and of pairs of states, and what they rule out.

Costs are shifted between pairs and states, which changes no plan's total; the sum of the least cost
of every part is then a bound, and a state whose cost lifts it above a plan in hand is in no better
plan. Each pass shifts all costs through the variables in order, towards the later ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

Floats = list[float]


class Graph:
    """States and pair costs, in floats, with the states that are left.

    Attributes:
        unary: Costs of the states of each variable.
        pairs: (u, v) with u < v to the cost of each pair of states, by state of u.
        left: Of each variable, the positions of the states that are left.
    """

    def __init__(
        self, unary: Sequence[Sequence[int]], pairs: dict[tuple[int, int], list[list[int]]]
    ) -> None:
        self.unary = [[float(cost) for cost in costs] for costs in unary]
        self.left = [list(range(len(costs))) for costs in unary]
        self.neighbours: list[list[int]] = [[] for _ in unary]
        shared: dict[int, tuple[list[Floats], list[Floats]]] = {}
        self._rows: dict[tuple[int, int], list[Floats]] = {}
        for (u, v), table in pairs.items():
            if id(table) not in shared:
                rows = [[float(cost) for cost in row] for row in table]
                shared[id(table)] = rows, [list(column) for column in zip(*rows, strict=True)]
            self._rows[u, v], self._rows[v, u] = shared[id(table)]
            self.neighbours[u].append(v)
            self.neighbours[v].append(u)
        self._shift = {edge: [0.0] * len(rows) for edge, rows in self._rows.items()}
        self._mass = [list(costs) for costs in self.unary]
        self._least = dict.fromkeys(pairs, 0.0)  # costs of pairs are 0 or more
        self._news: set[tuple[int, int]] = set()
        self._scores = [list(costs) for costs in self.unary]

    @property
    def bound(self) -> float:
        """No plan of the states that are left costs less."""
        return sum(map(min, self._mass)) + sum(self._least.values())

    def cost(self, plan: Sequence[int]) -> float:
        """Of a plan: a position per variable, among all states."""
        total = sum(costs[i] for costs, i in zip(self.unary, plan, strict=True))
        rows = self._rows
        return total + sum(rows[e][plan[e[0]]][plan[e[1]]] for e in self._least)

    def run(self, backward: bool, limit: float) -> list[int]:
        """One pass; states above ``limit`` are dropped. Gives a plan, a guess at the best."""
        count = len(self.unary)
        plan = [-1] * count
        bound = self.bound
        for v in range(count - 1, -1, -1) if backward else range(count):
            around = self.neighbours[v]
            before = min(self._mass[v]) + sum(self._least[_edge(v, w)] for w in around)
            for w in around:
                if (w, v) in self._news:
                    self._collect(w, v)
            mass = self._mass[v]
            here = min(mass)
            bound += here - before
            excess = limit - bound + here
            if max(mass) > excess and here <= excess:
                self._drop(v, [i for i, cost in enumerate(mass) if cost <= excess])
                mass = self._mass[v]
            self._scores[v] = mass
            plan[v] = self._decide(v, plan)
            later = [w for w in around if (w < v) == backward]
            if later:
                weight = 1.0 / max(len(later), len(around) - len(later))
                self._spread(v, later, weight)
        return [self.left[v][i] for v, i in enumerate(plan)]

    def likely(self, count: int) -> list[list[int]]:
        """The states of each variable that looked best in the last pass, ``count`` at most."""
        pairs = zip(self.left, self._scores, strict=True)
        return [
            sorted(i for _, i in sorted(zip(scores, left, strict=True))[:count])
            for left, scores in pairs
        ]

    def improve(self, plan: list[int]) -> list[int]:
        """The plan after moving one variable at a time to where it is cheapest, while it helps."""
        plan = list(plan)
        for _ in range(4):
            changed = False
            for v, costs in enumerate(self.unary):
                if len(self.left[v]) == 1:
                    plan[v] = self.left[v][0]
                    continue
                rows = [self._rows[w, v][plan[w]] for w in self.neighbours[v]]
                totals = list(map(sum, zip(costs, *rows, strict=True)))
                least = min(totals)
                if least < totals[plan[v]]:
                    plan[v], changed = totals.index(least), True
            if not changed:
                break
        return plan

    def _collect(self, w: int, v: int) -> None:
        """Take all that (w, v) costs at least, for each state of v, into the costs of v."""
        columns, shift, mine = self._rows_left(v, w), self._shift[w, v], self._shift[v, w]
        if len(shift) > _MANY:
            least = _least_of_many(columns, shift)
        else:
            least = [min(map(add, column, shift)) for column in columns]
        self._mass[v] = [m + a + b for m, a, b in zip(self._mass[v], least, mine, strict=True)]
        self._shift[v, w] = [-a for a in least]
        self._least[_edge(v, w)] = 0.0
        self._news.discard((w, v))

    def _spread(self, v: int, later: list[int], weight: float) -> None:
        """Give shares of the costs of v to its pairs with later variables."""
        share = [weight * cost for cost in self._mass[v]]
        least = min(share)
        for w in later:
            self._shift[v, w] = list(map(add, self._shift[v, w], share))
            self._least[_edge(v, w)] += least
            self._news.add((v, w))
        rest = 1.0 - weight * len(later)
        self._mass[v] = [rest * cost for cost in self._mass[v]]

    def _decide(self, v: int, plan: list[int]) -> int:
        total = self._mass[v]
        for w in self.neighbours[v]:
            if plan[w] >= 0:
                mine, its = self._shift[v, w], self._shift[w, v][plan[w]]
                column = self._rows_left(w, v)[plan[w]]
                total = [t + c + m + its for t, c, m in zip(total, column, mine, strict=True)]
        return total.index(min(total))

    def _rows_left(self, v: int, w: int) -> list[Floats]:
        """The pair costs of the states left of v, each a row over the states left of w."""
        rows, left, other = self._rows[v, w], self.left[v], self.left[w]
        if len(other) == len(self.unary[w]):
            return rows if len(left) == len(rows) else [rows[i] for i in left]
        return [[row[j] for j in other] for row in map(rows.__getitem__, left)]

    def _drop(self, v: int, keep: list[int]) -> None:
        self.left[v] = [self.left[v][i] for i in keep]
        self._mass[v] = [self._mass[v][i] for i in keep]
        for w in self.neighbours[v]:
            shift = self._shift[v, w]
            self._shift[v, w] = [shift[i] for i in keep]
            self._news.add((v, w))


_MANY = 24


def _least_of_many(columns: list[Floats], shift: Floats) -> Floats:
    """``min(column[i] + shift[i])`` of each column, whose costs are 0 or more.

    In the order of ``shift`` most columns are through after a few steps.
    """
    order = sorted(range(len(shift)), key=shift.__getitem__)
    ordered = [(i, shift[i]) for i in order]
    first = order[0]
    found = []
    for column in columns:
        best = column[first] + shift[first]
        for i, cost in ordered:
            if cost >= best:
                break
            total = column[i] + cost
            if total < best:
                best = total
        found.append(best)
    return found


def _edge(u: int, v: int) -> tuple[int, int]:
    return (u, v) if u < v else (v, u)
