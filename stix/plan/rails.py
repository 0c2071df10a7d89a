"""A DAG for a terminal: a line per stage, and beside it the rails of what waits for what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

MOST = 8
"""Rails side by side; a DAG with more is not drawn."""
_NODE = "o"


def rails(stages: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Lines as (drawing, name of the stage of this line or nothing).

    Each rail leads to one stage; it begins below a stage that this one waits for. Empty where too
    many would stand side by side.
    """
    children: dict[str, list[str]] = defaultdict(list)
    for source, target in dict.fromkeys(edges):
        children[source].append(target)
    lanes: list[str | None] = []
    lines: list[tuple[str, str]] = []
    for name in _sorted(stages, edges):
        mine = [number for number, target in enumerate(lanes) if target == name]
        if len(mine) > 1:
            lines.append((_joined(lanes, mine, "┴╯"), ""))
        if not mine:
            mine = [_free(lanes)]
            if lines and lines[-1][0][2 * mine[0] : 2 * mine[0] + 1].strip():
                lines.append((_row(lanes, None), ""))  # it waits for nothing that stands above
        for number in mine:
            lanes[number] = None
        here = mine[0]
        lanes[here] = name
        lines.append((_row(lanes, here), name))
        targets = children[name]
        lanes[here] = targets[0] if targets else None
        forks = [here]
        for target in targets[1:]:
            place = _free(lanes, here + 1)
            lanes[place] = target
            forks.append(place)
        if len(forks) > 1:
            lines.append((_joined(lanes, forks, "┬╮"), ""))
        while lanes and lanes[-1] is None:
            lanes.pop()
        if max(len(lanes), *forks) > MOST:
            return []
    return lines


def _sorted(stages: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[str]:
    """Each stage after those that it waits for, and as soon as that; else as they come."""
    waiting = dict.fromkeys(stages, 0)
    children: dict[str, list[str]] = defaultdict(list)
    for source, target in dict.fromkeys(edges):
        waiting[target] += 1
        children[source].append(target)
    order = {name: number for number, name in enumerate(stages)}
    ready = [name for name in reversed(stages) if not waiting[name]]
    found = []
    while ready:
        name = ready.pop()
        found.append(name)
        freed = []
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                freed.append(child)
        ready += sorted(freed, key=order.__getitem__, reverse=True)
    return found


def _free(lanes: list[str | None], least: int = 0) -> int:
    for number in range(least, len(lanes)):
        if lanes[number] is None:
            return number
    lanes += [None] * (max(least - len(lanes), 0) + 1)
    return len(lanes) - 1


def _row(lanes: Sequence[str | None], here: int | None) -> str:
    cells = [" " if target is None else "│" for target in lanes]
    if here is not None:
        cells[here] = _NODE
    return " ".join(cells).rstrip()


def _joined(lanes: Sequence[str | None], rail: Sequence[int], corners: str) -> str:
    """A line from the first of some rails to the others; it crosses those between."""
    first, last = min(rail), max(rail)
    middle, end = corners[0], corners[1]
    out = []
    for number, target in enumerate(lanes):
        if number == first:
            cell = "├"
        elif number in rail:
            cell = end if number == last else middle
        elif first < number < last:
            cell = "┼" if target is not None else "─"
        else:
            cell = " " if target is None else "│"
        out.append(cell + ("─" if first <= number < last else " "))
    return "".join(out).rstrip()
