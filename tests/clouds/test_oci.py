"""Oracle Cloud Infrastructure against a double of its API."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.base import NodeState
from stix.clouds.errors import AuthError, CapacityError
from stix.clouds.oci import OciCloud
from stix.clouds.oci.signing import Credentials, load, signed
from stix.clouds.testing.bench import Bench, desk, refs
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Offer
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.benches import offer_of
from tests.support.clouds.oci import REGION, ZONES, Oci, pem, private_key, write_config

TYPE = "VM.Standard.E4.Flex$_2_8"


def offer(*, spot: bool = False, kind: str = TYPE) -> Offer:
    return replace(offer_of("oci", "*", kind, spot=spot), region=REGION, zone=ZONES[0])


@pytest.fixture
def double() -> Iterator[Oci]:
    with Oci().running() as running:
        yield running


@pytest.fixture
def bench(double: Oci, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("OCI_CONFIG_FILE", str(write_config(tmp_path)))
    secret = pem().decode().splitlines()[3]
    more = {"secrets": [secret], "spot_offer": offer(spot=True)}
    return bench_of(OciCloud, double, tmp_path, offer(), {"poll": 0.0}, **more)


class TestOci(CloudConformance):
    pass


def test_a_request_is_signed_as_the_draft_says() -> None:
    """The expected signature is computed here by hand: RSA of PKCS #1 v1.5 over SHA-256."""
    who = Credentials("ocid1.t", "ocid1.u", "73:61", "us-phoenix-1", "a test", private_key())
    date = "Thu, 05 Jan 2014 21:31:40 GMT"
    host = "iaas.us-phoenix-1.oraclecloud.com"
    body = b'{"compartmentId": "c"}'
    got = signed(who, "POST", f"https://{host}/20160918/volumeAttachments?a=b%2Fc", body, date)
    text = (
        f"date: {date}\n"
        "(request-target): post /20160918/volumeAttachments?a=b%2Fc\n"
        f"host: {host}\n"
        "content-length: 22\n"
        "content-type: application/json\n"
        f"x-content-sha256: {base64.b64encode(hashlib.sha256(body).digest()).decode()}"
    )
    assert f'signature="{_by_hand(text)}"' in got["authorization"]
    names = 'headers="date (request-target) host content-length content-type x-content-sha256"'
    assert got["authorization"].startswith(f'Signature algorithm="rsa-sha256",{names},')
    assert 'keyId="ocid1.t/ocid1.u/73:61"' in got["authorization"]
    got = signed(who, "GET", f"https://{host}/20160918/instances", b"", date)
    plain = f"date: {date}\n(request-target): get /20160918/instances\nhost: {host}"
    assert f'signature="{_by_hand(plain)}"' in got["authorization"]
    assert sorted(got) == ["authorization", "date", "host"]
    assert "PRIVATE" not in repr(who)


def _by_hand(text: str) -> str:
    numbers = private_key().private_numbers()
    n, d = numbers.public_numbers.n, numbers.d
    size = (n.bit_length() + 7) // 8
    sha256 = bytes.fromhex("3031300d060960864801650304020105000420")
    tail = sha256 + hashlib.sha256(text.encode()).digest()
    block = b"\x00\x01" + b"\xff" * (size - len(tail) - 3) + b"\x00" + tail
    return base64.b64encode(pow(int.from_bytes(block), d, n).to_bytes(size)).decode()


def test_a_key_with_a_phrase_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_config(tmp_path, "open sesame")
    monkeypatch.setenv("OCI_CONFIG_FILE", str(file))
    assert load().region == REGION
    file.write_text(file.read_text().replace("open sesame", "wrong"))
    with pytest.raises(AuthError, match="cannot be read") as error:
        load()
    assert error.value.fix
    assert error.value.__cause__ is None
    file.write_text("[DEFAULT]\nuser=x\n")
    with pytest.raises(AuthError, match="no tenancy, fingerprint, key_file"):
        load()


