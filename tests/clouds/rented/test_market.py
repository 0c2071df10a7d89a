"""Offers of a rented cloud come from the catalog, in the regions that the settings allow."""

from __future__ import annotations

from pathlib import Path

from stix.clouds.catalog import locations
from stix.clouds.catalog.tables import write
from stix.clouds.catalog.testing.world import row
from stix.clouds.config import CloudConfig
from stix.clouds.rented.market import CatalogOffers


def test_the_bundled_prices_serve_until_newer_ones_are_there(tmp_path: Path) -> None:
    market = CatalogOffers("do", CloudConfig(tmp_path, tmp_path))
    bundled = market.offers()
    assert bundled and {offer.cloud for offer in bundled} == {"do"}
    assert market.offers() is bundled, "the file is read once"
    folder = locations.folders(tmp_path)[1]
    folder.mkdir(parents=True)
    (folder / "do.cat").write_bytes(write("do", [row("do", "new", "nyc9", 0.5)], {}))
    assert [(o.instance_type, o.region) for o in market.offers()] == [("new", "nyc9")]


def test_regions_of_the_settings_are_the_only_ones(tmp_path: Path) -> None:
    config = CloudConfig(tmp_path, tmp_path, {"regions": ["nyc1"]})
    assert {offer.region for offer in CatalogOffers("do", config).offers()} == {"nyc1"}


def test_a_cloud_without_a_catalog_offers_nothing(tmp_path: Path) -> None:
    assert CatalogOffers("nobody", CloudConfig(tmp_path, tmp_path)).offers() == []
