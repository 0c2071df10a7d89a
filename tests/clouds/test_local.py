"""Nodes on this machine: the conformance suite, and what is special here."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from stix.clouds.base import CreateRequest, Node, NodeState, Selector
from stix.clouds.config import CloudConfig
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest
from stix.clouds.hosts import HostFacts
from stix.clouds.local import LocalCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Demand, Offer
from stix.remote.agent import AgentClient, JobStart
from tests.clouds.folder_cloud import marked_below

SETTINGS = {"cpus": 4, "memory": 8, "accelerators": {"A100": 4}, "price": 0.5}


@pytest.fixture
def config(tmp_path: Path) -> Iterator[CloudConfig]:
    with TemporaryDirectory(prefix="stix-s-") as sockets:
        yield CloudConfig(tmp_path / "home", Path(sockets), SETTINGS)
    assert marked_below(tmp_path) == []


@pytest.fixture
async def cloud(config: CloudConfig) -> AsyncIterator[LocalCloud]:
    cloud = LocalCloud(config)
    yield cloud
    await cloud.terminate([node.ref for node in await cloud.list(Selector())])


def offer_of(config: CloudConfig) -> Offer:
    return asyncio.run(_first(config))


async def _first(config: CloudConfig) -> Offer:
    return (await LocalCloud(config).offers())[0]


async def remains(config: CloudConfig) -> list[str]:
    """Directories, sockets, and processes that stand in the state folder."""
    nodes = config.home / "nodes"
    found = [str(path) for folder in (nodes, config.socket_dir) for path in folder.glob("*")]
    return found + [f"process {pid}" for pid in marked_below(nodes)]


class TestLocal(CloudConformance):
    @pytest.fixture
    def bench(self, config: CloudConfig) -> Bench:
        offer = offer_of(config)
        return Bench(lambda: LocalCloud(config), offer, Demand(1), 4, lambda: remains(config))


async def request(cloud: LocalCloud, token: str = "t", **changes: Any) -> CreateRequest:
    fields = {"token": token, "count": 1, "name": token, "tags": {"stix-token": token}}
    offer = (await cloud.offers())[0]
    return CreateRequest(**{"offer": offer, "demand": Demand(), **fields, **changes})


async def output(cloud: LocalCloud, node: Node, script: str) -> str:
    """What a job prints."""
    client = AgentClient(await cloud.runner(node), node.socket)
    await client.start(JobStart("run/job", script))
    await client.wait("run/job")
    await client.close()
    return (Path(node.directory) / "jobs" / "run%2Fjob" / "log").read_text()


async def test_a_job_finds_the_python_of_stix_first(cloud: LocalCloud) -> None:
    (node,) = await cloud.create(await request(cloud))
    printed = await output(cloud, node, "command -v python; python -c 'import pydantic'")
    assert printed == f"{Path(sys.executable).parent}/python\n"


async def test_accelerators_are_handed_out_by_index(cloud: LocalCloud) -> None:
    demand = Demand(accelerators={"A100": 2})
    first = await cloud.create(await request(cloud, "a", demand=demand))
    second = await cloud.create(await request(cloud, "b", demand=demand))
    indices = [*first[0].accelerators["A100"], *second[0].accelerators["A100"]]
    assert sorted(indices) == [0, 1, 2, 3]
    with pytest.raises(CapacityError, match="A100 wanted, 0 of 4 free"):
        await cloud.create(await request(cloud, "c", demand=Demand(accelerators={"A100": 1})))


async def test_what_asks_for_nothing_reserves_nothing(cloud: LocalCloud) -> None:
    nodes = await cloud.create(await request(cloud, count=12))
    assert len(nodes) == 12


async def test_offers_say_what_the_config_says(config: CloudConfig) -> None:
    spot = CloudConfig(config.home, config.socket_dir, {**SETTINGS, "spot": True})
    on_demand, taken = await LocalCloud(spot).offers()
    assert on_demand == Offer(
        "local", "-", None, "4cpu-8gb-4xA100", 4, 8, {"A100": 4}, 0.5, capacity=1, shared=True
    )
    assert (taken.spot, taken.price) == (True, 0.5)
    assert len(await LocalCloud(config).offers()) == 1


async def test_without_a_config_the_machine_is_offered_for_nothing(config: CloudConfig) -> None:
    (offer,) = await LocalCloud(CloudConfig(config.home, config.socket_dir)).offers()
    assert offer.cpus == len(os.sched_getaffinity(0))
    assert offer.memory_gib > 0
    assert offer.price == 0


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"cpu": 3}, "local.cpu is not known"),
        ({"cpus": "many"}, "local.cpus is 'many'"),
        ({"cpus": 0}, "local.cpus is 0"),
        ({"memory": True}, "local.memory is True"),
        ({"price": -1}, "local.price is -1"),
        ({"spot": "yes"}, "local.spot is 'yes'"),
        ({"accelerators": {"A100": -1}}, "local.accelerators"),
        ({"accelerators": 7}, "local.accelerators"),
    ],
)
def test_a_wrong_setting_is_named(config: CloudConfig, block: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        LocalCloud(CloudConfig(config.home, config.socket_dir, block))
    assert message in caught.value.message
    assert caught.value.fix


def test_settings_cover_only_what_they_name(config: CloudConfig) -> None:
    settings = LocalCloud(CloudConfig(config.home, config.socket_dir, {"cpus": 99}))._settings
    machine = HostFacts(2, 3.5, {"T4": 1}, "3.11")
    assert settings.over(machine) == HostFacts(99, 3.5, {"T4": 1}, "3.11")


async def test_termination_works_where_the_agent_is_dead(
    cloud: LocalCloud, config: CloudConfig
) -> None:
    (node,) = await cloud.create(await request(cloud))
    await cloud.kill(node.ref)
    await cloud.terminate([node.ref])
    assert await remains(config) == []


async def test_termination_works_where_the_agent_hangs(
    config: CloudConfig,
) -> None:
    """A stopped agent still holds its socket; the connection succeeds and nobody answers."""
    cloud = LocalCloud(config, patience=0.2)
    (node,) = await cloud.create(await request(cloud))
    client = AgentClient(await cloud.runner(node), node.socket)
    os.kill((await client.hello())["pid"], signal.SIGSTOP)
    await client.close()
    await cloud.terminate([node.ref])
    assert await remains(config) == []


async def test_a_killed_node_takes_its_jobs_along(cloud: LocalCloud) -> None:
    (node,) = await cloud.create(await request(cloud))
    client = AgentClient(await cloud.runner(node), node.socket)
    await client.start(JobStart("run/job", "setsid sleep 1000 & sleep 1000"))
    await cloud.kill(node.ref)
    while (await cloud.list(Selector()))[0].state is NodeState.RUNNING:
        await asyncio.sleep(0.01)
    while marked_below(Path(node.directory)):
        await asyncio.sleep(0.01)
    with pytest.raises(InvalidRequest, match="is running here"):
        await cloud.kill(node.ref)


async def test_a_state_folder_that_cannot_be_written_is_an_error_with_its_name(
    tmp_path: Path,
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    cloud = LocalCloud(CloudConfig(blocked / "home", tmp_path, SETTINGS))
    with pytest.raises(CloudError, match=str(blocked)):
        await cloud.check()
    with pytest.raises(CloudError):
        await cloud.create(await request(cloud))
