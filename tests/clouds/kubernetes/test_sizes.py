"""What is offered of the nodes of a cluster, and which of them pods go to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.errors import (
    InvalidRequest,
)
from stix.clouds.kubernetes import KubernetesCloud
from stix.plan.offers import Demand
from tests.support.kube.double import KubeDouble, node
from tests.support.kube.wishes import config, name_of, offer, one

GPU = {"nvidia.com/gpu": "8"}
H100 = node(
    "h100",
    96,
    1024,
    labels={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
    taints=[{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}],
    extra=GPU,
)
T4 = node("t4", 8, 32, labels={"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}, extra=GPU)
SPOT = node(
    "spot",
    8,
    32,
    labels={"kubernetes.azure.com/scalesetpriority": "spot"},
    taints=[
        {
            "key": "kubernetes.azure.com/scalesetpriority",
            "value": "spot",
            "effect": "NoSchedule",
        }
    ],
)


@pytest.fixture(autouse=True)
def cleared(kube: KubeDouble) -> Iterator[None]:
    yield
    kube.clear()


async def test_offers_leave_out_what_others_use(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    (before,) = await cloud.offers()
    assert (before.cpus, before.memory_gib, before.capacity, before.arch) == (4, 16, 2, "x86_64")
    await one(cloud)
    assert await cloud.offers() == [before]
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1500m"}}}
    for number in ("n1", "n2"):
        spec = {"containers": [container], "nodeName": number}
        kube.add("pods", {"metadata": {"name": f"daemon-{number}"}, "spec": spec, "status": {}})
    (after,) = await cloud.offers()
    assert (after.cpus, after.instance_type) == (2.5, before.instance_type)


async def test_nodes_that_take_nothing_are_not_offered(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    for number, change in enumerate(({"unschedulable": True}, {})):
        extra = node(f"off-{number}", 64, 64)
        extra["spec"] |= change
        if not change:
            extra["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
        kube.add("nodes", extra)
    assert [each.cpus for each in await cloud.offers()] == [4]


@pytest.mark.parametrize(
    ("tolerations", "sizes"),
    [
        ([], 1),
        ([{"key": "team"}], 1),
        ([{"key": "team", "value": "a"}], 2),
        ([{"key": "team", "operator": "Exists", "effect": "NoExecute"}], 1),
        ([{"operator": "Exists"}], 2),
    ],
)
async def test_nodes_whose_taints_we_do_not_tolerate_are_not_offered(
    kube: KubeDouble, tmp_path: Path, tolerations: list[dict[str, str]], sizes: int
) -> None:
    taints = [
        {"key": "team", "value": "a", "effect": "NoSchedule"},
        {"key": "slow", "effect": "PreferNoSchedule"},
    ]
    kube.add("nodes", node("theirs", 32, 64, taints=taints))
    cloud = KubernetesCloud(config(kube, tmp_path, tolerations=tolerations))
    assert len(await cloud.offers()) == sizes
    await cloud.close()


async def test_an_architecture_goes_to_its_nodes(cloud: KubernetesCloud, kube: KubeDouble) -> None:
    taint = {"key": "kubernetes.io/arch", "value": "arm64", "effect": "NoSchedule"}
    arm = node("arm", 16, 32, labels={"kubernetes.io/arch": "arm64"}, taints=[taint])
    kube.add("nodes", arm)
    found = {each.arch: each for each in await cloud.offers()}
    assert set(found) == {"x86_64", "arm64"}
    for arch, where in (("arm64", {"arm"}), ("x86_64", {"n1", "n2"})):
        made = await one(cloud, arch, offer=found[arch])
        assert kube.pod(name_of(made))["spec"]["nodeName"] in where


async def test_gpus_by_the_labels_of_several_families(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    kube.add("nodes", H100)
    kube.add("nodes", T4)
    found = {tuple(each.accelerators) for each in await cloud.offers() if each.accelerators}
    assert found == {("H100",), ("T4",)}
    for gpu, where in (("H100", "h100"), ("T4", "t4")):
        demand = Demand(cpus=1, memory_gib=1, accelerators={gpu: 2})
        made = await one(cloud, gpu, offer=await offer(cloud, gpu=gpu), demand=demand)
        spec = kube.pod(name_of(made))["spec"]
        assert spec["nodeName"] == where
        assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
        assert made.accelerators == {gpu: [0, 1]}


async def test_a_part_of_an_accelerator_is_refused(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    kube.add("nodes", T4)
    demand = Demand(accelerators={"T4": 0.5})
    with pytest.raises(InvalidRequest, match="whole accelerators"):
        await one(cloud, offer=await offer(cloud, gpu="T4"), demand=demand)


async def test_spot_goes_to_spot_nodes_and_the_rest_does_not(
    cloud: KubernetesCloud, kube: KubeDouble
) -> None:
    kube.add("nodes", SPOT)
    spot = await one(cloud, "spot", offer=await offer(cloud, spot=True))
    plain = await one(cloud, "plain")
    assert (spot.spot, plain.spot) == (True, False)
    assert kube.pod(name_of(spot))["spec"]["nodeName"] == "spot"
    assert kube.pod(name_of(plain))["spec"]["nodeName"] != "spot"
