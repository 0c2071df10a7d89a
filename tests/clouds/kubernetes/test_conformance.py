"""The conformance suite of clouds, on a cluster whose pods are real and whose wire breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.kubernetes import KubernetesCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.clouds.volumes import VolumeWish
from stix.plan.offers import Demand, Offer
from tests.support.kube.double import TOKEN, KubeDouble, node
from tests.support.kube.fixture import kube_double
from tests.support.kube.trouble import KubeFaults

HOME_ID = "0a1b2c3d4e5f"
ROOM = 4
DEMAND = Demand(cpus=1, memory_gib=0.5)
SPOT = {"cloud.google.com/gke-spot": "true"}
TAINT = {"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    nodes = [node("plain", ROOM, 16), node("spot", ROOM, 16, labels=SPOT, taints=[TAINT])]
    with kube_double(tmp_path_factory.mktemp("kube"), nodes) as double:
        double.api.page = 3
        double.api.calm = True
        yield double


def config(kube: KubeDouble, home: Path, **settings: Any) -> CloudConfig:
    known = {"kubeconfig": str(kube.kubeconfig()), "patience": 0.6, "timeout": 1.0, **settings}
    return CloudConfig(home, home, known, HOME_ID)


def offers(config: CloudConfig) -> Sequence[Offer]:
    async def ask() -> Sequence[Offer]:
        cloud = KubernetesCloud(config)
        found = await cloud.offers()
        await cloud.close()
        return found

    return asyncio.run(ask())


class TestKubernetes(CloudConformance):
    @pytest.fixture
    def bench(self, kube: KubeDouble, tmp_path: Path) -> Iterator[Bench]:
        limits = {"hard": {"requests.cpu": "1k"}}
        kube.add("resourcequotas", {"metadata": {"name": "compute"}, "spec": limits})
        known = config(kube, tmp_path)
        plain, spot = sorted(offers(known), key=lambda offer: offer.spot)

        async def remains() -> Sequence[str]:
            return kube.remains()

        yield Bench(
            lambda: KubernetesCloud(known),
            plain,
            DEMAND,
            ROOM,
            remains,
            faults=KubeFaults(kube),
            spot_offer=spot,
            secrets=[TOKEN],
            volume=VolumeWish("", "k8s-pvc", "test", size_gib=2.0),
            reasons={"has_a_way_in": "commands go by exec, not by SSH"},
        )
        kube.clear()
