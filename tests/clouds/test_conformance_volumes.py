"""The checks about volumes on clouds with seeded defects: each fails its checks, and no other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.base import CreateRequest, HasVolumes, Node
from stix.clouds.errors import CloudError, InvalidRequest
from stix.clouds.runpod import RunpodCloud
from stix.clouds.testing.bench import Broken
from stix.clouds.testing.suite import CHECKS, run_check
from stix.clouds.volumes import Volume, VolumeWish
from tests.support.clouds.benches import bench, offer_of
from tests.support.clouds.runpod import KEY, Runpod

GPU = offer_of("runpod", "*", "1x_RTX4090_SECURE")
VOLUMES = list[Volume]


class NeverLooks(RunpodCloud):
    """Makes one whenever it is asked."""

    async def create_volume(self, wish: VolumeWish) -> Volume:
        body = {"name": wish.id_at(self.config.home_id), "size": 10, "dataCenter": wish.region}
        made = await self._api.call("POST", "/v2/network-volumes", json=body)
        place = (made["dataCenter"], None, 10.0)
        return Volume("runpod", wish.kind, made["id"], wish.name, *place)


class FirstPage(RunpodCloud):
    """Reads the first entries of a listing."""

    async def volumes(self) -> VOLUMES:
        return (await super().volumes())[:2]


class DeletesAll(RunpodCloud):
    """Deletes one that a pod has."""

    async def delete_volume(self, wish: VolumeWish) -> None:
        for each in await super().volumes():
            if each.name == wish.name:
                await self._api.call("DELETE", f"/v2/network-volumes/{each.id}")


class SaysNoUsers(RunpodCloud):
    """Does not tell who has one."""

    async def volumes(self) -> VOLUMES:
        return [replace(each, used_by=()) for each in await super().volumes()]


class MissesAreLoud(RunpodCloud):
    """Fails where there is nothing to delete."""

    async def delete_volume(self, wish: VolumeWish) -> None:
        if wish.name not in {each.name for each in await super().volumes()}:
            raise InvalidRequest("runpod: there is no such volume")
        await super().delete_volume(wish)


class MountsNothing(RunpodCloud):
    """Makes nodes without the volumes that they were to have."""

    async def create(self, request: CreateRequest) -> list[Node]:
        return await super().create(replace(request, volumes=()))


DEFECTS: dict[type[RunpodCloud], set[str]] = {
    RunpodCloud: set(),
    NeverLooks: {
        "makes_a_volume_once",
        "makes_a_volume_of_calls_at_one_time",
        "makes_a_volume_over_a_broken_wire",
    },
    FirstPage: {"lists_every_volume"},
    DeletesAll: {"keeps_a_volume_in_use"},
    SaysNoUsers: {"keeps_a_volume_in_use"},
    MountsNothing: {"keeps_a_volume_in_use", "refuses_a_volume_that_is_not_there"},
}


def failing(adapter: type[RunpodCloud], home: Path) -> set[str]:
    failed = set()
    for check in CHECKS:
        if check.needs is not HasVolumes or check.reachable:
            continue
        with Runpod().running() as double:
            volume = VolumeWish("", "runpod-network-volume", "EU-RO-1", size_gib=10.0)
            at = bench(adapter, double, home, GPU, volume=volume)
            try:
                asyncio.run(run_check(check, at))
            except (Broken, CloudError):
                failed.add(check.name)
    return failed


@pytest.mark.parametrize("adapter", DEFECTS, ids=lambda adapter: adapter.__name__)
def test_a_defect_fails_its_checks(
    adapter: type[RunpodCloud], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    assert failing(adapter, tmp_path) == DEFECTS[adapter]


def test_a_miss_that_is_loud_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It breaks the end of every other check too."""
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    assert "deletes_a_volume_silently" in failing(MissesAreLoud, tmp_path)
