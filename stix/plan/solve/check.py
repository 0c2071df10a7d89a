"""Is a problem one at all."""

from __future__ import annotations

from stix.plan.solve.problem import Problem


def check(problem: Problem) -> None:
    """Raise ``ValueError`` where numbers name nothing, or edges form a circle."""
    count = len(problem.stages)
    edges = [(f.source, f.target) for f in problem.flows]
    links = set(edges)
    for source, target in (*edges, *((r.source, r.target) for r in problem.reuse)):
        if not (0 <= source < count and 0 <= target < count) or source == target:
            raise ValueError(f"no edge from stage {source} to stage {target} of {count}")
    for reuse in problem.reuse:
        if (reuse.source, reuse.target) not in links:
            raise ValueError(f"stage {reuse.target} does not follow stage {reuse.source}")
    for stage, option in problem.pinned.items():
        if not (0 <= stage < count and 0 <= option < len(problem.stages[stage])):
            raise ValueError(f"stage {stage} has no option {option} to be pinned to")
    if any(not 0 <= stage < count for group in problem.together for stage in group):
        raise ValueError("a group names a stage that is not there")
    _check_order(count, edges)


def _check_order(count: int, edges: list[tuple[int, int]]) -> None:
    waiting = [0] * count
    children: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        waiting[target] += 1
        children[source].append(target)
    ready = [v for v, number in enumerate(waiting) if number == 0]
    for v in ready:
        for c in children[v]:
            waiting[c] -= 1
            if waiting[c] == 0:
                ready.append(c)
    if len(ready) < count:
        circle = [v for v, number in enumerate(waiting) if number > 0]
        raise ValueError(f"stages wait for each other: {', '.join(map(str, circle[:10]))}")
