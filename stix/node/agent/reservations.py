"""Arithmetic of shared hosts: does a demand fit, and which accelerators does it get.  Pure."""

from __future__ import annotations

import math

from .errors import AgentError

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Iterable

EPSILON = 1e-6


def place(
    demand: dict[str, Any], limits: dict[str, Any], taken: Iterable[dict[str, Any]]
) -> dict[str, list[int]]:
    """Indices of the accelerators for ``demand`` beside what is ``taken``.

    A limit that is missing or null is no limit, except for accelerators, which must exist.
    Counts below 1 share an accelerator.

    Raises:
        AgentError: ``capacity``.
    """
    used = list(taken)
    for what in ("cpus", "memory_gib"):
        limit = limits.get(what)
        wanted = demand.get(what) or 0
        if limit is None or not wanted:
            continue
        free = limit - sum(u["demand"].get(what) or 0 for u in used)
        if wanted > free + EPSILON:
            raise AgentError(
                "capacity", "{} {} wanted, {:g} of {} free".format(wanted, what, free, limit)
            )
    return {
        name: _indices(name, count, (limits.get("accelerators") or {}).get(name, 0), used)
        for name, count in (demand.get("accelerators") or {}).items()
        if count > 0
    }


def _indices(name: str, count: float, limit: float, used: list[dict[str, Any]]) -> list[int]:
    load = [0.0] * int(limit)
    for other in used:
        indices = other["accelerators"].get(name, [])
        for index in indices:
            if index < len(load):
                load[index] += min(1.0, other["demand"]["accelerators"][name] / len(indices))
    if count < 1:
        # The fullest one with room, so that whole ones stay free.
        fitting = [i for i, part in enumerate(load) if part + count <= 1 + EPSILON]
        chosen = sorted(fitting, key=lambda i: (-load[i], i))[:1]
    else:
        chosen = [i for i, part in enumerate(load) if part < EPSILON][: math.ceil(count)]
    if not chosen or len(chosen) < count:
        raise AgentError(
            "capacity",
            "{:g} {} wanted, {} of {:g} free".format(
                count, name, sum(part < EPSILON for part in load), limit
            ),
        )
    return chosen
