"""An OpenStack, by way of Libcloud, against a double of its four APIs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.errors import AuthError, InvalidRequest
from stix.clouds.libcloud import OpenStackCloud, OvhCloud
from stix.clouds.libcloud.login import find
from stix.clouds.testing.bench import Bench, desk, ids, refs
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Offer
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offers_of
from tests.support.clouds.openstack import (
    CREDENTIAL,
    PASSWORD,
    PROJECT,
    SECRET,
    TOKEN,
    USER,
    OpenStack,
)

SETTINGS = {
    "pause": 0.0,
    "prices": {"m1.large": 0.2, "g1.xlarge": 1.5},
    "accelerators": {"g1.xlarge": {"L4": 1}},
}


@pytest.fixture
def double() -> Iterator[OpenStack]:
    with OpenStack().running() as running:
        yield running


@pytest.fixture
def offers(double: OpenStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Offer]:
    for name, value in {"USERNAME": USER, "PASSWORD": PASSWORD, "PROJECT_NAME": PROJECT}.items():
        monkeypatch.setenv(f"OS_{name}", value)
    monkeypatch.setenv("OS_AUTH_URL", f"{double.url}/v3")
    found = offers_of(OpenStackCloud, double, tmp_path, SETTINGS)
    return {f"{offer.region} {offer.instance_type}": offer for offer in found}


@pytest.fixture
def bench(double: OpenStack, offers: dict[str, Offer], tmp_path: Path) -> Bench:
    offer = offers["RegionOne m1.large"]
    secrets = (PASSWORD, TOKEN)
    return bench_of(OpenStackCloud, double, tmp_path, offer, SETTINGS, secrets=secrets)


class TestOpenStack(CloudConformance):
    pass


def test_offers_are_flavors_at_the_prices_of_the_settings(offers: dict[str, Offer]) -> None:
    assert len(offers) == 4
    assert offers["RegionTwo g1.xlarge"].price == 1.5
    assert offers["RegionTwo g1.xlarge"].accelerators == {"L4": 1.0}


def test_the_machine_has_what_libcloud_can_send(bench: Bench, double: OpenStack) -> None:
    """Metadata, user data, and walls that let in SSH and the mates."""

    async def check() -> None:
        async with desk(bench) as at:
            node = (await at.cloud.create(at.request(ports=("8080",))))[0]
            more = double.boxes[node.ref.id].more
            assert more["metadata"]["stix-home"] == "0a1b2c3d4e5f"
            assert b"ssh-ed25519 " in base64.b64decode(more["user_data"])
            home, ports = (double.things[wall].more["rules"] for wall in more["walls"])
            shown = [
                (r["protocol"], r["port_range_min"], r["remote_ip_prefix"], r["remote_group_id"])
                for r in (*home, *ports)
                if r["direction"] == "ingress"
            ]
            assert shown == [
                ("tcp", 22, "0.0.0.0/0", None),
                (None, None, None, more["walls"][0]),
                ("tcp", 8080, "0.0.0.0/0", None),
            ]

    asyncio.run(check())


def test_walls_that_were_half_made_are_completed(bench: Bench, double: OpenStack) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            await at.cloud.create(at.request())
            wall = next(iter(double.things.values()))
            whole = len(wall.more["rules"])
            del wall.more["rules"][-1]
            await at.other.create(at.request())
            assert len(double.things) == 1 and len(wall.more["rules"]) == whole

    asyncio.run(check())


def test_each_region_is_listed(bench: Bench, offers: dict[str, Offer]) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            await at.cloud.create(at.request())
            await at.cloud.create(at.request(offer=offers["RegionTwo m1.large"]))
            regions = {node.ref.region for node in await at.listed(by=at.other)}
            assert regions == {"RegionOne", "RegionTwo"}
            with pytest.raises(InvalidRequest, match="no region Three") as error:
                await at.cloud.create(at.request(offer=replace(bench.offer, region="Three")))
            assert "RegionTwo" in error.value.fix

    asyncio.run(check())


def test_an_image_that_is_not_there_is_refused(bench: Bench, double: OpenStack) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            with pytest.raises(InvalidRequest, match="no image Plan 9"):
                await at.cloud.create(at.request(image="Plan 9"))
            assert not double.boxes
            assert await at.cloud.create(at.request(image="Debian 12"))

    asyncio.run(check())


def test_it_logs_in_with_an_application_credential_of_a_file(
    bench: Bench, double: OpenStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clouds.yaml"
    file.write_text(
        "clouds:\n  lab:\n    region_name: RegionTwo\n    auth_type: v3applicationcredential\n"
        f"    auth:\n      auth_url: {double.url}/v3\n"
        f"      application_credential_id: {CREDENTIAL}\n"
        f"      application_credential_secret: {SECRET}\n"
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    monkeypatch.setenv("OS_CLOUD", "lab")

    async def check() -> None:
        async with desk(bench) as at:
            assert at.cloud.credentials() == f"{file} (lab)"  # type: ignore[attr-defined]
            offer = replace(bench.offer, region="RegionTwo")
            assert (await at.cloud.create(at.request(offer=offer)))[0].ref.region == "RegionTwo"

    asyncio.run(check())


def test_a_floating_address_is_given_once_and_goes_with_its_machine(
    bench: Bench, double: OpenStack, tmp_path: Path
) -> None:
    def made() -> list[str]:
        return [each.id for each in double.things.values() if each.kind == "address"]

    settings = {**SETTINGS, "floating_network": "public"}
    floating = bench_of(OpenStackCloud, double, tmp_path, bench.offer, settings)

    async def check() -> None:
        async with desk(floating) as at:
            assert isinstance(at.cloud, OpenStackCloud) and isinstance(at.other, OpenStackCloud)
            nodes = await at.cloud.create(at.request(2))
            assert not (await at.listed())[0].login
            for node in nodes:
                double.put(node.ref.id, "ACTIVE")
                await at.cloud.give_address(node.ref)
                await at.other.give_address(node.ref)
            assert len(made()) == 2
            kept = [r for r in await at.other.resources() if r.kind == "address"]
            assert sorted(r.used_by[0] for r in kept) == ids(nodes)
            assert all(r.billed and not r.shared for r in kept)
            await at.cloud.terminate(refs(nodes[:1]))
            assert len(made()) == 1
            del double.boxes[nodes[1].ref.id]  # it went without us
            left = [r for r in await at.other.resources() if r.kind == "address"]
            assert [r.used_by for r in left] == [()]
            await at.other.remove(left)
            assert not made()

    asyncio.run(check())


def test_a_network_without_addresses_is_refused(
    bench: Bench, double: OpenStack, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "floating_network": "no-such-network"}
    floating = bench_of(OpenStackCloud, double, tmp_path, bench.offer, settings)

    async def check() -> None:
        async with desk(floating) as at:
            assert isinstance(at.cloud, OpenStackCloud)
            node = (await at.cloud.create(at.request()))[0]
            double.put(node.ref.id, "ACTIVE")
            with pytest.raises(InvalidRequest, match="no network no-such-network"):
                await at.cloud.give_address(node.ref)
            assert not double.leftovers()

    asyncio.run(check())


def test_an_account_belongs_to_one_cloud_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else both would list its machines, and each find those of the other to be orphans."""
    for name, value in {"USERNAME": USER, "PASSWORD": PASSWORD, "PROJECT_NAME": PROJECT}.items():
        monkeypatch.setenv(f"OS_{name}", value)
    monkeypatch.setenv("OS_AUTH_URL", "https://auth.cloud.ovh.net/v3")
    assert find("ovh", OvhCloud.usual_url) and not find("openstack")
    monkeypatch.setenv("OS_AUTH_URL", "https://keystone.example.com:5000/v3")
    assert find("openstack") and not find("ovh", OvhCloud.usual_url)
    assert find("openstack").url == "https://keystone.example.com:5000"


def test_without_an_account_it_says_what_to_set(
    double: OpenStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OS_AUTH_URL", "OS_USERNAME", "OS_CLOUD", "OS_APPLICATION_CREDENTIAL_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AuthError) as error:
        offers_of(OpenStackCloud, double, tmp_path)
    assert "OS_AUTH_URL" in error.value.fix
