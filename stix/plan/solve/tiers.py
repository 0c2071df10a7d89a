"""Which options count where wishes are ordered: the first tier of each stage that can be.

A tier can be if a plan exists that has it and meets pins, groups, deadline and budget. Stages are
asked in their order: an earlier stage gets its better tier before a later one, whatever it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stix.plan.solve.model import area, groups, options_left
from stix.plan.solve.problem import Problem

Left = list[list[int]]


def preferred(problem: Problem, possible: Callable[[Left], bool]) -> Left:
    """The options left, all of one tier per stage.

    Args:
        problem: What is asked.
        possible: Whether deadline and budget can be met with these options.

    Raises:
        Infeasible: a stage has no option, or a group no area in common.
    """
    every = options_left(problem)
    if all(len(_tiers(problem, stage, kept)) == 1 for stage, kept in enumerate(every)):
        return every
    wished = _choose(problem, every, lambda left: True)
    limited = problem.deadline is not None or problem.budget is not None
    if not limited or possible(wished):
        return wished
    return _choose(problem, every, possible) if possible(every) else every


def _choose(problem: Problem, every: Left, possible: Callable[[Left], bool]) -> Left:
    left = every
    of = {stage: group for group in groups(problem) for stage in group}
    for stage, kept in enumerate(every):
        tiers = _tiers(problem, stage, left[stage])
        if len(_tiers(problem, stage, kept)) == 1:
            continue
        for tier in tiers:
            options = [o for o in left[stage] if problem.stages[stage][o].tier == tier]
            trial = _with(problem, left, stage, options, of.get(stage, [stage]))
            if all(trial) and (tier == tiers[-1] or possible(trial)):
                left = trial
                break
    return left


def _with(
    problem: Problem, left: Left, stage: int, options: list[int], group: Sequence[int]
) -> Left:
    """``left`` with these options of a stage, and the rest of its group where they can be."""
    found = list(left)
    found[stage] = options
    if len(group) > 1:
        common = set.intersection(*({area(problem, s, o) for o in found[s]} for s in group))
        for s in group:
            found[s] = [o for o in found[s] if area(problem, s, o) in common]
    return found


def _tiers(problem: Problem, stage: int, kept: Sequence[int]) -> list[int]:
    return sorted({problem.stages[stage][o].tier for o in kept})
