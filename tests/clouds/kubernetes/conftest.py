"""A cluster of two nodes, and the cloud on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stix.clouds.kubernetes import KubernetesCloud
from tests.support.kube.double import KubeDouble, node
from tests.support.kube.fixture import kube_double
from tests.support.kube.wishes import config

PLAIN = [node("n1", 4, 16), node("n2", 4, 16)]


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeDouble]:
    with kube_double(tmp_path_factory.mktemp("kube"), PLAIN) as double:
        yield double


@pytest.fixture
async def cloud(kube: KubeDouble, tmp_path: Path) -> AsyncIterator[KubernetesCloud]:
    cloud = KubernetesCloud(config(kube, tmp_path))
    yield cloud
    await cloud.close()
    kube.clear()
