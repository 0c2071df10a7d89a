"""Whoever makes instances is killed at each call: one sweep later nothing is left, nothing lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

from stix.clouds.aws import AwsCloud
from stix.clouds.base import Selector
from stix.plan.offers import Offer
from tests.support.aws.bed import REGION, AwsBed
from tests.support.aws.faults import AwsFaults
from tests.support.clouds.benches import offer_of
from tests.support.clouds.killing import HOME_ID, Matrix, killed_at_every_step
from tests.support.clouds.zygote import zygote

PLAIN, SIDE_BY_SIDE = "c7i.large", "c7i.48xlarge"


def matrix_of(bed: AwsBed, home: Path, offer: Offer) -> Matrix:
    config = bed.config(home, HOME_ID, regions=[REGION])
    return Matrix(
        "stix.clouds.aws:AwsCloud",
        lambda: AwsCloud(config),
        AwsFaults(bed),
        offer,
        home,
        config.settings,
        bed.environment,
    )


def test_nothing_leaks_whenever_the_maker_dies(bed: AwsBed, tmp_path: Path) -> None:
    offer = offer_of("aws", REGION, PLAIN, spot=True)
    outcome = killed_at_every_step(matrix_of(bed, tmp_path, offer))
    assert outcome.leaks == []
    assert outcome.kills == 2 * outcome.steps >= 12


def test_no_placement_group_leaks(bed: AwsBed, tmp_path: Path) -> None:
    offer = Offer("aws", REGION, None, SIDE_BY_SIDE, 192, 384, arch="x86_64")
    outcome = killed_at_every_step(matrix_of(bed, tmp_path, offer))
    assert outcome.leaks == []
    assert "CreatePlacementGroup" in bed.proxy.actions()
    assert outcome.kills == 2 * outcome.steps >= 14


def test_the_first_order_of_an_account_leaves_nothing(bed: AwsBed, tmp_path: Path) -> None:
    """Groups are made by it: whatever was made is found, and can be removed."""
    matrix = matrix_of(bed, tmp_path, offer_of("aws", REGION, PLAIN))
    job = {
        "adapter": matrix.adapter,
        "home": str(tmp_path),
        "settings": dict(matrix.settings),
        "home_id": HOME_ID,
        "offer": matrix.offer.to_dict(),
        "count": 2,
    }
    seen = set()
    with zygote(job, matrix.env) as maker:
        for number in range(40):
            for after in (False, True):
                pid = maker.begin(token=f"first-{number}-{after}", tags={})
                matrix.faults.watch()
                matrix.faults.kill(pid, number, after=after)
                status = maker.go()
                matrix.faults.watch()
                seen |= set(bed.left())
                asyncio.run(everything_removed(matrix))
                assert bed.left() == {}, f"killed at request {number}, after: {after}"
            if status == 0:
                break
    assert seen == {"instance", "disk", "security group"}


async def everything_removed(matrix: Matrix) -> None:
    cloud = matrix.open()
    assert isinstance(cloud, AwsCloud)
    await cloud.terminate([node.ref for node in await cloud.list(Selector())])
    await cloud.remove(await cloud.resources())
    await cloud.close()
