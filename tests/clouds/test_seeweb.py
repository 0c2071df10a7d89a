"""Seeweb against a double of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.seeweb import SeewebCloud
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offer_of
from tests.support.clouds.seeweb import KEY, Seeweb


@pytest.fixture
def double() -> Iterator[Seeweb]:
    with Seeweb().running() as running:
        yield running


@pytest.fixture
def bench(double: Seeweb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("ECSAPI_TOKEN", KEY)
    return bench_of(SeewebCloud, double, tmp_path, ("it-mi2", "eCS4"), secrets=[KEY])


class TestSeeweb(CloudConformance):
    pass


def test_what_it_cannot_give_is_refused_before_anything_is_made(
    bench: Bench, double: Seeweb
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            with pytest.raises(InvalidRequest, match="size of its type"):
                await at.cloud.create(replace(at.request(), disk_gib=100))
            with pytest.raises(InvalidRequest, match="none of the images") as error:
                await at.cloud.create(at.request(offer=offer_of("seeweb", "it-mi2", "eCS1")))
            assert "centos-7" in error.value.fix
            double.sold_out.add(("eCS4", "it-mi2"))
            with pytest.raises(CapacityError) as sold:
                await at.cloud.create(at.request())
            assert sold.value.scope == "region"
            assert not double.boxes and not double.things

    asyncio.run(check())


def test_servers_with_gpus_get_an_image_with_drivers(bench: Bench) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            offer = offer_of("seeweb", "it-fr2", "ECS1GPU7")
            assert len(await at.cloud.create(at.request(offer=offer))) == 1

    asyncio.run(check())


def test_the_key_of_skypilot_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECSAPI_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    cloud = SeewebCloud(CloudConfig(home=tmp_path, socket_dir=tmp_path))
    place = tmp_path / ".seeweb_cloud/seeweb_keys"
    place.parent.mkdir()
    place.write_text("no ini file")
    assert cloud.credentials() == ""
    place.write_text("[DEFAULT]\napi_key=abc\n")
    assert cloud.credentials() == "~/.seeweb_cloud/seeweb_keys"
