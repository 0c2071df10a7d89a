"""Linode, by way of Libcloud, against a double of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.errors import InvalidRequest
from stix.clouds.libcloud import LinodeCloud
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Offer
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offers_of
from tests.support.clouds.linode import KEY, Linode


@pytest.fixture
def double() -> Iterator[Linode]:
    with Linode().running() as running:
        yield running


@pytest.fixture
def offers(double: Linode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Offer]:
    monkeypatch.setenv("LINODE_TOKEN", KEY)
    found = offers_of(LinodeCloud, double, tmp_path)
    return {f"{offer.region} {offer.instance_type}": offer for offer in found}


@pytest.fixture
def bench(double: Linode, offers: dict[str, Offer], tmp_path: Path) -> Bench:
    return bench_of(LinodeCloud, double, tmp_path, offers["us-ord g6-standard-2"], secrets=(KEY,))


class TestLinode(CloudConformance):
    pass


def test_the_machine_has_what_libcloud_can_send(bench: Bench, double: Linode) -> None:
    """Its tags, our key, and user data."""

    async def check() -> None:
        async with desk(bench) as at:
            node = (await at.cloud.create(at.request()))[0]
            kept = double.boxes[node.ref.id].more
            assert "stix-home:0a1b2c3d4e5f" in kept["tags"]
            assert [key.split()[0] for key in kept["keys"]] == ["ssh-ed25519"]
            assert kept["user_data"].startswith(b"#cloud-config")

    asyncio.run(check())


def test_offers_are_those_of_the_price_list(offers: dict[str, Offer]) -> None:
    """Some regions have prices of their own, and GPUs are not everywhere."""
    assert offers["eu-west g6-standard-2"].price == 0.036
    assert offers["nl-ams g6-standard-2"].price == 0.072
    gpus = {name for name, offer in offers.items() if offer.accelerators}
    assert gpus == {"us-ord g2-gpu-rtx4000a1-s"}


def test_a_label_that_is_there_is_the_machine_of_before(bench: Bench, double: Linode) -> None:
    """The answer was lost, and listings lag: the label tells that it was made."""

    async def check() -> None:
        async with desk(bench) as at:
            request = at.request()
            double.lag(1)
            first = (await at.cloud.create(request))[0]
            again = (await at.other.create(request))[0]
            assert again.ref == first.ref
            assert len(double.boxes) == 1

    asyncio.run(check())


def test_a_state_that_libcloud_does_not_know_hides_no_machine(bench: Bench, double: Linode) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            node = (await at.cloud.create(at.request()))[0]
            double.put(double.stranger("between"), "a_new_word")
            assert [each.ref for each in await at.listed()] == [node.ref]

    asyncio.run(check())


def test_what_it_cannot_give_is_refused(bench: Bench, double: Linode) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            with pytest.raises(InvalidRequest, match="size of its type") as error:
                await at.cloud.create(replace(at.request(), disk_gib=100))
            assert error.value.fix
            assert not double.boxes

    asyncio.run(check())
