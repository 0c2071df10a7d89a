"""Which price lists can be refreshed: entry points of the group ``stix.refreshers``."""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points

from stix.clouds.catalog.refresh.base import Refresher
from stix.errors import UsageError

GROUP = "stix.refreshers"


def names() -> list[str]:
    """Clouds whose prices can be refreshed, sorted. Loads none of them."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load(cloud: str) -> type[Refresher]:
    """The refresher of one cloud, imported now.

    Raises:
        UsageError: no installed package offers it.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if cloud not in points:
        near = difflib.get_close_matches(cloud.lower(), sorted(points), n=1, cutoff=0.5)
        raise UsageError(
            f"the prices of {cloud!r} cannot be refreshed",
            fix=(f"did you mean {near[0]!r}? " if near else "")
            + f"There are: {', '.join(sorted(points))}",
        )
    found: type[Refresher] = points[cloud].load()
    return found
