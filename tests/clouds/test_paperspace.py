"""Paperspace against a double of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.errors import InvalidRequest
from stix.clouds.paperspace import PaperspaceCloud
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offer_of
from tests.support.clouds.paperspace import KEY, REGION, Paperspace


@pytest.fixture
def double() -> Iterator[Paperspace]:
    with Paperspace().running() as running:
        yield running


@pytest.fixture
def bench(double: Paperspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PAPERSPACE_API_KEY", KEY)
    return bench_of(PaperspaceCloud, double, tmp_path, (REGION, "C5"), secrets=[KEY])


class TestPaperspace(CloudConformance):
    pass


def test_a_disk_is_the_smallest_that_is_sold_and_large_enough(
    bench: Bench, double: Paperspace
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            for gib, size in ((None, 100), (100, 250), (230, 250), (1800, 2000)):
                (node,) = await at.cloud.create(replace(at.request(), disk_gib=gib))
                assert double.boxes[node.ref.id].more["disk"] == size
                await at.cloud.terminate([node.ref])
            with pytest.raises(InvalidRequest, match="1900 GiB"):
                await at.cloud.create(replace(at.request(), disk_gib=1900))

    asyncio.run(check())


def test_a_machine_with_many_gpus_has_their_image_and_link(bench: Bench) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            offer = offer_of("paperspace", REGION, "A100-80Gx8")
            assert len(await at.cloud.create(at.request(offer=offer))) == 1

    asyncio.run(check())


def test_a_gang_meets_in_one_network(bench: Bench, double: Paperspace) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            nodes = await at.cloud.create(at.request(3))
            networks = {double.boxes[node.ref.id].more["network"] for node in nodes}
            assert len(networks) == 1

    asyncio.run(check())
