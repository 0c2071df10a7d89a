"""What time costs: the plans that no other beats in both, or some of them where there are many."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from stix.plan.solve import Infeasible, Limits, Minimize, Problem, Solution, pareto, solve

EXACT = 4
"""Up to so many stages all plans are found, in a second at most."""
_ALL = Limits(labels=20_000)
_SOME = ((16, 8, Limits(labels=200)), (10**9, 3, Limits(labels=20)))
"""(up to so many stages, deadlines to ask for, how hard to look): a few seconds at most."""


def front(problem: Problem) -> list[Solution]:
    """The cheapest first. Where ``gap`` of one is infinite, the list lacks some.

    Raises:
        Infeasible: no plan meets what is asked.
    """
    if len(problem.stages) <= EXACT:
        return pareto(problem, _ALL)
    return _some(problem)


def _some(problem: Problem) -> list[Solution]:
    """The cheapest plan, the fastest, and the cheapest for deadlines between."""
    count, limits = next((c, how) for most, c, how in _SOME if len(problem.stages) <= most)
    cheap = solve(problem, limits)
    fast = solve(replace(problem, minimize=Minimize.SECONDS), limits)
    found = [cheap, fast]
    for step in range(1, count + 1):
        deadline = fast.seconds + (cheap.seconds - fast.seconds) * step / (count + 1)
        try:
            found.append(solve(replace(problem, deadline=deadline), limits))
        except Infeasible:  # not found within the limits
            continue
    kept: list[Solution] = []
    for one in sorted(found, key=lambda s: (s.usd, s.seconds)):
        if not kept or one.seconds < kept[-1].seconds:
            kept.append(replace(one, gap=inf))
    return kept
