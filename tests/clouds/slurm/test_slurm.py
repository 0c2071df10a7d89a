"""Nodes of a real Slurm: the conformance suite, and what is special there."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.slurm import SlurmCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Demand
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
