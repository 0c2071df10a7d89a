"""From machine to node: boto3, EC2, an instance with its own address, sshd, the agent, a job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.aws import AwsCloud
from stix.clouds.base import CreateRequest, Node, NodeState, Selector
from stix.clouds.config import TOKEN_TAG
from stix.clouds.errors import NodeGone
from stix.plan.offers import Demand
from stix.remote.agent import AgentClient, JobStart
from tests.support.agents import eventually, output
from tests.support.aws.bed import REGION, AwsBed
from tests.support.clouds.benches import offer_of
from tests.support.hosts import HostFarm

pytestmark = pytest.mark.hosts
KIND = "c7i.large"


@pytest.fixture
async def cloud(bed: AwsBed, hosts: HostFarm, tmp_path: Path) -> AsyncIterator[AwsCloud]:
    bed.with_machines(hosts)
    cloud = AwsCloud(bed.config(tmp_path))
    cloud.traits = replace(cloud.traits, poll_s=0.2)
    yield cloud
    await cloud.terminate([node.ref for node in await cloud.list(Selector())])
    await cloud.close()


def request(token: str, count: int = 1, *, spot: bool = False) -> CreateRequest:
    offer = offer_of("aws", REGION, KIND, spot=spot)
    return CreateRequest(token, offer, Demand(cpus=1.0), count, "n", {TOKEN_TAG: token})


async def ready(cloud: AwsCloud, wish: CreateRequest) -> list[Node]:
    nodes = await cloud.create(wish)
    return [*await asyncio.gather(*(cloud.prepare(node) for node in nodes))]


def running(bed: AwsBed) -> list[str]:
    assert bed.machines is not None
    return bed.machines.running()


async def job(cloud: AwsCloud, node: Node, script: str, name: str = "main/1") -> str:
    client = AgentClient(await cloud.runner(node), node.socket)
    try:
        await client.start(JobStart(name, script))
        data, status = await output(client, name)
        assert status.exit_code == 0, data
        return data.decode().strip()
    finally:
        await client.close()


async def test_the_whole_way_from_an_order_to_a_job_and_back(cloud: AwsCloud, bed: AwsBed) -> None:
    wish = request("whole", 2)
    nodes = await ready(cloud, wish)
    addresses = [node.address for node in nodes]
    assert [node.rank for node in nodes] == [0, 1] and len(set(addresses)) == 2
    for node in nodes:
        said = await job(
            cloud, node, f"whoami; cd {node.directory} && echo kept > file && hostname -I"
        )
        assert said.split() == ["ubuntu", node.address]
    reached = await job(
        cloud, nodes[0], f"exec 3<>/dev/tcp/{addresses[1]}/22 && head -c 4 <&3", "b"
    )
    assert reached == "SSH-"

    await cloud.stop([nodes[0].ref])
    states = {n.ref.id: n.state for n in await cloud.list(Selector())}
    assert states[nodes[0].ref.id] is NodeState.STOPPED
    assert states[nodes[1].ref.id] is NodeState.RUNNING
    await eventually(lambda: running(bed) == [nodes[1].ref.id], "its host is off")

    await cloud.start([nodes[0].ref])
    again = await cloud.prepare(nodes[0])
    assert again.address == addresses[0]
    assert await job(cloud, again, f"cat {nodes[0].directory}/file", "again/1") == "kept"

    await cloud.terminate([node.ref for node in nodes])
    assert await cloud.list(Selector()) == []
    await eventually(lambda: not running(bed), "its hosts are gone")
    assert list(bed.left()) == ["security group"]


async def test_the_next_machine_of_an_address_is_another(cloud: AwsCloud, bed: AwsBed) -> None:
    seen = set()
    for number in range(3):
        node = (await ready(cloud, request(f"next-{number}")))[0]
        assert await job(cloud, node, "echo here") == "here"
        seen.add(node.address)
        await cloud.terminate([node.ref])
        await eventually(lambda: not running(bed), "its host is gone")
    assert len(seen) < 3, "no address came twice: this shows nothing"


async def test_a_spot_machine_that_is_taken_while_it_boots(cloud: AwsCloud, bed: AwsBed) -> None:
    node = (await cloud.create(request("taken", spot=True)))[0]
    bed.preempt(node.ref.id)
    with pytest.raises(NodeGone) as gone:
        await cloud.prepare(node)
    assert gone.value.preempted
    assert "Server.SpotInstanceTermination" in str(await cloud.preemption(node.ref))
