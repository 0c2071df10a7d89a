"""Nodes in containers of a real dockerd: the conformance suite, and what is special there."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.docker import DockerCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Demand
from tests.support.docker import IMAGE, ContainerEngine


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

        return Bench(lambda: DockerCloud(config), offer, Demand(cpus=1), 4, remains)
