"""Pods that find no node, do not start, are taken away or do not go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.base import (
    NodeState,
    Selector,
)
from stix.clouds.errors import (
    CapacityError,
    InvalidRequest,
    NodeGone,
    QuotaError,
    Throttled,
)
from stix.clouds.kubernetes import KubernetesCloud
from stix.plan.offers import Demand
from stix.remote.agent import AgentClient, Chunk, JobStart
from tests.support.agents import eventually
from tests.support.kube.double import KubeDouble, node
from tests.support.kube.wishes import config, listed, name_of, one, wish


@pytest.fixture(autouse=True)
def cleared(kube: KubeDouble) -> Iterator[None]:
    yield
    kube.clear()


async def test_an_autoscaler_makes_a_node(kube: KubeDouble, tmp_path: Path) -> None:
    """From nothing: the size stands in the settings."""
    size = {"name": "big", "cpus": 64, "memory": 256, "selector": {"pool": "big"}}
    cloud = KubernetesCloud(config(kube, tmp_path, sizes=[size]))
    kube.scale_with(node("template", 64, 256, labels={"pool": "big"}), seconds=1.0)
    big = next(each for each in await cloud.offers() if each.instance_type == "big")
    made = await one(cloud, offer=big, demand=Demand(cpus=32))
    assert (made.state, made.address) == (NodeState.STARTING, "")
    ready = await cloud.prepare(made)
    assert ready.state is NodeState.RUNNING
    assert kube.pod(name_of(made))["spec"]["nodeName"].startswith("scaled-")
    await cloud.close()


async def test_an_autoscaler_that_refuses(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    kube.scale_with(node("template", 8, 8), most=0)
    with pytest.raises(CapacityError, match="didn't trigger scale-up") as caught:
        await one(cloud, demand=Demand(cpus=6))
    assert caught.value.scope == "region"
    assert kube.remains() == []


async def test_an_autoscaler_that_never_comes_to_an_end(kube: KubeDouble, tmp_path: Path) -> None:
    cloud = KubernetesCloud(config(kube, tmp_path, scale_seconds=0.3))
    kube.scale_with(node("template", 64, 256), seconds=30)
    made = await one(cloud, demand=Demand(cpus=32))
    with pytest.raises(CapacityError, match="Insufficient cpu"):
        await cloud.prepare(made)
    await cloud.close()


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "InvalidImageName", "CreateContainerConfigError"]
)
async def test_an_image_that_cannot_start(
    cloud: KubernetesCloud, kube: KubeDouble, reason: str
) -> None:
    kube.do(lambda: kube.cluster.images.update({"no/such": reason}))
    made = await one(cloud, image="no/such")
    with pytest.raises(InvalidRequest, match="cannot start") as caught:
        await cloud.prepare(made)
    assert "no/such" in caught.value.message
    assert (await listed(cloud))[made.ref].state is NodeState.FAILED


async def test_a_quota_of_the_namespace(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    quota = {"metadata": {"name": "compute"}, "spec": {"hard": {"requests.cpu": "2"}}}
    kube.add("resourcequotas", quota)
    with pytest.raises(QuotaError, match="exceeded quota: compute") as caught:
        await cloud.create(await wish(cloud, count=3))
    assert caught.value.scope == "region"
    assert kube.remains() == []


async def test_a_pod_out_of_memory(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    made = await cloud.prepare(await one(cloud))
    kube.oom(name_of(made))
    seen = (await listed(cloud))[made.ref]
    assert (seen.state, seen.billed) == (NodeState.FAILED, False)
    assert "OOMKilled" in seen.reason
    assert await cloud.preemption(made.ref) is None


@pytest.mark.parametrize("reason", ["Evicted", "NodeShutdown", "Terminated", "Preempted"])
async def test_a_pod_that_its_node_gave_up(
    cloud: KubernetesCloud, kube: KubeDouble, reason: str
) -> None:
    made = await cloud.prepare(await one(cloud))
    assert await cloud.preemption(made.ref) is None
    kube.fail(name_of(made), reason, "the node was low on memory")
    assert (await listed(cloud))[made.ref].state is NodeState.PREEMPTED
    assert reason in str(await cloud.preemption(made.ref))
    await cloud.terminate([made.ref])
    assert kube.remains() == []


@pytest.mark.parametrize(
    ("disrupted", "event"),
    [("PreemptionByScheduler", "Preempted"), ("DeletionByTaintManager", "TaintManagerEviction")],
)
async def test_a_pod_that_was_taken_from_above_leaves_its_reason(
    cloud: KubernetesCloud, kube: KubeDouble, disrupted: str, event: str
) -> None:
    made = await cloud.prepare(await one(cloud))
    kube.take(name_of(made), disrupted, event, "by a pod of more weight")
    await eventually(lambda: not kube.all("pods"), "the pod is gone")
    assert await listed(cloud) == {}
    assert await cloud.describe(made.ref) is None
    assert await cloud.preemption(made.ref) == f"{event}: by a pod of more weight"
    with pytest.raises(NodeGone) as caught:
        await cloud.prepare(made)
    assert caught.value.preempted


async def test_a_removed_pod_was_not_preempted(cloud: KubernetesCloud) -> None:
    made = await one(cloud)
    await cloud.terminate([made.ref])
    assert await cloud.preemption(made.ref) is None
    with pytest.raises(NodeGone) as caught:
        await cloud.prepare(made)
    assert not caught.value.preempted


async def test_a_pod_that_ends_before_it_is_ready(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    made = await one(cloud)
    await eventually(lambda: "podIP" in kube.pod(name_of(made))["status"], "it runs")
    kube.oom(name_of(made))
    with pytest.raises(NodeGone, match="OOMKilled"):
        await cloud.prepare(made)


async def test_a_pod_on_a_dead_machine_is_removed_by_force(
    kube: KubeDouble, tmp_path: Path
) -> None:
    cloud = KubernetesCloud(config(kube, tmp_path, stop_seconds=0.5))
    made = await one(cloud)
    where = kube.pod(name_of(made))["spec"]["nodeName"]
    kube.do(lambda: kube.cluster.unreachable.add(where))
    await cloud.terminate([made.ref])
    assert kube.all("pods") == []
    await cloud.close()


async def test_a_pod_is_ended_with_its_processes_before_it_counts_as_gone(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    made = await cloud.prepare(await one(cloud))
    await cloud.terminate([made.ref])
    assert kube.remains() == []
    deletions = [path for method, path in kube.api.calls if method == "DELETE"]
    assert len(deletions) == 1


async def test_pages_that_expired_are_read_anew(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    await cloud.create(await wish(cloud, count=4))
    kube.do(lambda: setattr(kube.api, "page", 2))
    kube.fault("GET", "/pods.*continue=", code=410, reason="Expired", times=2)
    assert len(await listed(cloud)) == 4
    kube.do(lambda: setattr(kube.api, "page", 0))


async def test_how_long_to_wait_is_the_servers_to_say(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    fields = {"code": 429, "reason": "TooManyRequests", "headers": {"Retry-After": "7"}}
    kube.fault("GET", "/pods", **fields)
    with pytest.raises(Throttled) as caught:
        await cloud.list(Selector())
    assert caught.value.retry_after == 7


async def test_jobs_are_told_before_the_pod_goes(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    made = await cloud.prepare(await one(cloud))
    client = AgentClient(await cloud.runner(made), made.socket)
    script = "trap 'echo saved; exit 3' TERM; echo on; while :; do sleep 0.05; done"
    await client.start(JobStart("r/1", script))
    tail = client.tail("r/1")
    first = await anext(tail)
    assert isinstance(first, Chunk) and first.data == b"on\n"
    kube.take(name_of(made), "PreemptionByScheduler", "Preempted")
    said = b""
    while not said.endswith(b"saved\n"):  # the shell may tell first that its sleep was ended
        piece = await anext(tail)
        assert isinstance(piece, Chunk), said
        said += piece.data
    await client.close()


async def test_jobs_that_do_not_listen_are_not_waited_for(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    made = await cloud.prepare(await one(cloud))
    client = AgentClient(await cloud.runner(made), made.socket)
    await client.start(JobStart("r/1", "trap '' TERM; while :; do sleep 1; done"))
    await client.close()
    await cloud.terminate([made.ref])
    assert kube.remains() == []
