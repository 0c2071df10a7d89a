"""Nodes in containers of a real dockerd: the conformance suite, and what is special there."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.base import CreateRequest, Node, NodeState, Selector
from stix.clouds.config import HOME_TAG, TOKEN_TAG, CloudConfig
from stix.clouds.docker import DockerCloud
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.clouds.volumes import VolumeWish
from stix.plan.offers import Demand
from stix.remote.agent import AgentClient, Chunk, End, JobStart
from tests.support.docker import BARE, IMAGE, ContainerEngine


def config_of(engine: ContainerEngine, home: Path, **settings: object) -> CloudConfig:
    block = {
        "host": f"unix://{engine.socket}", "image": IMAGE, "pull": "never", "cpus": 4, "memory": 2,
        "accelerators": {}, **settings,
    }  # fmt: skip
    return CloudConfig(home, home, block, home.name)


class TestDocker(CloudConformance):
    @pytest.fixture
    async def bench(self, docker: ContainerEngine, tmp_path: Path) -> Bench:
        config = config_of(docker, tmp_path)
        cloud = DockerCloud(config)
        offer = (await cloud.offers())[0]
        await cloud.close()

        async def remains() -> list[str]:
            return docker.remains(f"{HOME_TAG}={config.home_id}")

        volume = VolumeWish("", "docker-volume")
        return Bench(lambda: DockerCloud(config), offer, Demand(cpus=1), 4, remains, volume=volume)


@pytest.fixture
def config(docker: ContainerEngine, tmp_path: Path) -> CloudConfig:
    return config_of(docker, tmp_path)


@pytest.fixture
async def cloud(config: CloudConfig) -> AsyncIterator[DockerCloud]:
    cloud = DockerCloud(config)
    yield cloud
    await cloud.terminate([node.ref for node in await cloud.list(Selector())])
    await cloud.close()


async def wish(cloud: DockerCloud, count: int = 1, **changes: Any) -> CreateRequest:
    offer = (await cloud.offers())[0]
    plain = CreateRequest("t", offer, Demand(cpus=0.5), count, "n", {TOKEN_TAG: "t"})
    return replace(plain, **changes)


async def said(cloud: DockerCloud, node: Node, script: str) -> str:
    done = await (await cloud.runner(node)).run(["sh", "-c", script])
    return (done.stdout + done.stderr).decode().strip()


async def test_a_node_can_do_no_harm(cloud: DockerCloud, docker: ContainerEngine) -> None:
    node = (await cloud.create(await wish(cloud, demand=Demand(cpus=0.5, memory_gib=0.25))))[0]
    status = await said(cloud, node, "cat /proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["1000"] * 4
    assert fields["NoNewPrivs"] == "1"
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert "Read-only" in await said(cloud, node, "touch /usr/mine")
    assert await said(cloud, node, 'touch "$HOME/mine" /tmp/mine && echo yes') == "yes"
    host = docker.call("GET", f"/containers/{node.ref.id}/json")["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 1 << 28
    assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 4096)
    assert host["Privileged"] is False


async def test_nodes_of_a_wish_reach_each_other(cloud: DockerCloud) -> None:
    nodes = await cloud.create(await wish(cloud, 2))
    assert len({node.address for node in nodes}) == 2
    serve = 'import socket; s = socket.create_server(("", 7000)); s.accept()[0].sendall(b"hello")'
    serving = asyncio.create_task(said(cloud, nodes[0], f"exec python3 -c '{serve}'"))
    ask = f'import socket; print(socket.create_connection(("{nodes[0].address}", 7000)).recv(9))'
    async with asyncio.timeout(20):
        while (answer := await said(cloud, nodes[1], f"python3 -c '{ask}' 2>&1")) != "b'hello'":
            assert "refused" in answer
    await serving


async def test_with_the_network_of_the_machine(docker: ContainerEngine, tmp_path: Path) -> None:
    cloud = DockerCloud(config_of(docker, tmp_path, network="host"))
    node = (await cloud.create(await wish(cloud, ports=("8080",))))[0]
    assert node.address == "127.0.0.1"
    assert [r.kind for r in await cloud.resources()] == ["volume"]
    await cloud.terminate([node.ref])
    assert await cloud.resources() == []
    await cloud.close()


async def test_a_job_runs_through_the_agent(cloud: DockerCloud) -> None:
    node = (await cloud.create(await wish(cloud)))[0]
    client = AgentClient(await cloud.runner(node), node.socket)
    await client.start(JobStart("job/1", "id -u; pwd; exit 5"))
    items = [item async for item in client.tail("job/1")]
    await client.close()
    text = b"".join(item.data for item in items if isinstance(item, Chunk)).decode()
    assert text.split() == ["1000", f"{node.directory}/work"]
    assert isinstance(items[-1], End) and items[-1].status.exit_code == 5


async def test_an_agent_takes_its_container_with_it(cloud: DockerCloud) -> None:
    node = (await cloud.create(await wish(cloud)))[0]
    runner = await cloud.runner(node)
    record = json.loads((await runner.run(["cat", f"{node.directory}/node.json"])).stdout)
    await runner.run(["kill", "-KILL", str(record["pid"])])
    async with asyncio.timeout(20):
        while (seen := (await cloud.list(Selector()))[0]).state is NodeState.RUNNING:
            await asyncio.sleep(0.05)
    assert seen.state is NodeState.FAILED
    assert "exit code 3" in seen.reason
    again = await cloud.create(await wish(cloud))
    assert again[0].state is NodeState.RUNNING and again[0].ref != node.ref


async def test_words_of_the_engine_for_states(cloud: DockerCloud, docker: ContainerEngine) -> None:
    node = (await cloud.create(await wish(cloud)))[0]
    docker.call("POST", f"/containers/{node.ref.id}/pause")
    assert (await cloud.list(Selector()))[0].state is NodeState.STOPPED
    docker.call("POST", f"/containers/{node.ref.id}/unpause")
    assert (await cloud.list(Selector()))[0].state is NodeState.RUNNING
    hog = "b = []\nwhile True: b.append(bytearray(1 << 22))"
    await cloud.terminate([node.ref])
    small = await wish(cloud, demand=Demand(memory_gib=0.0625))
    node = (await cloud.create(small))[0]
    done = await (await cloud.runner(node)).run(["python3", "-c", hog])
    assert done.exit_code == 137
    assert (await cloud.list(Selector()))[0].ref == node.ref


async def test_what_else_it_makes_is_listed_and_removed(cloud: DockerCloud) -> None:
    node = (await cloud.create(await wish(cloud)))[0]
    found = await cloud.resources()
    assert sorted(r.kind for r in found) == ["network", "volume"]
    volume = next(r for r in found if r.kind == "volume")
    assert volume.used_by == (node.ref.id,) and volume.tags[TOKEN_TAG] == "t"
    with pytest.raises(CloudError):
        await cloud.remove([volume])
    assert len(await cloud.resources()) == 2
    await cloud.terminate([node.ref])
    for _ in range(2):
        await cloud.remove(found)
    assert await cloud.resources() == []


async def test_ports_are_published_once(cloud: DockerCloud) -> None:
    port = free_port()
    request = await wish(cloud, 2, ports=(str(port),))
    nodes = await cloud.create(request)
    assert len(nodes) == 2
    again = await wish(cloud, ports=(str(port),), token="u", tags={TOKEN_TAG: "u"})
    with pytest.raises(CapacityError, match=r"in use|allocated") as caught:
        await cloud.create(again)
    assert caught.value.scope == "cloud"
    assert len(await cloud.list(Selector())) == 2


async def test_an_image_without_python(config: CloudConfig, docker: ContainerEngine) -> None:
    cloud = DockerCloud(config)
    with pytest.raises(InvalidRequest, match=r"no Python 3\.8"):
        await cloud.create(await wish(cloud, image=BARE))
    with pytest.raises(InvalidRequest, match=r"no-such-image"):
        await cloud.create(await wish(cloud, image="no-such-image:1"))
    assert docker.remains(f"{HOME_TAG}={config.home_id}") == []
    await cloud.close()


async def test_accelerators_need_a_runtime(docker: ContainerEngine, tmp_path: Path) -> None:
    cloud = DockerCloud(config_of(docker, tmp_path, accelerators={"A100": 2}))
    assert (await cloud.offers())[0].accelerators == {"A100": 2}
    demand = Demand(accelerators={"A100": 1})
    with pytest.raises(InvalidRequest, match="device driver") as caught:
        await cloud.create(await wish(cloud, demand=demand))
    assert "NVIDIA" in caught.value.fix
    with pytest.raises(CapacityError, match="A100"):
        await cloud.create(await wish(cloud, demand=Demand(accelerators={"A100": 3})))
    assert docker.remains(f"{HOME_TAG}={tmp_path.name}") == []
    await cloud.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
