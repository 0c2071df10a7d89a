"""OVHcloud, by way of Libcloud, against the double of an OpenStack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.libcloud import OvhCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Offer
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offers_of
from tests.support.clouds.openstack import PASSWORD, PROJECT, TOKEN, USER, Ovh


@pytest.fixture
def double() -> Iterator[Ovh]:
    with Ovh().running() as running:
        yield running


@pytest.fixture
def offers(double: Ovh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Offer]:
    for name, value in {"USERNAME": USER, "PASSWORD": PASSWORD, "PROJECT_NAME": PROJECT}.items():
        monkeypatch.setenv(f"OS_{name}", value)
    monkeypatch.delenv("OS_AUTH_URL", raising=False)
    found = offers_of(OvhCloud, double, tmp_path)
    return {f"{offer.region} {offer.instance_type}": offer for offer in found}


@pytest.fixture
def bench(double: Ovh, offers: dict[str, Offer], tmp_path: Path) -> Bench:
    offer, settings = offers["GRA9 t1-45"], {"pause": 0.0}
    return bench_of(OvhCloud, double, tmp_path, offer, settings, secrets=(PASSWORD, TOKEN))


class TestOvh(CloudConformance):
    pass


def test_offers_are_rows_of_the_catalog_in_regions_of_the_account(
    offers: dict[str, Offer],
) -> None:
    assert {offer.region for offer in offers.values()} == {*Ovh.REGIONS}
    assert all(offer.zone is None and offer.price > 0 for offer in offers.values())
