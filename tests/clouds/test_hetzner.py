"""Hetzner Cloud against a double of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest
from stix.clouds.hetzner import HetznerCloud
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Offer
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.hetzner import KEY, Hetzner


@pytest.fixture
def double() -> Iterator[Hetzner]:
    with Hetzner().running() as running:
        yield running


def offers(double: Hetzner, home: Path) -> Sequence[Offer]:
    async def ask() -> Sequence[Offer]:
        settings = {"endpoint_url": double.url}
        cloud = HetznerCloud(CloudConfig(home=home, socket_dir=home, settings=settings))
        found = await cloud.offers()
        await cloud.close()
        return found

    return asyncio.run(ask())


@pytest.fixture
def bench(double: Hetzner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("HCLOUD_TOKEN", KEY)
    offer = offers(double, tmp_path)[0]
    return bench_of(HetznerCloud, double, tmp_path, offer, {"poll": 0.0}, secrets=[KEY])


class TestHetzner(CloudConformance):
    pass


def test_prices_are_those_of_the_account_with_the_address(double: Hetzner, bench: Bench) -> None:
    found = {(o.instance_type, o.region): o for o in offers(double, Path("/nonexistent"))}
    # Sold out in nbg1; the type for ARM is no longer sold in ash.
    assert sorted(found) == [
        ("cax11", "fsn1"),
        ("ccx13", "ash"),
        ("ccx13", "fsn1"),
        ("cx23", "ash"),
        ("cx23", "fsn1"),
    ]
    offer = found["cax11", "fsn1"]
    assert offer.arch == "arm64"
    assert offer.price == pytest.approx((0.0060 + 0.0008) * 1.10)
    assert offer.price_is_estimate  # converted from EUR by a round figure
    double.currency = "USD"
    offer = offers(double, Path("/nonexistent"))[0]
    assert offer.price == pytest.approx(0.0068)
    assert not offer.price_is_estimate
    double.currency = "CHF"
    with pytest.raises(CloudError, match="CHF"):
        offers(double, Path("/nonexistent"))


def test_a_creation_that_fails_later_is_told_and_leaves_nothing(
    bench: Bench, double: Hetzner
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            double.breaks = "resource_unavailable"
            with pytest.raises(CapacityError) as error:
                await at.cloud.create(at.request())
            assert error.value.scope == "region"
            assert not double.boxes

    asyncio.run(check())


def test_a_gang_has_a_network_of_its_own_and_no_open_port_but_ssh(
    bench: Bench, double: Hetzner
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            nodes = await at.cloud.create(at.request(2))
            assert all(node.address.startswith("10.") for node in nodes)
            walls = [t.more["rules"] for t in double.things.values() if t.kind == "firewall"]
            assert [[rule["port"] for rule in wall] for wall in walls] == [["22"]]

    asyncio.run(check())


def test_what_it_cannot_give_is_refused(bench: Bench, double: Hetzner) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            with pytest.raises(InvalidRequest, match="size of its type") as error:
                await at.cloud.create(replace(at.request(), disk_gib=100))
            assert error.value.fix
            assert not double.boxes

    asyncio.run(check())


def test_the_token_of_the_command_line_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HCLOUD_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    cloud = HetznerCloud(CloudConfig(home=tmp_path, socket_dir=tmp_path))
    assert cloud.credentials() == ""
    place = tmp_path / ".config/hcloud/cli.toml"
    place.parent.mkdir(parents=True)
    place.write_text(
        'active_context = "b"\n[[contexts]]\nname = "a"\ntoken = "no"\n'
        '[[contexts]]\nname = "b"\ntoken = "yes"\n'
    )
    assert cloud.credentials() == "~/.config/hcloud/cli.toml"
