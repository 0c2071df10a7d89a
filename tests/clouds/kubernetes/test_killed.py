"""The maker of pods is killed at each step: one sweep later nothing is left, and nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.kubernetes import KubernetesCloud
from stix.plan.offers import Offer
from tests.support.clouds.killing import HOME_ID, Matrix, killed_at_every_step
from tests.support.kube.double import KubeDouble, node
from tests.support.kube.fixture import kube_double
from tests.support.kube.trouble import KubeFaults


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[KubeDouble]:
    with kube_double(tmp_path / "kube", [node("n1", 64, 64)]) as double:
        double.cluster.processes = False
        yield double


async def offer_of(config: CloudConfig) -> Offer:
    cloud = KubernetesCloud(config)
    (offer,) = await cloud.offers()
    await cloud.close()
    return offer


def test_nothing_leaks_whenever_the_maker_dies(kube: KubeDouble, tmp_path: Path) -> None:
    settings = {"kubeconfig": str(kube.kubeconfig()), "timeout": 5, "patience": 1}
    config = CloudConfig(tmp_path, tmp_path, settings, HOME_ID)
    outcome = killed_at_every_step(
        Matrix(
            "stix.clouds.kubernetes:KubernetesCloud",
            lambda: KubernetesCloud(config),
            KubeFaults(kube),
            asyncio.run(offer_of(config)),
            tmp_path,
            settings,
            {},
        )
    )
    assert outcome.leaks == []
    assert outcome.kills == 2 * outcome.steps > 8
