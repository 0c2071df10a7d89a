"""Hyperstack against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.hyperstack import HyperstackCloud
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.hyperstack import KEY, Hyperstack

PLACE = ("NORWAY-1", "n3-RTX-A4000x1")


@pytest.fixture
def double() -> Iterator[Hyperstack]:
    with Hyperstack().running() as running:
        yield running


@pytest.fixture
def bench(double: Hyperstack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("HYPERSTACK_API_KEY", KEY)
    return bench_of(HyperstackCloud, double, tmp_path, PLACE, secrets=[KEY])


class TestHyperstack(CloudConformance):
    pass


async def test_what_is_out_of_stock_is_not_ordered(bench: Bench, double: Hyperstack) -> None:
    double.sold_out = True
    async with desk(bench) as at:
        with pytest.raises(CapacityError, match="out of stock") as error:
            await at.cloud.create(at.request())
        assert error.value.scope == "region"
        assert {request.method for request in double.server.requests} == {"GET"}


async def test_only_ssh_and_the_ports_asked_for_are_open_to_the_world(
    bench: Bench, double: Hyperstack
) -> None:
    async with desk(bench) as at:
        nodes = await at.cloud.create(at.request(2, ports=("8080", "9000-9010")))
        for node in nodes:
            box = double.boxes[node.ref.id]
            assert not box.more["random"]
            world = [r for r in box.more["rules"] if r["remote_ip_prefix"] == "0.0.0.0/0"]
            assert [r["port_range_max"] for r in world] == [22, 8080, 9010]
            inside = {r["protocol"] for r in box.more["rules"] if r not in world}
            assert inside == {"tcp", "udp"}


async def test_a_stop_is_a_hibernation_which_costs_the_disk_only(
    bench: Bench, double: Hyperstack
) -> None:
    async with desk(bench) as at:
        assert isinstance(at.cloud, HyperstackCloud)
        (node,) = await at.cloud.create(at.request())
        double.put(node.ref.id, "ACTIVE")
        await at.cloud.stop([node.ref])
        assert double.boxes[node.ref.id].state == "HIBERNATED"
        double.put(node.ref.id, "SHUTOFF")  # as somebody did it in the console
        await at.cloud.start([node.ref])
        assert double.boxes[node.ref.id].state == "ACTIVE"


async def test_what_it_cannot_give_is_refused(bench: Bench, double: Hyperstack) -> None:
    async with desk(bench) as at:
        with pytest.raises(InvalidRequest, match="size of its type") as error:
            await at.cloud.create(replace(at.request(), disk_gib=100))
        assert error.value.fix
        assert not double.boxes
