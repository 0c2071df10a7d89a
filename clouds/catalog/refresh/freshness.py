"""How old the prices of each cloud are: what a plan says about the numbers it stands on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from stix.clouds.catalog.locations import BUNDLED, folders
from stix.clouds.catalog.tables import SUFFIX, CatalogError, read

STALE_DAYS = 14
FRESH, STALE, MISSING, DAMAGED = "fresh", "stale", "missing", "damaged"


class Freshness(NamedTuple):
    """The age of one cloud's prices.

    Attributes:
        cloud: Its name.
        state: ``fresh``, ``stale`` (older than the bound), ``missing`` or ``damaged``.
        as_of: Day of its newest prices; where a month or a year is known, its first day.
        days: Since then; None where there is no file.
        refreshed: Whether it was refreshed here, or came with STIX.
    """

    cloud: str
    state: str
    as_of: date | None
    days: int | None
    refreshed: bool

    @property
    def warning(self) -> str:
        """A sentence for people; empty where the prices are fresh."""
        again = f"`stix catalog refresh {self.cloud}`"
        if self.state == MISSING:
            return f"There are no prices of {self.cloud}: {again}"
        if self.state == DAMAGED:
            return f"The prices of {self.cloud} cannot be read: {again}"
        if self.state == STALE:
            return f"The prices of {self.cloud} are {self.days} days old: {again}"
        return ""


def freshness(
    clouds: Iterable[str] | None = None,
    *,
    home: Path | None = None,
    today: date | None = None,
    stale_days: float = STALE_DAYS,
) -> list[Freshness]:
    """The age of each cloud's prices, by name.

    Args:
        clouds: Names, also of clouds without prices; None for all that have some.
        home: ``STIX_HOME``; None for the one in use.
        today: To count from.
        stale_days: Older than this is stale.
    """
    places = folders(home)
    there = {path.stem for place in places for path in place.glob(f"*{SUFFIX}")}
    day = today or datetime.now(UTC).date()
    return [_of(cloud, places, day, stale_days) for cloud in sorted(set(clouds or there))]


def _of(cloud: str, places: tuple[Path, ...], today: date, stale_days: float) -> Freshness:
    for place in reversed(places):
        path = place / f"{cloud}{SUFFIX}"
        if not path.is_file():
            continue
        refreshed = place != BUNDLED
        try:
            as_of = max(day_of(source.as_of) for source in read(path).sources)
        except (CatalogError, ValueError):
            return Freshness(cloud, DAMAGED, None, None, refreshed)
        days = (today - as_of).days
        return Freshness(cloud, STALE if days > stale_days else FRESH, as_of, days, refreshed)
    return Freshness(cloud, MISSING, None, None, False)


def day_of(text: str) -> date:
    """A day, or the first one of a month or a year: ``2026-08`` is 1 August 2026."""
    year, month, day = (*text.split("-"), "1", "1")[:3]
    return date(int(year), int(month), int(day))
