"""Simulated machines with real nodes: the conformance suite, and what is special here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from stix.clouds.base import (
    CanChaos,
    CanPrepare,
    CanSpot,
    CreateRequest,
    HasCredentials,
    Node,
    NodeState,
    Selector,
)
from stix.clouds.config import CloudConfig
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    NodeGone,
    QuotaError,
    TransientError,
)
from stix.clouds.sim import SimCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Demand, Offer
from tests.clouds.folder_cloud import marked_below

TYPES = {"box": {"cpus": 2, "memory": 4, "price": 0.5, "spot": 0.2, "accelerators": "A100:2"}}
ZONES = ["north/a", "north/b", "south/a"]
SETTINGS: dict[str, Any] = {"types": TYPES, "zones": ZONES, "stock": 4, "preempt_rate": 0}


@pytest.fixture
def config(tmp_path: Path) -> Iterator[CloudConfig]:
    with TemporaryDirectory(prefix="stix-s-") as sockets:
        yield CloudConfig(tmp_path / "home", Path(sockets), SETTINGS)
    assert marked_below(tmp_path) == []


@pytest.fixture
async def clouds(config: CloudConfig) -> AsyncIterator[list[SimCloud]]:
    made: list[SimCloud] = []
    yield made
    for cloud in made:
        await cloud.close()
    last = SimCloud(config)
    await last.terminate([node.ref for node in await last.list(Selector())])
    await last.close()


def cloud_of(config: CloudConfig, made: list[SimCloud], **more: Any) -> SimCloud:
    settings = {**SETTINGS, **more}
    made.append(SimCloud(CloudConfig(config.home, config.socket_dir, settings)))
    return made[-1]


async def remains(config: CloudConfig) -> list[str]:
    nodes = config.home / "sim" / "nodes"
    found = [str(path) for folder in (nodes, config.socket_dir) for path in folder.glob("*")]
    return found + [f"process {pid}" for pid in marked_below(nodes)]


class TestSim(CloudConformance):
    @pytest.fixture
    def bench(self, config: CloudConfig) -> Bench:
        quick = replace(config, settings={**SETTINGS, "boot": 0.3})
        offer, spot, *_ = asyncio.run(SimCloud(quick).offers())
        return Bench(
            open=lambda: SimCloud(quick),
            offer=offer,
            demand=Demand(1),
            room=4,
            remains=lambda: remains(config),
            spot_offer=spot,
            reasons={"faults": "its faults are scripted in its settings"},
        )


async def request(
    cloud: SimCloud, token: str, count: int = 1, *, spot: bool = False, zone: str = "north/a"
) -> CreateRequest:
    offers = [o for o in await cloud.offers() if o.spot is spot]
    offer = next(o for o in offers if f"{o.region}/{o.zone}" == zone)
    return CreateRequest(token, offer, Demand(), count, token, {"stix-token": token})


async def states(cloud: SimCloud) -> list[NodeState]:
    return [node.state for node in await cloud.list(Selector())]


async def until(cloud: SimCloud, state: NodeState) -> Node:
    async with asyncio.timeout(30):
        while True:
            for node in await cloud.list(Selector()):
                if node.state is state:
                    return node
            await asyncio.sleep(0.02)


async def test_without_a_block_there_is_nothing(config: CloudConfig) -> None:
    cloud = SimCloud(CloudConfig(config.home, config.socket_dir))
    assert cloud.credentials() == ""
    assert list(await cloud.offers()) == [] == await cloud.list(Selector())
    with pytest.raises(AuthError, match="no simulated machines"):
        await cloud.check()
    assert not config.home.exists()


async def test_abilities(config: CloudConfig) -> None:
    cloud = SimCloud(config)
    for ability in (CanChaos, CanPrepare, CanSpot, HasCredentials):
        assert isinstance(cloud, ability)
    assert cloud.credentials() == "config.yaml"
    assert len(await cloud.offers()) == len(ZONES) * 2


async def test_a_boot_takes_its_virtual_time(config: CloudConfig, clouds: list[SimCloud]) -> None:
    slow = cloud_of(config, clouds, boot="1h", boot_spread=0)
    (node,) = await slow.create(await request(slow, "t"))
    assert node.state is NodeState.STARTING
    fast = cloud_of(config, clouds, boot="1h", boot_spread=0, speed=1e6)
    ready = await fast.prepare(node)
    assert (ready.state, ready.ref) == (NodeState.RUNNING, node.ref)
    assert ready.accelerators == {"A100": [0, 1]}
    await fast.terminate([node.ref])
    with pytest.raises(NodeGone):
        await fast.prepare(node)


async def test_a_spot_node_is_taken_when_its_time_has_come(
    config: CloudConfig, clouds: list[SimCloud]
) -> None:
    cloud = cloud_of(config, clouds, preempt_rate=1.0, speed=1e7, boot=0)
    await cloud.create(await request(cloud, "fixed"))
    await cloud.create(await request(cloud, "spot", spot=True))
    taken = await until(cloud, NodeState.PREEMPTED)
    assert (taken.spot, taken.billed) == (True, False)
    assert await cloud.preemption(taken.ref) == taken.reason != ""
    (other,) = [n for n in await cloud.list(Selector()) if n.ref != taken.ref]
    assert (other.state, other.spot) == (NodeState.RUNNING, False)
    assert await cloud.preemption(other.ref) is None


async def test_a_spot_node_is_taken_where_nobody_asks(
    config: CloudConfig, clouds: list[SimCloud]
) -> None:
    cloud = cloud_of(config, clouds, preempt_rate=1.0, speed=1e7, boot=0)
    await cloud.create(await request(cloud, "spot", spot=True))
    quiet = SimCloud(CloudConfig(config.home, config.socket_dir, {**SETTINGS, "preempt_rate": 0}))
    assert (await until(quiet, NodeState.PREEMPTED)).ref.cloud == "sim"


async def test_each_zone_and_market_has_its_stock(
    config: CloudConfig, clouds: list[SimCloud]
) -> None:
    cloud = cloud_of(config, clouds, stock=1)
    await cloud.create(await request(cloud, "a"))
    with pytest.raises(CapacityError, match="sim/north/a has no box left") as caught:
        await cloud.create(await request(cloud, "b"))
    assert caught.value.scope == "zone"
    await cloud.create(await request(cloud, "c", spot=True))
    await cloud.create(await request(cloud, "d", zone="north/b"))
    assert len(await states(cloud)) == 3


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("stockout", CapacityError),
        ("quota", QuotaError),
        ("auth", AuthError),
        ("down", TransientError),
        ("invalid", InvalidRequest),
    ],
)
async def test_faults_strike_where_they_are_scripted(
    config: CloudConfig, clouds: list[SimCloud], kind: str, error: type[Exception]
) -> None:
    cloud = cloud_of(config, clouds, faults=[{"kind": kind, "place": "north"}])
    with pytest.raises(error):
        await cloud.create(await request(cloud, "a"))
    assert await states(cloud) == []
    assert len(await cloud.create(await request(cloud, "b", zone="south/a"))) == 1


async def test_a_token_gets_its_nodes_through_a_fault(
    config: CloudConfig, clouds: list[SimCloud]
) -> None:
    first = cloud_of(config, clouds)
    (node,) = await first.create(await request(first, "a"))
    second = cloud_of(config, clouds, faults=[{"kind": "stockout"}])
    (again,) = await second.create(await request(second, "a"))
    assert again.ref == node.ref


async def test_spot_prices_move_with_the_clock(config: CloudConfig, clouds: list[SimCloud]) -> None:
    cloud = cloud_of(config, clouds, price_swing=0.5, price_every="1s", speed=1e6)
    seen: set[float] = set()
    async with asyncio.timeout(30):
        while len(seen) < 5:
            offers = await cloud.offers()
            seen.add(next(o.price for o in offers if o.spot))
            assert all(0.1 <= o.price <= 0.3 if o.spot else o.price == 0.5 for o in offers)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"zone": []}, "sim.zone is not known"),
        ({"zones": ["north"]}, "sim.zones has 'north'"),
        ({"zones": ["n/a", "n/a"]}, "lists a zone twice"),
        ({"types": {"x": {"memory": 1}}}, "sim.types.x.cpus is None"),
        ({"types": {"x": 3}}, "sim.types.x is 3"),
        ({"types": {"x": {"cpus": 1, "memory": 1, "gpus": 1}}}, "sim.types.x.gpus is not known"),
        ({"types": {"x": {"cpus": 1, "memory": 1, "accelerators": 7}}}, "sim.types.x.accelerators"),
        ({"stock": -1}, "sim.stock is -1"),
        ({"stock": [3, 2]}, "sim.stock is [3, 2]"),
        ({"speed": 0}, "sim.speed is 0"),
        ({"price_swing": 2}, "sim.price_swing is 2"),
        ({"boot": "soon"}, "sim.boot"),
        ({"rates": 3}, "sim.rates is 3"),
        ({"faults": {}}, None),
        ({"faults": [{"kind": "fire"}]}, "sim.faults.kind is 'fire'"),
        ({"faults": ["x"]}, "sim.faults has 'x'"),
        ({"traces": {"north": "/nowhere.json"}}, "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(
    config: CloudConfig, block: Mapping[str, Any], message: str | None
) -> None:
    made = CloudConfig(config.home, config.socket_dir, block)
    if message is None:
        assert SimCloud(made).credentials()
        return
    with pytest.raises(InvalidRequest) as caught:
        SimCloud(made)
    assert message in caught.value.message


def test_a_block_alone_gives_small_machines(config: CloudConfig) -> None:
    cloud = SimCloud(CloudConfig(config.home, config.socket_dir, {"seed": 1}))
    offers = asyncio.run(cloud.offers())
    assert {o.spot for o in offers} == {True, False}
    assert all(isinstance(o, Offer) and o.cpus == 1 for o in offers)
