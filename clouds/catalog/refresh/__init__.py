"""Fresh prices from the providers' own lists: the files lie in ``STIX_HOME/catalog``.

They precede those that came with STIX. A list that is cut short, changed its fields or is not
believable replaces nothing.
"""

from stix.clouds.catalog.refresh.base import Found, Item, Known, Page, Quote, Refresher, gpu
from stix.clouds.catalog.refresh.checks import Held
from stix.clouds.catalog.refresh.freshness import Freshness, freshness
from stix.clouds.catalog.refresh.many import refresh_all
from stix.clouds.catalog.refresh.runner import Outcome, Wish, refresh
from stix.clouds.catalog.refresh.settings import Bounds, Clock, Settings

__all__ = [
    "Bounds",
    "Clock",
    "Found",
    "Freshness",
    "Held",
    "Item",
    "Known",
    "Outcome",
    "Page",
    "Quote",
    "Refresher",
    "Settings",
    "Wish",
    "freshness",
    "gpu",
    "refresh",
    "refresh_all",
]
