"""CUDO Compute against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.cudo import CudoCloud
from stix.clouds.cudo.ground import Size
from stix.clouds.errors import AuthError, CapacityError, InvalidRequest
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.cudo import KEY, PROJECT, Cudo

PLACE = ("us-dallas-1", "intel-broadwell-v100_1x2v4gb")


@pytest.fixture
def double() -> Iterator[Cudo]:
    with Cudo().running() as running:
        yield running


@pytest.fixture
def bench(double: Cudo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("CUDO_API_KEY", KEY)
    monkeypatch.setenv("CUDO_PROJECT_ID", PROJECT)
    return bench_of(CudoCloud, double, tmp_path, PLACE, {"poll": 0.0}, secrets=[KEY])


class TestCudo(CloudConformance):
    pass


def test_a_type_of_the_catalog_says_its_size() -> None:
    assert Size.of("intel-broadwell-v100_2x8v16gb") == Size("intel-broadwell-v100", 2, 8, 16)
    with pytest.raises(InvalidRequest):
        Size.of("intel-broadwell")


async def test_what_the_data_centre_has_no_room_for_is_not_ordered(
    bench: Bench, double: Cudo
) -> None:
    double.free = 0
    async with desk(bench) as at:
        with pytest.raises(CapacityError, match="no room") as error:
            await at.cloud.create(at.request())
        assert error.value.scope == "region"
        assert {request.method for request in double.server.requests} == {"GET"}


async def test_a_machine_that_is_being_made_is_ended_once_that_is_over(
    bench: Bench, double: Cudo
) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request())
        await at.listed()
        assert double.boxes[node.ref.id].state == "STARTING"
        double.watch()
        await at.cloud.terminate([node.ref])
        assert not double.boxes
        tries = [r for r in double.server.requests if r.path.endswith("/terminate")]
        assert len(tries) == 2


async def test_only_ssh_and_the_ports_asked_for_are_open_to_the_world(
    bench: Bench, double: Cudo
) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request(ports=("8080", "9000-9010")))
        groups = [double.things[each] for each in double.boxes[node.ref.id].more["groups"]]
        rules = [rule for group in groups for rule in group.more["rules"]]
        world = [r for r in rules if "INBOUND" in r["ruleType"] and "ipRangeCidr" not in r]
        assert sorted(rule["ports"] for rule in world) == ["22", "8080", "9000:9010"]


async def test_a_disk_as_large_as_asked_for(bench: Bench, double: Cudo) -> None:
    async with desk(bench) as at:
        await at.cloud.create(replace(at.request(), disk_gib=120))
        order = next(r for r in double.server.requests if r.path.endswith("/vm"))
        assert order.json["bootDisk"] == {"sizeGib": 120}


async def test_the_project_may_be_a_setting(
    double: Cudo, tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDO_PROJECT_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    cloud = bench.open()
    with pytest.raises(AuthError, match="no project") as error:
        await cloud.check()
    assert error.value.fix
    await cloud.close()
    other = bench_of(CudoCloud, double, tmp_path, PLACE, {"project": PROJECT}).open()
    assert (await other.check()).account == f"project {PROJECT}"
    await other.close()
