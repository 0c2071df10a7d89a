"""Nodes of a real Slurm: the conformance suite, and what is special there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.base import CreateRequest, Node, NodeState, Selector
from stix.clouds.config import TOKEN_TAG, CloudConfig
from stix.clouds.errors import AuthError, CapacityError, InvalidRequest
from stix.clouds.slurm import SlurmCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Demand
from stix.remote.agent import AgentClient, JobStart
from tests.clouds.folder_cloud import marked_below
from tests.support.slurm import NODES, SlurmBed


@pytest.fixture
def config(slurm: SlurmBed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CloudConfig:
    monkeypatch.setenv("SLURM_CONF", slurm.conf)
    block = {"patience": 2, "directory": str(tmp_path / "nodes"), "partitions": ["main"]}
    return CloudConfig(tmp_path / "home", tmp_path, block, tmp_path.name)


def remains(slurm: SlurmBed, config: CloudConfig) -> list[str]:
    """Jobs, directories and processes of nodes."""
    base = Path(config.settings["directory"])
    left = [str(path) for path in (base / "nodes").glob("*")]
    left += [f"process {pid}" for pid in marked_below(base)]
    jobs = slurm.run("squeue", "-h", "-o", "%i %T %j").splitlines()
    return left + [f"job {line}" for line in jobs]


class TestSlurm(CloudConformance):
    @pytest.fixture
    async def bench(self, slurm: SlurmBed, config: CloudConfig) -> Bench:
        cloud = SlurmCloud(config)
        offer = (await cloud.offers())[0]
        await cloud.close()

        async def left() -> list[str]:
            return remains(slurm, config)

        return Bench(lambda: SlurmCloud(config), offer, Demand(cpus=3, memory_gib=1), NODES, left)


@pytest.fixture
async def cloud(config: CloudConfig) -> AsyncIterator[SlurmCloud]:
    cloud = SlurmCloud(config)
    yield cloud
    await cloud.terminate([node.ref for node in await cloud.list(Selector())])
    await cloud.close()


async def wish(cloud: SlurmCloud, count: int, demand: Demand, token: str = "t") -> CreateRequest:
    tags = {TOKEN_TAG: token, "stix-run": "r"}
    offer = (await cloud.offers())[0]
    return CreateRequest(token, offer, demand, count, "name", tags)


async def becomes(cloud: SlurmCloud, node: Node, state: NodeState) -> Node:
    """The node once it has the state."""
    async with asyncio.timeout(30):
        while True:
            found = {n.ref.id: n for n in await cloud.list(Selector())}[node.ref.id]
            if found.state is state:
                return found
            await asyncio.sleep(0.05)


SMALL = Demand(cpus=1, memory_gib=0.5)


async def test_a_job_that_makes_room_for_another_is_preempted(
    cloud: SlurmCloud, slurm: SlurmBed
) -> None:
    node = (await cloud.create(await wish(cloud, 1, SMALL)))[0]
    other = slurm.run(
        "sbatch", "--parsable", "-p", "urgent", f"-N{NODES}", "--exclusive", "-o", "/dev/null",
        "--wrap", "sleep 60",
    ).strip()  # fmt: skip
    gone = await becomes(cloud, node, NodeState.PREEMPTED)
    assert gone.reason.startswith("PREEMPTED")
    assert await cloud.describe(node.ref) is NodeState.PREEMPTED
    slurm.run("scancel", other)
    again = await cloud.create(await wish(cloud, 1, SMALL))
    assert again[0].ref != node.ref


async def test_a_node_that_fails_is_no_preemption(cloud: SlurmCloud, slurm: SlurmBed) -> None:
    node = (await cloud.create(await wish(cloud, 1, SMALL)))[0]
    slurm.run("scontrol", "update", f"NodeName={node.address}", "State=DOWN", "Reason=test")
    gone = await becomes(cloud, node, NodeState.FAILED)
    slurm.revive(node.address)
    assert gone.reason.startswith("NODE_FAIL")


async def test_a_job_that_somebody_cancelled_is_terminated(
    cloud: SlurmCloud, slurm: SlurmBed
) -> None:
    node = (await cloud.create(await wish(cloud, 1, SMALL)))[0]
    slurm.run("scancel", node.ref.id.partition(".")[0])
    await becomes(cloud, node, NodeState.TERMINATED)


async def test_a_job_ends_with_its_agents(
    cloud: SlurmCloud, slurm: SlurmBed, config: CloudConfig
) -> None:
    node = (await cloud.create(await wish(cloud, 1, SMALL)))[0]
    record = json.loads(Path(node.directory, "node.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    await becomes(cloud, node, NodeState.FAILED)
    await cloud.terminate([node.ref])
    assert remains(slurm, config) == []


async def test_accelerators_are_offered_and_given(cloud: SlurmCloud) -> None:
    offer = (await cloud.offers())[0]
    assert offer.accelerators == {"A100": 2}
    assert offer.instance_type == "4cpu-8gb-2xA100"
    demand = Demand(cpus=1, accelerators={"A100": 2})
    node = (await cloud.create(await wish(cloud, 1, demand)))[0]
    assert node.accelerators == {"A100": [0, 1]}
    with pytest.raises(CapacityError, match="queue"):
        await cloud.create(await wish(cloud, NODES, demand, "all of them"))


async def test_a_queue_that_never_gets_to_a_job_is_not_waited_for(
    config: CloudConfig, slurm: SlurmBed
) -> None:
    settings = {**config.settings, "options": {"begin": "now+1hour"}, "patience": 0.2}
    cloud = SlurmCloud(replace(config, settings=settings))
    with pytest.raises(CapacityError, match="BeginTime"):
        await cloud.create(await wish(cloud, 1, SMALL))
    assert remains(slurm, config) == []
    held = SlurmCloud(replace(config, settings={**settings, "options": {"hold": ""}}))
    with pytest.raises(InvalidRequest, match="JobHeldUser"):
        await held.create(await wish(held, 1, SMALL))
    assert remains(slurm, config) == []


async def test_what_sbatch_refuses_is_not_tried_again(config: CloudConfig) -> None:
    settings = {**config.settings, "options": {"constraint": "nothing-here"}}
    cloud = SlurmCloud(replace(config, settings=settings))
    with pytest.raises(InvalidRequest, match="Invalid feature"):
        await cloud.create(await wish(cloud, 1, SMALL))


async def test_the_last_host_is_kept_until_the_job_ends(
    cloud: SlurmCloud, slurm: SlurmBed, config: CloudConfig
) -> None:
    nodes = await cloud.create(await wish(cloud, NODES, SMALL))
    await cloud.terminate([nodes[-1].ref])
    left = await cloud.list(Selector())
    assert [node.rank for node in left] == [0, 1]
    done = await (await cloud.runner(left[0])).run(["true"])
    assert done.exit_code == 0
    await cloud.terminate([node.ref for node in left])
    assert remains(slurm, config) == []


async def test_a_login_node_behind_ssh(
    slurm: SlurmBed, config: CloudConfig, tmp_path: Path
) -> None:
    login, key = slurm.sshd()
    settings = {**config.settings, "login": login, "identity_file": str(key)}
    cloud = SlurmCloud(replace(config, settings=settings))
    assert cloud.credentials() == login
    assert (await cloud.check()).account == "root@stix"
    nodes = await cloud.create(await wish(cloud, 2, SMALL))
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "file").write_text("over the login node")
    for node in nodes:
        runner = await cloud.runner(node)
        done = await runner.run(["sh", "-c", 'cat; echo "$SLURMD_NODENAME"'], input=b"on ")
        assert done.stdout.decode() == f"on {node.address}\n"
        await runner.put(tmp_path / "tree", f"{node.directory}/work/tree")
        await runner.get(f"{node.directory}/work/tree", tmp_path / f"back{node.rank}")
        client = AgentClient(runner, node.socket)
        await client.start(JobStart("job/1", "cat work/tree/sub/file; exit 3"))
        assert (await client.wait("job/1")).exit_code == 3
        await client.close()
        assert (tmp_path / f"back{node.rank}" / "sub" / "file").exists()
    await cloud.terminate([node.ref for node in nodes])
    await cloud.close()
    assert remains(slurm, config) == []


async def test_a_machine_without_slurm_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    cloud = SlurmCloud(CloudConfig(tmp_path, tmp_path))
    assert cloud.credentials() == ""
    with pytest.raises(AuthError, match="no Slurm") as caught:
        await cloud.check()
    assert "slurm.login" in caught.value.fix
