"""Which clouds exist: entry points of the group ``stix.clouds``, loaded at first use.

A package joins with ``[project.entry-points."stix.clouds"] name = "module:Class"``; nothing here
changes. The class takes one ``CloudConfig``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points

from stix.clouds.base import Cloud
from stix.clouds.config import CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.clouds.wrappers import Around, BreakerStore, standard, wrap

GROUP = "stix.clouds"


class UnknownCloud(InvalidRequest):
    """No installed package offers a cloud of this name."""


class CloudNotInstalled(InvalidRequest):
    """The adapter is known, but a library that it needs is not installed."""


def names() -> list[str]:
    """Names of the clouds that installed packages offer, sorted. Loads none of them."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def get(name: str, config: CloudConfig) -> Cloud:
    """The bare adapter ``name``.

    Raises:
        UnknownCloud: no installed package offers it.
        CloudNotInstalled: a library it needs is missing; the fix names what to install.
    """
    return load(name)(config)


def open_cloud(
    name: str,
    config: CloudConfig,
    around: Sequence[Around] | None = None,
    *,
    breakers: BreakerStore | None = None,
) -> Cloud:
    """The adapter ``name`` as it is used: with audit, retry, breaker and rate limit around it.

    Args:
        around: What to put around each call instead.
        breakers: Where circuits are kept, such as the ledger; in memory where not given.
    """
    cloud = get(name, config)
    return wrap(cloud, standard(cloud, breakers) if around is None else around)


def load(name: str) -> Callable[[CloudConfig], Cloud]:
    """The adapter's class, imported now."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise UnknownCloud(f"there is no cloud named {name!r}", fix=_nearest(name, sorted(points)))
    try:
        adapter: Callable[[CloudConfig], Cloud] = points[name].load()
    except ModuleNotFoundError as error:
        raise CloudNotInstalled(
            f"the cloud {name!r} needs the module {error.name!r}, which is not installed",
            fix=_install_hint(points[name], error),
        ) from error
    return adapter


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}? Installed clouds: {', '.join(known)}"
    return f"install the package that offers it; installed clouds: {', '.join(known) or 'none'}"


def _install_hint(point: EntryPoint, error: ModuleNotFoundError) -> str:
    if point.dist is None:
        return f"install {error.name}"
    extras = point.dist.metadata.get_all("Provides-Extra") or []
    if point.name in extras:
        return f"pip install '{point.dist.name}[{point.name}]'"
    return f"pip install {error.name}"
