"""Nodes in containers of podman, by the same API. The package is large: long tests only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.docker import PodmanCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.clouds.volumes import VolumeWish
from stix.plan.offers import Demand
from stix.remote.base import Runner
from stix.remote.container import ContainerApi, ContainerRunner
from stix.remote.testing import RunnerConformance
from tests.support.docker import IMAGE, ContainerEngine

pytestmark = pytest.mark.full


class TestPodman(CloudConformance):
    @pytest.fixture
    async def bench(self, podman: ContainerEngine, tmp_path: Path) -> Bench:
        block = {
            "host": f"unix://{podman.socket}", "image": IMAGE, "pull": "never", "cpus": 4,
            "memory": 2, "accelerators": {}, "network": "host",
        }  # fmt: skip
        config = CloudConfig(tmp_path, tmp_path, block, tmp_path.name)
        cloud = PodmanCloud(config)
        offer = (await cloud.offers())[0]
        await cloud.close()

        async def remains() -> list[str]:
            return podman.remains(f"{HOME_TAG}={config.home_id}")

        volume = VolumeWish("", "podman-volume")
        return Bench(lambda: PodmanCloud(config), offer, Demand(cpus=1), 4, remains, volume=volume)


@pytest.fixture(scope="module")
def container(podman: ContainerEngine) -> Iterator[str]:
    tmpfs = {"/home": "rw,mode=1777", "/tmp": "rw,mode=1777"}
    host = {"NetworkMode": "host", "Tmpfs": tmpfs, "CapDrop": ["ALL"]}
    script = "sleep 1000 & wait $!"
    own: dict[str, Any] = {"Env": ["HOME=/home"], "User": "1000:1000"}
    made = podman.run("sh", "-c", script, **own, HostConfig=host)
    yield made
    podman.remove(made)


class TestPodmanRunner(RunnerConformance):
    @pytest.fixture
    async def runner(self, podman: ContainerEngine, container: str) -> AsyncIterator[Runner]:
        api = ContainerApi(podman.socket)
        yield ContainerRunner(api, container)
        await api.close()

    @pytest.fixture
    async def lost(self, podman: ContainerEngine) -> AsyncIterator[Runner]:
        api = ContainerApi(podman.socket)
        yield ContainerRunner(api, "no-such-container")
        await api.close()
