"""Shadeform against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.shadeform import ShadeformCloud
from stix.clouds.shadeform.market import offers_of
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as rented
from tests.support.clouds.shadeform import KEY, Shadeform, kind


class TestShadeform(CloudConformance):
    @pytest.fixture
    def bench(self, account: Bench) -> Bench:
        return account


@pytest.fixture
def double() -> Iterator[Shadeform]:
    with Shadeform().running() as double:
        yield double


@pytest.fixture
def account(double: Shadeform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SHADEFORM_API_KEY", KEY)
    (offer,) = offers_of([kind("hyperstack", "A6000", 57)])
    return rented(ShadeformCloud, double, tmp_path, offer, secrets=[KEY])


async def test_what_is_on_offer_now(account: Bench) -> None:
    """Machines, where they are available; their prices in USD."""
    async with desk(account) as at:
        found = {o.instance_type: o for o in await at.cloud.offers()}
        assert set(found) == {"hyperstack:A6000", "imwt:A6000", "scaleway:H100x8"}
        small, large = found["hyperstack:A6000"], found["scaleway:H100x8"]
        assert (small.infra, small.price) == ("shadeform/canada-1", 0.57)
        assert small.accelerators == {"RTXA6000": 1.0}
        assert (large.price, large.accelerators) == (24.0, {"H100-SXM": 8.0})


async def test_only_offers_of_the_regions_of_the_settings(
    double: Shadeform, account: Bench, tmp_path: Path
) -> None:
    for regions, count in ((["canada-1"], 3), (["norway-1"], 0)):
        limited = rented(
            ShadeformCloud, double, tmp_path, account.offer, settings={"regions": regions}
        )
        async with desk(limited) as at:
            assert len(await at.cloud.offers()) == count


async def test_what_is_out_of_stock_meanwhile_is_not_ordered(
    account: Bench, double: Shadeform
) -> None:
    double.types[0]["availability"][0]["available"] = False
    async with desk(account) as at:
        double.watch()
        with pytest.raises(CapacityError) as raised:
            await at.cloud.create(at.request())
        assert raised.value.scope == "type"
        assert not [r for r in double.server.requests if r.method == "POST"]


@pytest.mark.parametrize("changes", [{"ports": ("8080",)}, {"disk_gib": 100}])
async def test_what_nobody_can_promise_is_refused(account: Bench, changes: dict[str, Any]) -> None:
    async with desk(account) as at:
        with pytest.raises(InvalidRequest) as raised:
            await at.cloud.create(at.request(**changes))
        assert raised.value.fix


async def test_an_image_is_an_operating_system(account: Bench, double: Shadeform) -> None:
    async with desk(account) as at:
        await at.cloud.create(at.request(image="ubuntu22.04_cuda12.2_shade_os"))
        assert double.server.requests[-1].json["os"] == "ubuntu22.04_cuda12.2_shade_os"
