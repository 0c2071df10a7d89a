"""A model without the states that no better plan can have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stix.plan.solve.bound import Graph
from stix.plan.solve.model import Model, Table

PASSES = 6


@dataclass(frozen=True)
class Guide:
    """Time at a price: who ends in time pays at most `due` for it, on top of the money.

    Attributes:
        model: The costs with time paid for.
        rate: What a later deadline costs, nano-dollars per microsecond.
    """

    model: Model
    rate: float = 0.0

    def due(self, deadline: float) -> float:
        return self.rate * deadline if self.rate else 0.0


def narrowed(model: Model, guide: Guide, most: float, deadline: float) -> tuple[Model, Guide]:
    """Both without the states that no plan has that costs ``most`` and ends by ``deadline``."""
    priced = guide.model
    pairs: dict[tuple[int, int], Table] = {}
    for (u, v), table in priced.usd.items():
        if u < v:
            pairs[u, v] = table
        else:
            pairs[v, u] = [list(column) for column in zip(*table, strict=True)]
    graph = Graph([[state.usd for state in found] for found in priced.states], pairs)
    for number in range(PASSES):
        graph.run(number % 2 == 1, most + guide.due(deadline) + _SLACK)
    left = graph.left
    return _kept(model, left), replace(guide, model=_kept(priced, left))


_SLACK = 10_000.0
"""Nano-dollars that prices and floats may be off."""


def _kept(model: Model, left: list[list[int]]) -> Model:
    states = [[found[i] for i in kept] for found, kept in zip(model.states, left, strict=True)]

    def table(edge: tuple[int, int], costs: Table) -> Table:
        rows, columns = left[edge[0]], left[edge[1]]
        return [[costs[i][j] for j in columns] for i in rows]

    return replace(
        model,
        states=states,
        usd={edge: table(edge, costs) for edge, costs in model.usd.items()},
        seconds={e: table(e, times) if times else None for e, times in model.seconds.items()},
    )
