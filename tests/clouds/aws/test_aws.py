"""EC2 by boto3, against moto behind a proxy that supplies what moto lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from stix.clouds.aws import AwsCloud
from stix.clouds.base import HasVolumes
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.clouds.volumes import VolumeWish
from stix.plan.offers import Demand
from tests.support.aws.bed import CREDENTIALS, REGION, AwsBed
from tests.support.aws.faults import AwsFaults
from tests.support.aws.shelf import zones
from tests.support.clouds.benches import offer_of

ROOM = 4
TIMEOUT_S = 1.0
KIND = "c7i.large"


class TestAws(CloudConformance):
    """Instances have real hosts behind them in the checks that look at what is on a node."""

    @pytest.fixture
    def bench(self, bed: AwsBed, tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
        reachable = request.node.callspec.params["check"].reachable
        if reachable:
            bed.with_machines(request.getfixturevalue("hosts"))
        bed.gaps.stock = {(KIND, zone): 0 for zone in zones(KIND, REGION)}
        bed.gaps.stock[KIND, f"{REGION}b"] = ROOM
        bed.gaps.boot = 1
        # Hosts of tests have no sudo, by which others than root mount disks.
        user = {"user": "root"} if request.node.callspec.params["check"].needs is HasVolumes else {}
        config = bed.config(tmp_path, timeout=TIMEOUT_S, regions=[REGION], **user)
        return Bench(
            lambda: AwsCloud(config),
            offer_of("aws", REGION, KIND),
            Demand(cpus=1.0),
            ROOM,
            faults=AwsFaults(bed),
            reachable=reachable,
            remains=bed.hosts_left,
            spot_offer=offer_of("aws", REGION, KIND, spot=True),
            secrets=list(CREDENTIALS.values()),
            volume=VolumeWish("", "aws-ebs", REGION, f"{REGION}b", 1.0),
        )
