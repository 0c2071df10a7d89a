"""Places and their continents."""

from __future__ import annotations

import pytest

from stix.clouds.catalog import Catalog
from stix.plan.offers import Offer
from stix.plan.regions import CONTINENTS, Place, continent, of_country


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("us-east-1", "NA"),
        ("ca-central-1", "NA"),
        ("northamerica-northeast1", "NA"),
        ("sa-east-1", "SA"),
        ("brazilsouth", "SA"),
        ("southcentralus", "NA"),
        ("southeastasia", "AS"),
        ("ap-southeast-1", "AS"),
        ("ap-southeast-2", "OC"),
        ("australiaeast", "OC"),
        ("westeurope", "EU"),
        ("eu-north1", "EU"),
        ("me-central2", "ME"),
        ("israelcentral", "ME"),
        ("southafricanorth", "AF"),
        ("af-south-1", "AF"),
        ("FR", "EU"),
        ("VN", "AS"),
        ("*", ""),
        ("-", ""),
        (None, ""),
        ("somewhere", ""),
    ],
)
def test_the_continent_is_read_from_the_name(region: str | None, expected: str) -> None:
    assert continent(region) == expected


def test_every_region_of_the_catalog_lies_where_its_country_does() -> None:
    wrong = [
        (table.cloud, region, country)
        for table in Catalog.load().tables()
        for region, country in zip(table.regions, table.countries, strict=True)
        if country and continent(region) != of_country(country)
    ]
    assert wrong == []


def test_countries() -> None:
    assert of_country("us") == "NA"
    assert of_country("XX") == ""
    assert all(len(name) == 2 for name in CONTINENTS)


def test_places() -> None:
    offer = Offer("aws", "us-east-1", "us-east-1a", "m5.large", 2, 8)
    assert Place.of(offer) == Place.parse("aws/us-east-1/us-east-1a")
    assert Place.parse("gcp") == Place("gcp", None, None)
    assert str(Place("runpod", "*")) == "runpod"
    assert str(Place("aws")) == "aws/?"
