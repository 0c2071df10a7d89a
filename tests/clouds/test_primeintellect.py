"""Prime Intellect against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.primeintellect import PrimeIntellectCloud
from stix.clouds.primeintellect.market import offer_of, offers_of
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as rented
from tests.support.clouds.primeintellect import KEY, PrimeIntellect, item

OFFER, SPOT = offers_of([item("1RTX4090", 0.40), item("1RTX4090_SPOT", 0.20, isSpot=True)])


class TestPrimeIntellect(CloudConformance):
    @pytest.fixture
    def bench(self, account: Bench) -> Bench:
        return account


@pytest.fixture
def double() -> Iterator[PrimeIntellect]:
    with PrimeIntellect().running() as double:
        yield double


@pytest.fixture
def account(double: PrimeIntellect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PRIME_API_KEY", KEY)
    return rented(PrimeIntellectCloud, double, tmp_path, OFFER, secrets=[KEY], spot_offer=SPOT)


async def test_what_is_on_offer_now(account: Bench) -> None:
    """With the price of the disk, and without what nobody can have or what has no price."""
    async with desk(account) as at:
        found = {o.instance_type: o for o in await at.cloud.offers()}
        assert set(found) == {
            "datacrunch:1RTX4090",
            "datacrunch:1RTX4090_SPOT",
            "datacrunch:CPU.8V",
        }
        gpu, cpu = found["datacrunch:1RTX4090"], found["datacrunch:CPU.8V"]
        assert (gpu.infra, gpu.price) == ("primeintellect/eu_north/FIN-01", 0.41)
        assert gpu.accelerators == {"RTX4090": 1.0}
        assert (cpu.infra, cpu.accelerators) == ("primeintellect", {})


@pytest.mark.parametrize(
    ("change", "offered"),
    [
        ({"prepaidTime": 24.0}, False),
        ({"vcpu": None}, False),
        ({"prices": {"onDemand": 0.4, "currency": "EUR"}}, False),
        ({"prices": {"onDemand": None, "communityPrice": 0.3, "currency": "USD"}}, True),
    ],
)
def test_what_cannot_be_rented_by_the_hour_is_not_offered(
    change: dict[str, object], offered: bool
) -> None:
    assert (offer_of(item("1RTX4090", 0.4, **change)) is not None) == offered


async def test_what_is_out_of_stock_meanwhile_is_not_ordered(
    account: Bench, double: PrimeIntellect
) -> None:
    double.items[0]["stockStatus"] = "Unavailable"
    async with desk(account) as at:
        double.watch()
        with pytest.raises(CapacityError) as raised:
            await at.cloud.create(at.request())
        assert raised.value.scope == "type"
        assert not [r for r in double.server.requests if r.method == "POST"]


async def test_a_disk_within_what_is_sold(account: Bench, double: PrimeIntellect) -> None:
    async with desk(account) as at:
        await at.cloud.create(at.request(disk_gib=400))
        assert double.server.requests[-1].json["pod"]["diskSize"] == 400
        with pytest.raises(InvalidRequest, match="50 to 500") as raised:
            await at.cloud.create(at.request(disk_gib=501))
        assert raised.value.fix


async def test_ports_are_refused(account: Bench) -> None:
    async with desk(account) as at:
        with pytest.raises(InvalidRequest, match="ports"):
            await at.cloud.create(at.request(ports=("8080",)))


async def test_an_image_that_the_provider_has(account: Bench, double: PrimeIntellect) -> None:
    double.items[0]["images"] = ["cuda_12_1_pytorch_2_2", "Ubuntu 22, CUDA 12"]
    async with desk(account) as at:
        await at.cloud.create(at.request())
        assert double.server.requests[-1].json["pod"]["image"] == "cuda_12_1_pytorch_2_2"


async def test_an_offer_of_another_place_is_another(account: Bench) -> None:
    async with desk(account) as at:
        with pytest.raises(CapacityError):
            await at.cloud.create(at.request(offer=replace(account.offer, zone="FIN-02")))
