"""Vultr, by way of Libcloud, against a double of its API."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.errors import InvalidRequest
from stix.clouds.libcloud import VultrCloud
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Offer
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offers_of
from tests.support.clouds.vultr import KEY, Vultr


@pytest.fixture
def double() -> Iterator[Vultr]:
    with Vultr().running() as running:
        yield running


@pytest.fixture
def offers(double: Vultr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Offer]:
    monkeypatch.setenv("VULTR_API_KEY", KEY)
    found = offers_of(VultrCloud, double, tmp_path)
    return {f"{offer.region} {offer.instance_type}": offer for offer in found}


@pytest.fixture
def bench(double: Vultr, offers: dict[str, Offer], tmp_path: Path) -> Bench:
    return bench_of(VultrCloud, double, tmp_path, offers["ewr vc2-2c-4gb"], secrets=(KEY,))


class TestVultr(CloudConformance):
    pass


def test_the_machine_has_what_libcloud_hides(bench: Bench, double: Vultr) -> None:
    """Its tags, and our key by cloud-init."""

    async def check() -> None:
        async with desk(bench) as at:
            node = (await at.cloud.create(at.request()))[0]
            box = double.boxes[node.ref.id]
            assert "stix-home:0a1b2c3d4e5f" in box.more["tags"]
            script = base64.b64decode(box.more["user_data"]).decode()
            assert script.startswith("#cloud-config") and "ssh-ed25519 " in script

    asyncio.run(check())


def test_offers_are_those_of_the_price_list(offers: dict[str, Offer]) -> None:
    """GPUs too; bare metal, which other calls rent, is left out."""
    assert {name.split()[1] for name in offers} == {*Vultr.PLANS}
    offer = offers["fra vcg-a40-24c-120g-48vram"]
    assert offer.accelerators == {"A40": 1.0}
    assert (offer.price, offer.cpus, offer.memory_gib) == (1.712, 24.0, 120.0)


def test_what_it_cannot_give_is_refused(bench: Bench, double: Vultr) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            with pytest.raises(InvalidRequest, match="size of its type") as error:
                await at.cloud.create(replace(at.request(), disk_gib=100))
            assert error.value.fix
            metal = replace(bench.offer, instance_type="vbm-4c-32gb")
            with pytest.raises(InvalidRequest, match="bare metal"):
                await at.cloud.create(at.request(offer=metal))
            assert not double.boxes

    asyncio.run(check())
