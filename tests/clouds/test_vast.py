"""Vast.ai against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.errors import CapacityError
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from stix.clouds.vast import VastCloud
from stix.remote.ssh import SshRunner
from stix.remote.ssh_target import SshTarget
from tests.support.clouds.benches import bench as rented
from tests.support.clouds.benches import offer_of
from tests.support.clouds.vast import KEY, Ask, Vast
from tests.support.hosts import HostFarm

OFFER = offer_of("vast", "RO", "1x-RTX_3090-32-65536")
SPOT = replace(OFFER, spot=True, price=0.12)


class TestVast(CloudConformance):
    @pytest.fixture
    def bench(self, account: Bench) -> Bench:
        return account


@pytest.fixture
def double() -> Iterator[Vast]:
    with Vast().running() as double:
        yield double


@pytest.fixture
def account(double: Vast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("VAST_API_KEY", KEY)
    return rented(VastCloud, double, tmp_path, OFFER, secrets=[KEY], spot_offer=SPOT)


def rentals(double: Vast) -> list[str]:
    return [r.path for r in double.server.requests if "/asks/" in r.path]


async def test_the_cheapest_that_is_still_there_is_rented(account: Bench, double: Vast) -> None:
    double.asks[11].gone = True
    async with desk(account) as at:
        double.watch()
        assert len(await at.cloud.create(at.request())) == 1
        assert rentals(double) == ["/api/v0/asks/11/", "/api/v0/asks/12/"]


async def test_what_costs_much_more_than_was_planned_is_not_rented(
    account: Bench, double: Vast
) -> None:
    double.asks = {1: Ask(1, price=0.32, min_bid=0.1), 2: Ask(2, price=5.0, min_bid=0.1)}
    async with desk(account) as at:
        double.watch()
        with pytest.raises(CapacityError, match=r"0\.312 USD/h or less") as raised:
            await at.cloud.create(at.request())
        assert raised.value.scope == "type"
        assert "price_tolerance" in raised.value.fix
        assert not rentals(double)


async def test_machines_that_vanish_are_tried_a_few_times_only(
    account: Bench, double: Vast
) -> None:
    double.asks = {n: Ask(n, price=0.25, min_bid=0.1, gone=True) for n in range(1, 12)}
    async with desk(account) as at:
        double.watch()
        with pytest.raises(CapacityError):
            await at.cloud.create(at.request())
        assert len(rentals(double)) == 4


@pytest.mark.parametrize(
    "change",
    [{"gpu": "RTX 4090"}, {"gpus": 2}, {"cpus": 8.0}, {"ram": 1000}, {"place": "Oslo, NO"}],
)
async def test_what_is_of_another_kind_is_not_rented(
    account: Bench, double: Vast, change: dict[str, object]
) -> None:
    double.asks = {1: Ask(1, 0.2, 0.1, **change)}  # type: ignore[arg-type]
    async with desk(account) as at:
        with pytest.raises(CapacityError):
            await at.cloud.create(at.request())


async def test_a_bid_that_is_outbid_at_once_leaves_nothing(account: Bench, double: Vast) -> None:
    """The provider makes a stopped instance of it, whose disk costs money."""
    for ask in double.asks.values():
        ask.bid_now = 0.5
    async with desk(account) as at:
        double.watch()
        with pytest.raises(CapacityError):
            await at.cloud.create(at.request(offer=SPOT))
        assert len(rentals(double)) == 2
        assert not double.alive()


async def test_a_bid_that_is_too_low_is_followed_by_the_next_machine(
    account: Bench, double: Vast
) -> None:
    double.asks[11].bid_now = 0.5
    async with desk(account) as at:
        nodes = await at.cloud.create(at.request(offer=SPOT))
        assert double.alive() == [node.ref.id for node in nodes]
        assert double.server.requests[-1].json["price"] == 0.12


async def test_todays_bids_are_offered(account: Bench, double: Vast) -> None:
    async with desk(account) as at:
        spot = {(o.region, o.instance_type): o.price for o in await at.cloud.offers() if o.spot}
        assert spot == {("RO", "1x-RTX_3090-32-65536"): 0.10}
        double.watch()
        double.wire("garbage", 0)
        assert not [o for o in await at.cloud.offers() if o.spot]


async def test_ports_are_mapped(account: Bench, double: Vast) -> None:
    async with desk(account) as at:
        await at.cloud.create(at.request(ports=("8080", "9000-9001")))
        env = double.server.requests[-1].json["env"]
        assert list(env) == ["-p 8080:8080", "-p 9000:9000", "-p 9001:9001"]


@pytest.mark.hosts
async def test_the_instance_lets_us_in(
    account: Bench, double: Vast, hosts: HostFarm, tmp_path: Path
) -> None:
    """What an instance runs at its start makes its sshd, here a host's, take our key."""
    async with desk(account) as at:
        await at.cloud.create(at.request())
        start = double.server.requests[-1].json["onstart"]
        assert isinstance(at.cloud, VastCloud)
        key = at.cloud.keys.private_file
        host = hosts.up()[0]
        known = tmp_path / "known"
        theirs = SshRunner(SshTarget(host.address, known, 22, "root", hosts.identity))
        ours = SshRunner(SshTarget(host.address, known, 22, "root", key))
        try:
            assert (await theirs.run(["bash", "-c", start], timeout=30)).exit_code == 0
            assert (await ours.run(["id", "-un"], timeout=30)).stdout == b"root\n"
        finally:
            await theirs.close()
            await ours.close()
            hosts.rm(host)
