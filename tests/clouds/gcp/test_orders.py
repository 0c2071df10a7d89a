"""What Google Cloud is asked for: machines, zones, ports, and what waits for operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.base import CreateRequest, NodeState, Selector
from stix.clouds.config import TOKEN_TAG, CloudConfig
from stix.clouds.errors import (
    CapacityError,
    CloudError,
    InvalidRequest,
    TransientError,
    UnsupportedFeature,
)
from stix.clouds.gcp import GcpCloud
from stix.plan.offers import Demand, Offer
from tests.support.clouds.gcp import ZONES, Gcp
from tests.support.clouds.gcp_base import key_file
from tests.support.clouds.gcp_tpu import GcpTpu

ANY = Offer("gcp", "us-central1", None, "e2-standard-2", 2.0, 8.0, price=0.1, arch="x86_64")
T4 = replace(
    ANY, zone="us-central1-a", instance_type="n1-standard-4", cpus=4.0, accelerators={"T4": 1.0}
)


@pytest.fixture
def double() -> Iterator[Gcp]:
    with Gcp().running() as double:
        yield double


@pytest.fixture
async def opened(
    double: Gcp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., GcpCloud]:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path, double.url)))

    def make(**settings: Any) -> GcpCloud:
        known = {"endpoint_url": double.url, "timeout": 0.5, "poll_s": 0, **settings}
        return GcpCloud(CloudConfig(tmp_path, tmp_path, known, "0a1b2c3d4e5f"))

    return make


def wish(offer: Offer = ANY, count: int = 1, token: str = "t1", **more: Any) -> CreateRequest:
    tags = {TOKEN_TAG: token, "stix-run": "r"}
    return CreateRequest(token, offer, Demand(cpus=1.0), count, "x", tags, **more)


def item(body: Any, key: str) -> str:
    items: dict[str, str] = {each["key"]: each["value"] for each in body["metadata"]["items"]}
    return items.get(key, "")


async def test_a_gang_stays_together_in_the_first_zone_with_room(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    double.empty = {"us-central1-a"}
    nodes = await opened().create(wish(count=3))
    assert {node.ref.zone for node in nodes} == {"us-central1-b"}
    assert len(double.alive()) == 3


async def test_a_gang_of_which_a_part_finds_room_moves_on_as_a_whole(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    double.refuse("capacity")
    nodes = await opened().create(wish(count=2))
    assert {node.ref.zone for node in nodes} == {"us-central1-b"}
    assert sorted(double.alive()) == sorted(node.ref.id for node in nodes)


async def test_a_region_without_room_says_so(opened: Callable[..., GcpCloud], double: Gcp) -> None:
    double.empty = set(ZONES["us-central1"])
    with pytest.raises(CapacityError, match="other zones") as caught:
        await opened().create(wish(count=2, ports=("8080",)))
    assert caught.value.scope == "region"
    assert not double.alive()
    assert not double.leftovers()


async def test_what_is_missing_of_a_gang_is_made_beside_the_rest(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    cloud = opened()
    double.empty = {"us-central1-a"}
    nodes = await cloud.create(wish(count=3))
    await cloud.terminate([nodes[1].ref])
    double.empty = set()
    again = await opened().create(wish(count=3))
    assert {node.ref.zone for node in again} == {"us-central1-b"}
    assert again[0].ref == nodes[0].ref
    assert again[1].ref != nodes[1].ref


async def test_a_machine_with_a_gpu(opened: Callable[..., GcpCloud], double: Gcp) -> None:
    await opened().create(wish(replace(T4, spot=True)))
    body = double.bodies[0]
    kind = "zones/us-central1-a/acceleratorTypes/nvidia-tesla-t4"
    assert body["guestAccelerators"] == [{"acceleratorType": kind, "acceleratorCount": 1}]
    assert body["scheduling"] == {
        "automaticRestart": False,
        "onHostMaintenance": "TERMINATE",
        "provisioningModel": "SPOT",
        "instanceTerminationAction": "DELETE",
    }
    disk = body["disks"][0]
    assert "common-cu129" in disk["initializeParams"]["sourceImage"]
    assert disk["initializeParams"]["diskSizeGb"] == "100"
    assert disk["autoDelete"]
    assert "serviceAccounts" not in body


async def test_a_plain_machine(opened: Callable[..., GcpCloud], double: Gcp) -> None:
    arm = replace(ANY, arch="arm64")
    await opened(service_account="a@b").create(wish(arm, image="ours", disk_gib=33))
    await opened(os_login=True, use_internal_ips=True).create(wish(arm, token="t2"))
    ours, usual = double.bodies
    assert ours["disks"][0]["initializeParams"]["sourceImage"] == "global/images/ours"
    assert ours["disks"][0]["initializeParams"]["diskSizeGb"] == "33"
    assert ours["serviceAccounts"][0]["email"] == "a@b"
    assert "onHostMaintenance" not in ours["scheduling"]
    assert item(ours, "ssh-keys").startswith("stix:ssh-ed25519 ")
    assert item(ours, "user-data").startswith("#cloud-config")
    assert item(ours, "enable-oslogin") == "FALSE"
    assert usual["disks"][0]["initializeParams"]["sourceImage"].endswith("lts-arm64")
    assert item(usual, "enable-oslogin") == ""
    assert "accessConfigs" not in usual["networkInterfaces"][0]


async def test_without_an_address_outside_the_way_in_is_the_one_inside(
    opened: Callable[..., GcpCloud],
) -> None:
    cloud = opened(use_internal_ips=True)
    await cloud.create(wish())
    (node,) = await cloud.list(Selector())
    assert node.login == f"stix@{node.address}:22"


async def test_an_operation_that_takes_long_is_waited_for(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    double.slow = 5
    cloud = opened()
    nodes = await cloud.create(wish())
    await cloud.terminate([nodes[0].ref])
    assert not double.alive()


async def test_an_order_is_taken_as_good_when_nothing_is_heard_for_long(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    cloud = opened()
    await cloud.create(wish(token="first"))  # so that the rules of the firewall are there
    double.slow = 10**6
    nodes = await opened(wait_s=0.01).create(wish())
    assert nodes[0].state is NodeState.STARTING
    with pytest.raises(TransientError, match="not removed yet"):
        await opened(wait_s=0.01).terminate([nodes[0].ref])


async def test_a_name_that_is_still_being_removed_is_not_the_machine(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    cloud = opened()
    (node,) = await cloud.create(wish(T4))
    double.put(node.ref.id, "STOPPING")
    double.boxes[node.ref.id].hidden = 1
    with pytest.raises(TransientError, match="being removed"):
        await cloud.create(wish(T4))


async def test_ports_go_with_the_last_machine_of_the_wish(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    cloud = opened()
    nodes = await cloud.create(wish(count=2, ports=("8080",)))
    other = await cloud.create(wish(token="t2", ports=("9090",)))
    await cloud.open_ports([nodes[0].ref], ["8080", "10000-10010"])
    rules = [t.more for t in double.things.values() if t.kind == "firewall" and t.single]
    assert [rule["allowed"][0]["ports"] for rule in rules] == [
        ["10000-10010", "8080"],
        ["9090"],
    ]
    assert set(rules[0]["targetTags"]) <= set(double.bodies[0]["tags"]["items"])
    kinds = {r.id: r for r in await cloud.resources() if r.kind == "security group"}
    assert kinds[rules[0]["name"]].tags[TOKEN_TAG] == "t1"
    assert set(kinds[rules[0]["name"]].used_by) == {node.ref.id for node in nodes}
    await cloud.terminate([nodes[0].ref])
    assert len([t for t in double.things.values() if t.kind == "firewall" and t.single]) == 2
    await cloud.terminate([nodes[1].ref, other[0].ref])
    assert not double.leftovers()


async def test_machines_end_also_where_their_ports_cannot_be_closed(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    cloud = opened()
    (node,) = await cloud.create(wish(ports=("8080",)))
    double.watch()
    double.wire("error 500", 0)
    with pytest.raises(TransientError):
        await cloud.terminate([node.ref])
    assert not double.alive()


async def test_a_port_that_is_none_is_refused(opened: Callable[..., GcpCloud]) -> None:
    with pytest.raises(InvalidRequest, match="no port"):
        await opened().create(wish(ports=("http",)))


async def test_a_machine_with_local_disks_can_be_stopped(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    cloud = opened()
    (node,) = await cloud.create(wish())
    double.boxes[node.ref.id].more["disks"] = [{"type": "PERSISTENT"}, {"type": "SCRATCH"}]
    await cloud.stop([node.ref])
    (seen,) = await cloud.list(Selector())
    assert (seen.state, seen.billed) == (NodeState.STOPPED, True)


async def test_a_disk_in_use_stays(opened: Callable[..., GcpCloud], double: Gcp) -> None:
    cloud = opened()
    await cloud.create(wish())
    disks = [r for r in await cloud.resources() if r.kind == "disk"]
    assert disks[0].used_by == tuple(double.boxes)
    with pytest.raises(CloudError, match="used"):
        await cloud.remove(disks)
    assert [r for r in await cloud.resources() if r.kind == "disk"] == disks


async def test_a_disk_that_was_left_over_can_be_removed(
    opened: Callable[..., GcpCloud], double: Gcp
) -> None:
    cloud = opened()
    (node,) = await cloud.create(wish())
    for thing in double.things.values():
        thing.owner = ""
    await cloud.terminate([node.ref])
    disks = [r for r in await cloud.resources() if r.kind == "disk"]
    assert [disk.used_by for disk in disks] != []
    assert disks[0].tags[TOKEN_TAG] == "t1"
    await cloud.remove(disks)
    assert not double.leftovers()


async def test_tpu_vms_are_rented_where_the_settings_say_so(
    opened: Callable[..., GcpCloud], tmp_path: Path
) -> None:
    one = replace(ANY, zone="us-central1-a", instance_type="TPU-VM", accelerators={"tpu-v6e-1": 1})
    many = replace(one, accelerators={"tpu-v4-64": 1.0})
    with pytest.raises(InvalidRequest, match="TPU"):
        await opened().create(wish(one))
    assert not any(o.instance_type == "TPU-VM" for o in await opened().offers())
    with GcpTpu().running() as double:
        cloud = opened(tpu=True, endpoint_url=double.url)
        assert any(o.instance_type == "TPU-VM" for o in await cloud.offers())
        with pytest.raises(UnsupportedFeature, match="several hosts"):
            await cloud.create(wish(many))
        with pytest.raises(InvalidRequest, match="disk"):
            await cloud.create(wish(one, disk_gib=50))
        (node,) = await cloud.create(wish(one))
        labels = double.boxes[node.ref.id].more
        assert labels["runtimeVersion"] == "v2-alpha-tpuv6e"
