"""Nebius against a double that speaks gRPC, in the messages of its SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stix.clouds.base import CanListResources, NodeState
from stix.clouds.errors import AuthError, CapacityError, InvalidRequest, QuotaError
from stix.clouds.nebius import NebiusCloud
from stix.clouds.testing.bench import Bench, desk, refs
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offer_of

if TYPE_CHECKING:
    from tests.support.clouds.nebius import Nebius

pytest.importorskip("nebius.sdk", reason="the SDK of Nebius is not installed")

TOKEN, TENANT = "v1.nebiusSecretToken0123456789", "tenant-e00research"
CPU, GPU, GANG = "cpu-d3_4vcpu-16gb", "gpu-h100-sxm_1gpu-16vcpu-200gb", "8gpu-128vcpu-1600gb"


@pytest.fixture
def double() -> Iterator[Nebius]:
    from tests.support.clouds.nebius import Nebius

    with Nebius().running() as running:
        yield running


@pytest.fixture
def bench(double: Nebius, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("NEBIUS_IAM_TOKEN", TOKEN)
    monkeypatch.setenv("NEBIUS_TENANT_ID", TENANT)
    return bench_of(
        NebiusCloud,
        double,
        tmp_path,
        ("eu-north1", CPU),
        {"pause": 0.0},
        spot_offer=offer_of("nebius", "eu-north1", GPU, spot=True),
        secrets=(TOKEN,),
    )


class TestNebius(CloudConformance):
    pass


def test_capacity_is_told_by_the_operation(bench: Bench, double: Nebius) -> None:
    """The order was taken; what came of it shows later, and nothing is left."""

    async def check() -> None:
        async with desk(bench) as at:
            double.refuse("capacity")
            with pytest.raises(CapacityError, match="Not enough resources") as error:
                await at.cloud.create(at.request())
            assert error.value.scope == "region" and "gpu" in error.value.message
            ends = [each.status for each in double.operations.values()]
            assert any(end is not None and end.code.name != "OK" for end in ends)
            assert not double.boxes

    asyncio.run(check())


def test_disks_are_of_multiples_of_93_gib_and_go_with_the_machine(
    bench: Bench, double: Nebius
) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            for asked, made in ((None, 93), (93, 93), (94, 186)):
                node = (await at.cloud.create(at.request(disk_gib=asked)))[0]
                disk = double.boxes[node.ref.id].more["spec"].boot_disk.managed_disk
                assert disk.spec.size_gibibytes == made
                assert dict(disk.labels)["stix-home"] == "0a1b2c3d4e5f"
                await at.cloud.terminate([node.ref])
            assert not [each for each in double.things.values() if each.kind == "disk"]

    asyncio.run(check())


def test_a_gang_of_whole_machines_is_in_one_cluster(bench: Bench, double: Nebius) -> None:
    """Which goes with its last machine."""

    def clusters() -> list[Any]:
        return [each for each in double.things.values() if each.kind == "gpu cluster"]

    async def check() -> None:
        async with desk(bench) as at:
            offer = offer_of("nebius", "eu-north1", f"gpu-h100-sxm_{GANG}")
            nodes = await at.cloud.create(at.request(3, offer=offer))
            assert [each.more["about"] for each in clusters()] == ["fabric-2"]
            used = {b.more["spec"].gpu_cluster.id for b in double.boxes.values()}
            assert used == {clusters()[0].id}
            assert isinstance(at.cloud, CanListResources)
            found = [r for r in await at.cloud.resources() if r.kind == "gpu cluster"]
            assert sorted(found[0].used_by) == sorted(node.ref.id for node in nodes)
            await at.cloud.terminate(refs(nodes[:1]))
            assert clusters()
            await at.cloud.terminate(refs(nodes[1:]))
            assert not clusters()
            single = await at.cloud.create(at.request(offer=offer))
            assert not double.boxes[single[0].ref.id].more["spec"].gpu_cluster.id

    asyncio.run(check())


def test_ports_are_in_rules_of_eight(bench: Bench, double: Nebius) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            await at.cloud.create(at.request(ports=("8080", "10000-10010")))
            rules = [each.more for each in double.things.values() if each.kind == "rule"]
            shown = {rule["name"]: rule["about"] for rule in rules}
            assert set(shown) == {"ssh", "mates", "out", "ports-10000", "ports-10008"}
            assert [*shown["ssh"].ingress.destination_ports] == [22]
            open_ports = [*shown["ports-10000"].ingress.destination_ports]
            open_ports += shown["ports-10008"].ingress.destination_ports
            assert open_ports == [*range(10000, 10011), 8080]

    asyncio.run(check())


def test_the_project_is_that_of_the_region(bench: Bench, double: Nebius) -> None:
    """The default one, of several; a region without one is no reason to give up the others."""

    async def check() -> None:
        async with desk(bench) as at:
            node = (await at.cloud.create(at.request()))[0]
            assert double.boxes[node.ref.id].zone == "project-e00north"
            offer = replace(bench.offer, region="eu-west1")
            with pytest.raises(QuotaError, match="no project in eu-west1") as error:
                await at.cloud.create(at.request(offer=offer))
            assert error.value.scope == "region" and error.value.fix

    asyncio.run(check())


def test_only_what_can_be_taken_away_was_taken_away(bench: Bench, double: Nebius) -> None:
    """A regular machine that stopped by itself is stopped."""

    async def check() -> None:
        async with desk(bench) as at:
            node = (await at.cloud.create(at.request()))[0]
            double.put(node.ref.id, double.PREEMPTED)
            assert [each.state for each in await at.listed()] == [NodeState.STOPPED]

    asyncio.run(check())


def test_a_disk_of_an_unknown_image_is_refused(bench: Bench, double: Nebius) -> None:
    async def check() -> None:
        async with desk(bench) as at:
            with pytest.raises(InvalidRequest, match="unknown image family"):
                await at.cloud.create(at.request(image="plan9"))
            assert not double.boxes

    asyncio.run(check())


def test_a_service_account_buys_its_tokens(
    bench: Bench, double: Nebius, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the only tenant that it may use is its tenant."""
    monkeypatch.delenv("NEBIUS_IAM_TOKEN")
    monkeypatch.delenv("NEBIUS_TENANT_ID")
    monkeypatch.setenv("HOME", str(tmp_path))

    async def check() -> None:
        async with desk(bench) as at:
            with pytest.raises(AuthError, match="no credentials") as error:
                await at.cloud.check()
            assert "credentials.json" in error.value.fix
            write_account(tmp_path / ".nebius" / "credentials.json")
            assert (await at.other.check()).account == TENANT
            assert at.other.credentials() == "~/.nebius/credentials.json"  # type: ignore[attr-defined]
            assert double.exchanges == ["serviceaccount-e00stix"]

    asyncio.run(check())


def write_account(file: Path) -> None:
    """Credentials of a service account, as Nebius's CLI writes them."""
    import json

    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    name = "serviceaccount-e00stix"
    about = {"alg": "RS256", "private-key": pem.decode(), "kid": "key-1", "iss": name, "sub": name}
    file.parent.mkdir()
    file.write_text(json.dumps({"subject-credentials": {"type": "JWT", **about}}))
    file.chmod(0o600)
