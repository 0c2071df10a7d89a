"""Scaleway against a double of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.base import CanOpenPorts, NodeState
from stix.clouds.errors import AuthError, CapacityError, CloudError
from stix.clouds.scaleway import ScalewayCloud
from stix.clouds.testing.bench import Bench, desk, ids, refs
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.scaleway import KEY, PROJECT, Scaleway


@pytest.fixture
def double() -> Iterator[Scaleway]:
    with Scaleway().running() as running:
        yield running


@pytest.fixture
def bench(double: Scaleway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("SCW_SECRET_KEY", KEY)
    monkeypatch.setenv("SCW_DEFAULT_PROJECT_ID", PROJECT)
    place = ("fr-par", "GPU-3070-S")
    return bench_of(ScalewayCloud, double, tmp_path, place, {"poll": 0.0}, secrets=[KEY])


class TestScaleway(CloudConformance):
    pass


@pytest.mark.parametrize("step", range(13))
def test_a_creation_that_was_cut_at_any_step_is_gone_on_with(
    bench: Bench, double: Scaleway, step: int
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            request = at.request()
            double.watch()
            double.wire("cut before", step, 1000)
            with suppress(CloudError):
                await at.cloud.create(request)
            double.watch()
            half = set(double.boxes)
            (node,) = await at.other.create(request)
            assert half <= {node.ref.id}  # what was begun is used
            (disk,) = [t for t in double.things.values() if t.kind == "disk"]
            assert f"stix-node:{node.ref.id}" in disk.more["tags"]
            assert double.boxes[node.ref.id].state != "stopped"
            assert [n.state for n in await at.of(request)] == [NodeState.RUNNING]

    asyncio.run(check())


@pytest.mark.parametrize("step", range(9))
def test_an_end_that_was_cut_at_any_step_leaves_a_disk_that_is_found(
    bench: Bench, double: Scaleway, step: int
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            (node,) = await at.cloud.create(at.request())
            double.watch()
            double.wire("cut before", step, 1000)
            with suppress(CloudError):
                await at.cloud.terminate([node.ref])
            double.watch()
            cloud = bench.open()
            assert isinstance(cloud, ScalewayCloud)
            disks = [r for r in await cloud.resources() if r.kind == "disk"]
            left = {t.id for t in double.things.values() if t.kind == "disk"}
            assert {disk.id.partition("/")[2] for disk in disks} == left
            await cloud.terminate([node.ref])
            assert not double.leftovers()
            await cloud.close()

    asyncio.run(check())


def test_what_is_sold_out_is_not_even_begun(bench: Bench, double: Scaleway) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            double.sold_out.add("GPU-3070-S")
            with pytest.raises(CapacityError) as error:
                await at.cloud.create(at.request())
            assert error.value.scope == "zone"
            assert not double.things and not double.boxes

    asyncio.run(check())


def test_a_node_that_was_stopped_runs_when_its_wish_is_asked_for_again(
    bench: Bench, double: Scaleway
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            request = at.request()
            (node,) = await at.cloud.create(request)
            await at.listed()
            assert isinstance(at.cloud, ScalewayCloud)
            await at.cloud.stop([node.ref])
            while (await at.listed())[0].reason != "stopped":
                continue
            (again,) = await at.other.create(request)
            assert again.ref == node.ref
            assert again.state is NodeState.STARTING

    asyncio.run(check())


def test_ports_are_added_to_those_that_are_open(bench: Bench, double: Scaleway) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            first, second = await at.some(2, ports=("8080",))
            assert isinstance(at.cloud, CanOpenPorts)
            await at.cloud.open_ports([first.ref], ["9000-9010"])
            opened = {
                node: {
                    rule["dest_port_from"]
                    for rule in double.things[double.boxes[node].more["group"]].more["rules"]
                }
                for node in ids([first, second])
            }
            assert opened[first.ref.id] == {22, 8080, 9000}
            assert opened[second.ref.id] == {22, 8080}
            await at.cloud.terminate(refs([first, second]))

    asyncio.run(check())


def test_the_disk_has_the_size_that_was_asked_for(bench: Bench, double: Scaleway) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            await at.cloud.create(replace(at.request(), disk_gib=200))
            (disk,) = [t for t in double.things.values() if t.kind == "disk"]
            assert 200 * 2**30 <= disk.more["size"] < 201 * 2**30
            assert disk.more["size"] % 10**9 == 0

    asyncio.run(check())


def test_a_project_has_to_be_named(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            monkeypatch.delenv("SCW_DEFAULT_PROJECT_ID")
            monkeypatch.setenv("HOME", str(tmp_path))
            with pytest.raises(AuthError, match="no project") as error:
                await at.cloud.check()
            assert "SCW_DEFAULT_PROJECT_ID" in error.value.fix
            monkeypatch.setenv("SCW_DEFAULT_PROJECT_ID", PROJECT)

    asyncio.run(check())