async def test_no_room_is_of_the_zone_though_it_comes_as_an_error_of_the_server(
    bench: Bench, double: Oci
) -> None:
    async with desk(bench) as at:
        double.refuse("capacity")
        with pytest.raises(CapacityError, match="Out of host capacity") as error:
            await at.cloud.create(at.request())
        assert (error.value.scope, error.value.retryable) == ("zone", False)


async def test_offers_are_at_every_domain_of_the_regions(bench: Bench, double: Oci) -> None:
    async with desk(bench) as at:
        found = [o for o in await at.cloud.offers() if o.instance_type == TYPE and o.spot]
        assert [(o.region, o.zone) for o in found] == [(REGION, zone) for zone in ZONES]
        double.lock_out(True)
        found = [o for o in await at.other.offers() if o.instance_type == TYPE and o.spot]
        assert [(o.region, o.zone) for o in found] == [("*", None)]
        double.lock_out(False)


async def test_offers_are_in_the_regions_of_the_settings(
    bench: Bench, double: Oci, tmp_path: Path
) -> None:
    settings = {"regions": [REGION]}
    cloud = bench_of(OciCloud, double, tmp_path, offer(), settings).open()
    assert {o.infra for o in await cloud.offers()} == {f"oci/{REGION}/{z}" for z in ZONES}
    await cloud.close()


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (TYPE, {"ocpus": 1.0, "memoryInGBs": 8.0}),
        ("VM.GPU.A10.1", None),
    ],
)
async def test_a_flexible_shape_is_ordered_in_ocpus(
    bench: Bench, double: Oci, kind: str, config: object
) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request(offer=offer(kind=kind)))
        order = double.boxes[node.ref.id].more["order"]
        assert order.get("shapeConfig") == config
        assert "$" not in order["shape"]


async def test_an_ocpu_of_arm_is_one_cpu(bench: Bench, double: Oci) -> None:
    async with desk(bench) as at:
        arm = replace(offer(), instance_type="VM.Standard.A1.Flex$_4_8", arch="arm64", cpus=4.0)
        (node,) = await at.cloud.create(at.request(offer=arm))
        assert double.boxes[node.ref.id].more["order"]["shapeConfig"]["ocpus"] == 4.0


async def test_a_region_has_one_network_and_no_open_port_but_ssh(bench: Bench, double: Oci) -> None:
    async with desk(bench) as at:
        await asyncio.gather(*(at.cloud.create(at.request()) for _ in range(2)))
        await at.other.create(at.request(ports=("8080", "9000-9010")))
        kinds = sorted(t.kind for t in double.things.values() if not t.single)
        groups = ["networkSecurityGroups"] * 2
        assert kinds == ["internetGateways", *groups, "routeTables", "subnets", "vcns"]
        rules = [r for t in double.things.values() for r in t.more.get("rules", ())]
        world = [r["tcpOptions"] for r in rules if r["source"] == "0.0.0.0/0"]
        assert [p["destinationPortRange"]["max"] for p in world] == [8080, 9010]


async def test_a_machine_that_may_not_be_ended_is_not_thought_gone(
    bench: Bench, double: Oci
) -> None:
    async with desk(bench) as at:
        nodes = await at.cloud.create(at.request())
        double.readonly = True
        with pytest.raises(AuthError, match="seen and not ended") as error:
            await at.cloud.terminate(refs(nodes))
        assert error.value.fix
        double.readonly = False


async def test_what_is_known_of_the_network_may_be_old(bench: Bench, double: Oci) -> None:
    async with desk(bench) as at:
        await at.cloud.terminate(refs(await at.cloud.create(at.request())))
        double.things.clear()
        assert len(await at.cloud.create(at.request(2))) == 2


async def test_addresses_are_looked_up_once(bench: Bench, double: Oci) -> None:
    async with desk(bench) as at:
        (node,) = await at.cloud.create(at.request())
        double.put(node.ref.id, "RUNNING")
        (seen,) = await at.listed()
        assert seen.login and seen.state is NodeState.RUNNING
        double.watch()
        assert (await at.listed())[0].login == seen.login
        assert double.asked() == 1
