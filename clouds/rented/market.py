"""Offers of a rented cloud: the rows of the catalog, read again when the file changes."""

from __future__ import annotations

from pathlib import Path

from stix.clouds.catalog import locations
from stix.clouds.catalog.catalog import Catalog
from stix.clouds.config import CloudConfig
from stix.plan.offers import Offer


class CatalogOffers:
    """What one cloud sells, in the regions that the settings allow.

    Args:
        cloud: Its name in the catalog.
        config: ``settings["regions"]``, where given, is a list of regions to use.
    """

    def __init__(self, cloud: str, config: CloudConfig) -> None:
        self._cloud = cloud
        self._folders = locations.folders(config.home)
        self._regions = config.settings.get("regions")
        self._read: tuple[list[tuple[Path, int]], list[Offer]] | None = None

    def offers(self) -> list[Offer]:
        """Empty where the catalog has no rows of this cloud."""
        files = [folder / f"{self._cloud}.cat" for folder in self._folders]
        stamp = [(file, file.stat().st_mtime_ns) for file in files if file.exists()]
        if self._read is None or self._read[0] != stamp:
            found = Catalog.load([self._cloud], self._folders).offers(cloud=self._cloud)
            kept = [o for o in found if not self._regions or o.region in self._regions]
            self._read = stamp, kept
        return self._read[1]
