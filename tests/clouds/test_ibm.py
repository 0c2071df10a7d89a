"""IBM Cloud against a double of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.base import NodeState
from stix.clouds.config import TOKEN_TAG, CloudConfig
from stix.clouds.errors import AuthError, InvalidRequest, NodeGone, TransientError
from stix.clouds.ibm import IbmCloud
from stix.clouds.testing.bench import Bench, desk, refs
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offer_of
from tests.support.clouds.ibm import KEY, Ibm

PLACE = ("us-east", "bx2-8x32")
SETTINGS = {"poll": 0.0, "regions": ["us-east", "us-south"]}


@pytest.fixture
def double() -> Iterator[Ibm]:
    with Ibm().running() as running:
        yield running


@pytest.fixture
def bench(double: Ibm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("IBMCLOUD_API_KEY", KEY)
    spot = replace(offer_of("ibm", *PLACE), spot=True)
    return bench_of(IbmCloud, double, tmp_path, PLACE, SETTINGS, secrets=[KEY], spot_offer=spot)


class TestIbm(CloudConformance):
    pass


async def test_a_region_has_one_network_for_all_wishes(bench: Bench, double: Ibm) -> None:
    async with desk(bench) as at:
        await asyncio.gather(*(at.cloud.create(at.request()) for _ in range(2)))
        await at.other.create(at.request(ports=("8080", "9000-9010")))
        kinds = [t.kind for t in double.things.values() if not t.single]
        assert sorted(kinds) == ["security_groups", "security_groups", "subnets", "vpcs"]
        groups = [t for t in double.things.values() if t.kind == "security_groups"]
        world = [
            rule["port_max"]
            for group in groups
            for rule in group.more["rules"]
            if rule["direction"] == "inbound" and rule["remote"].get("cidr_block")
        ]
        assert sorted(world) == [22, 8080, 9010]


async def test_a_machine_whose_address_was_never_ordered_gets_one_when_prepared(
    bench: Bench, double: Ibm
) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request())
        lost = next(t for t in double.things.values() if t.kind == "floating_ips")
        del double.things[lost.id]
        (seen,) = await at.listed()
        assert not seen.login
        double.put(node.ref.id, "stopped")  # so that nobody waits for its sshd
        assert isinstance(at.cloud, IbmCloud)
        with pytest.raises(NodeGone, match="stopped"):
            await at.cloud.prepare(seen)
        assert (await at.listed())[0].login


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("cannot_start_capacity", NodeState.FAILED),
        ("stopped_by_host_failure", NodeState.FAILED),
        ("stopped_by_preemption", NodeState.PREEMPTED),
        ("stopped_for_image_creation", NodeState.STOPPED),
    ],
)
async def test_why_a_machine_is_stopped_counts(
    bench: Bench, double: Ibm, code: str, state: NodeState
) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request())
        double.put(node.ref.id, "stopped")
        double.boxes[node.ref.id].more["reasons"] = [{"code": code, "message": "so it is"}]
        (seen,) = await at.listed()
        assert seen.state is state
        assert code in seen.reason


async def test_addresses_that_were_left_are_listed_and_removed(bench: Bench, double: Ibm) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request())
        assert isinstance(at.cloud, IbmCloud)
        (address,) = [r for r in await at.cloud.resources() if r.kind == "address"]
        assert (address.used_by, address.billed) == ((node.ref.id,), True)
        assert address.tags[TOKEN_TAG] == node.tags[TOKEN_TAG]
        double.drop(double.boxes[node.ref.id])
        double.keep("floating_ips", name=node_name(double), region="us-east", address="192.0.2.1")
        (left,) = [r for r in await at.cloud.resources() if r.kind == "address"]
        assert left.used_by == ()
        await at.cloud.remove([left])
        assert not double.leftovers()


def node_name(double: Ibm) -> str:
    order = next(r for r in double.server.requests if r.path.endswith("/v1/instances") and r.body)
    return str(order.json["name"])


async def test_the_image_is_the_newest_ubuntu_or_that_of_the_name(
    bench: Bench, double: Ibm
) -> None:
    async with desk(bench) as at:
        await at.cloud.create(at.request())
        await at.cloud.create(replace(at.request(), image="ibm-debian-12-amd64-1"))
        await at.cloud.create(replace(at.request(), image="r006-0"))
        orders = [r for r in double.server.requests if r.path.endswith("/v1/instances") and r.body]
        assert [o.json["image"]["id"] for o in orders] == ["r006-1", "r006-2", "r006-0"]
        with pytest.raises(InvalidRequest, match="no image"):
            await at.cloud.create(replace(at.request(), image="windows"))


async def test_a_wrong_key_is_no_reason_to_try_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(bench) as at:
        monkeypatch.setenv("IBMCLOUD_API_KEY", "wrong")
        with pytest.raises(AuthError, match="BXNIM0415E") as error:
            await at.cloud.check()
        assert error.value.fix
        monkeypatch.setenv("IBMCLOUD_API_KEY", KEY)


async def test_a_network_that_stays_unready_is_told(bench: Bench, double: Ibm) -> None:
    double._done = lambda thing: False  # type: ignore[method-assign]
    async with desk(bench) as at:
        with pytest.raises(TransientError, match="pending"):
            await at.cloud.create(at.request())
        assert not double.boxes


async def test_a_spot_machine_that_is_taken_is_ended_with_its_address(
    bench: Bench, double: Ibm
) -> None:
    async with desk(bench) as at:
        nodes = await at.cloud.create(at.request(offer=bench.spot_offer))
        double.take_away(nodes[0].ref.id)
        await at.cloud.terminate(refs(nodes))
        assert not double.boxes
        assert not double.leftovers()


def test_regions_are_those_of_the_settings_or_of_the_catalog(tmp_path: Path) -> None:
    cloud = IbmCloud(CloudConfig(home=tmp_path, socket_dir=tmp_path))
    assert len(asyncio.run(cloud._regions())) > 5


async def test_a_network_that_was_removed_meanwhile_is_made_again(
    bench: Bench, double: Ibm
) -> None:
    async with desk(bench) as at:
        await at.cloud.terminate(refs(await at.cloud.create(at.request())))
        double.things.clear()
        assert len(await at.cloud.create(at.request(2))) == 2
        with pytest.raises(InvalidRequest):
            await at.cloud.create(at.request(offer=replace(bench.offer, instance_type="none")))
