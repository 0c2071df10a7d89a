"""Nodes in containers of podman, by the same API. The package is large: long tests only."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.docker import PodmanCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Demand
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

        return Bench(lambda: PodmanCloud(config), offer, Demand(cpus=1), 4, remains)
