"""The cheapest plan by variable elimination: exact, at a cost that grows with the width.

A variable with few neighbours is replaced by a table: for each choice of its neighbours, the
least it can add. The order takes the variable that leaves the fewest new neighbours to each other.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from operator import add

Cost = Callable[[int, int, int, int], int]


def order(neighbours: Sequence[set[int]], sizes: Sequence[int]) -> tuple[list[int], int]:
    """An order of elimination by least fill, and the table entries it takes.

    ``neighbours`` is used up: it holds the later neighbours of each variable afterwards.
    """
    heap = [(_fill(neighbours, v), sizes[v], v) for v in range(len(neighbours))]
    heapq.heapify(heap)
    done: set[int] = set()
    found: list[int] = []
    entries = 0
    while heap:
        fill, _, v = heapq.heappop(heap)
        if v in done:
            continue
        now = _fill(neighbours, v)
        if now > fill:
            heapq.heappush(heap, (now, sizes[v], v))
            continue
        done.add(v)
        found.append(v)
        around = neighbours[v]
        entries += sizes[v] * prod(sizes[w] for w in around)
        for w in around:
            neighbours[w].discard(v)
            neighbours[w].update(u for u in around if u != w)
        for w in around:
            heapq.heappush(heap, (_fill(neighbours, w), sizes[w], w))
    return found, entries


def _fill(neighbours: Sequence[set[int]], v: int) -> int:
    around = neighbours[v]
    if len(around) < 2:
        return 0
    return sum(len(around) - 1 - len(around & neighbours[w]) for w in around)


class Elimination:
    """The least cost over all plans.

    Args:
        unary: Costs of the states of each variable.
        pairs: (u, v) to the costs of their states together.
    """

    def __init__(
        self, unary: Sequence[Sequence[int]], pairs: dict[tuple[int, int], list[list[int]]]
    ) -> None:
        self._unary = unary
        self._sizes = [len(costs) for costs in unary]
        self._later: list[set[int]] = [set() for _ in unary]
        for u, v in pairs:
            self._later[u].add(v)
            self._later[v].add(u)
        self._order, self.entries = order(self._later, self._sizes)
        self._pairs = pairs

    def solve(self) -> tuple[int, list[int]]:
        """The least cost, and the first plan that has it."""
        place = {v: i for i, v in enumerate(self._order)}
        buckets: list[list[tuple[tuple[int, ...], list[int]]]] = [[] for _ in self._unary]
        for (u, v), table in self._pairs.items():
            first, second = (u, v) if place[u] < place[v] else (v, u)
            rows = table if first == v else [list(column) for column in zip(*table, strict=True)]
            # rows: per state of the later one, over the states of the first one
            buckets[first].append(((second,), [cost for row in rows for cost in row]))
        total = 0
        scopes: dict[int, tuple[tuple[int, ...], list[int]]] = {}
        for v in self._order:
            scope = tuple(sorted(self._later[v], key=place.__getitem__, reverse=True))
            best, arg = self._eliminate(v, scope, buckets[v])
            buckets[v] = []
            scopes[v] = scope, arg
            if scope:  # the last of the scope is the next to go; its states run fastest
                buckets[scope[-1]].append((scope[:-1], best))
            else:
                total += best[0]
        plan = [0] * len(self._unary)
        for v in reversed(self._order):
            scope, arg = scopes[v]
            index = 0
            for w in scope:
                index = index * self._sizes[w] + plan[w]
            plan[v] = arg[index]
        return total, plan

    def _eliminate(
        self, v: int, scope: tuple[int, ...], parts: list[tuple[tuple[int, ...], list[int]]]
    ) -> tuple[list[int], list[int]]:
        """Per choice of the scope, the least cost of v with all parts, and the state that has it.

        A part is a table over some of the scope and, running fastest, the states of v.
        """
        size = self._sizes[v]
        split = [
            (inner, [table[i : i + size] for i in range(0, len(table), size)])
            for inner, table in parts
        ]
        if not scope:
            rows = [list(self._unary[v])]
            for _, table in split:
                rows = [list(map(add, rows[0], table[0]))]
        elif len(scope) == 1:
            rows = [list(self._unary[v])] * self._sizes[scope[0]]
            for inner, table in split:
                tables = table if inner else table * len(rows)
                rows = [list(map(add, a, b)) for a, b in zip(rows, tables, strict=True)]
        else:
            rows = self._rows(v, scope, split)
        best = [min(row) for row in rows]
        return best, [row.index(least) for row, least in zip(rows, best, strict=True)]

    def _rows(
        self,
        v: int,
        scope: tuple[int, ...],
        parts: list[tuple[tuple[int, ...], list[list[int]]]],
    ) -> list[list[int]]:
        """The sum of all parts, for each choice of the scope; grown one variable at a time."""
        rows: list[list[int]] = [list(self._unary[v])]
        known: list[int] = []
        waiting = list(parts)
        for w in (None, *scope):
            if w is not None:
                known.append(w)
                rows = [row for row in rows for _ in range(self._sizes[w])]
            ready = [part for part in waiting if set(part[0]) <= set(known)]
            waiting = [part for part in waiting if not set(part[0]) <= set(known)]
            for inner, table in ready:
                at = self._positions(known, inner)
                rows = [list(map(add, row, table[i])) for row, i in zip(rows, at, strict=True)]
        return rows

    def _positions(self, known: list[int], inner: tuple[int, ...]) -> list[int]:
        """For each choice of ``known`` in order, its row in a table over ``inner``."""
        steps = dict.fromkeys(known, 0)
        step = 1
        for w in reversed(inner):
            steps[w] = step
            step *= self._sizes[w]
        ranges = [
            range(0, self._sizes[w] * steps[w], steps[w]) if steps[w] else (0,) * self._sizes[w]
            for w in known
        ]
        return list(map(sum, product(*ranges)))
