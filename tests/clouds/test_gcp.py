"""Google Cloud against a double of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.catalog import locations
from stix.clouds.catalog.catalog import Catalog
from stix.clouds.gcp import GcpCloud
from stix.clouds.gcp.tpu import offers as slices
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CHECKS, CloudConformance, run_check
from stix.clouds.volumes import VolumeWish
from stix.plan.offers import Offer
from tests.support.clouds.benches import bench as rented
from tests.support.clouds.gcp import Gcp
from tests.support.clouds.gcp_base import TOKEN, key_file, private_pem
from tests.support.clouds.gcp_tpu import GcpTpu

QUICK = {"poll_s": 0}
TPU_CHECKS = (
    "gives_the_same_for_the_same_token",
    "gives_the_same_after_a_lost_answer",
    "makes_all_or_nothing",
    "refuses_an_offer_it_never_made",
    "keeps_odd_tags",
    "terminates_silently",
    "survives_answers_that_are_lost",
    "says_when_the_provider_has_none",
    "says_when_a_quota_is_reached",
    "says_when_a_right_is_missing",
    "says_when_the_order_is_wrong",
    "leaves_strangers_alone",
    "lists_through_all_pages",
    "knows_every_state",
    "boots_before_it_runs",
    "has_a_way_in",
    "stops_and_starts",
    "rents_spot",
    "tells_a_preemption",
    "makes_a_new_one_of_a_preempted_wish",
)


def the(offers: list[Offer], *, spot: bool) -> Offer:
    return next(o for o in offers if (o.zone, o.spot) == ("us-central1-a", spot))


class TestGcp(CloudConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        known = Catalog.load(["gcp"], [locations.BUNDLED]).offers(accelerator="T4")
        with Gcp().running() as double:
            file = key_file(tmp_path, double.url)
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
            yield rented(
                GcpCloud,
                double,
                tmp_path,
                the(known, spot=False),
                QUICK,
                spot_offer=the(known, spot=True),
                secrets=[TOKEN, private_pem()],
                volume=VolumeWish("", "gcp-pd", "us-central1", "us-central1-a", 10.0),
            )


@pytest.fixture
def tpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    known = slices(tmp_path)
    with GcpTpu().running() as double:
        file = key_file(tmp_path, double.url)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        settings = {**QUICK, "tpu": True}
        spot = the(known, spot=True)
        yield rented(GcpCloud, double, tmp_path, the(known, spot=False), settings, spot_offer=spot)


@pytest.mark.parametrize("name", TPU_CHECKS)
def test_tpu_vms_behave_as_machines(name: str, tpus: Bench) -> None:
    check = next(check for check in CHECKS if check.name == name)
    assert asyncio.run(run_check(check, tpus)) == ""
