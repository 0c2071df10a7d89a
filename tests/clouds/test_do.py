"""DigitalOcean against a double of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.do import DigitalOceanCloud
from stix.clouds.errors import InvalidRequest
from stix.clouds.testing.bench import Bench, desk, ids
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offer_of
from tests.support.clouds.do import KEY, DigitalOcean


@pytest.fixture
def double() -> Iterator[DigitalOcean]:
    with DigitalOcean().running() as running:
        yield running


@pytest.fixture
def bench(double: DigitalOcean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", KEY)
    place = ("nyc1", "s-4vcpu-8gb")
    return bench_of(DigitalOceanCloud, double, tmp_path, place, secrets=[KEY])


class TestDigitalOcean(CloudConformance):
    pass


def test_droplets_with_gpus_are_listed_and_get_an_image_with_drivers(bench: Bench) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            offer = offer_of("do", "tor1", "gpu-h100x1-80gb")
            nodes = await at.cloud.create(at.request(offer=offer))
            assert ids(await at.listed(by=at.other)) == ids(nodes)

    asyncio.run(check())


def test_a_new_droplet_is_behind_a_firewall(bench: Bench, double: DigitalOcean) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            (node,) = await at.cloud.create(at.request(ports=("8080",)))
            walls = [t.more for t in double.things.values() if t.kind == "firewall"]
            tags = set(double.boxes[node.ref.id].more["tags"])
            over = [wall for wall in walls if tags & set(wall["tags"])]
            world = [
                rule["ports"]
                for wall in over
                for rule in wall["inbound_rules"]
                if rule["sources"].get("addresses")
            ]
            assert sorted(world) == ["22", "8080"]

    asyncio.run(check())


def test_what_it_cannot_give_is_refused(bench: Bench, double: DigitalOcean) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            request = replace(at.request(), disk_gib=100)
            with pytest.raises(InvalidRequest, match="size of its type") as error:
                await at.cloud.create(request)
            assert error.value.fix
            assert not double.boxes

    asyncio.run(check())
