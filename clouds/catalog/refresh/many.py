"""Refresh several clouds at once; one that fails stops no other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from stix.clouds.catalog.refresh import registry
from stix.clouds.catalog.refresh.errors import NoAccess
from stix.clouds.catalog.refresh.runner import SKIPPED, Outcome, Wish, lacking, refresh
from stix.clouds.catalog.refresh.settings import Settings

AT_ONCE = 4


def refresh_all(
    clouds: Sequence[str],
    settings: Settings,
    wish: Wish = Wish(),  # noqa: B008
) -> list[Outcome]:
    """Refresh these clouds; where none is named, all for which nothing is missing.

    Raises:
        UsageError: there is no refresher for a cloud that is named.
    """
    chosen = list(dict.fromkeys(clouds)) or registry.names()
    kinds = {cloud: registry.load(cloud) for cloud in chosen}

    def one(cloud: str) -> Outcome:
        missing: list[str] = []
        try:
            missing = [] if clouds else lacking(kinds[cloud], settings)
        except NoAccess as error:
            missing = [error.message]
        if missing:
            return Outcome(cloud, SKIPPED, error=f"{' and '.join(missing)} not set")
        return refresh(kinds[cloud], settings, wish)

    with ThreadPoolExecutor(min(AT_ONCE, len(chosen) or 1)) as pool:
        return list(pool.map(one, chosen))
