"""What Azure is asked for: machines, firewalls, and what waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.azure import AzureCloud
from stix.clouds.base import CreateRequest, NodeState, Selector
from stix.clouds.config import TOKEN_TAG, CloudConfig
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest, TransientError
from stix.plan.offers import Demand, Offer
from tests.support.clouds.azure import Azure
from tests.support.clouds.azure_base import surroundings

ANY = Offer("azure", "eastus", None, "Standard_D2s_v5", 2.0, 8.0, price=0.1, arch="x86_64")
Open = Callable[..., AzureCloud]


@pytest.fixture
def double() -> Iterator[Azure]:
    with Azure().running() as double:
        yield double


@pytest.fixture
def opened(double: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    for name, value in surroundings(double.url).items():
        monkeypatch.setenv(name, value)

    def make(**settings: Any) -> AzureCloud:
        known = {"endpoint_url": double.url, "timeout": 0.5, "poll_s": 0, **settings}
        return AzureCloud(CloudConfig(tmp_path, tmp_path, known, "0a1b2c3d4e5f"))

    return make


def wish(offer: Offer = ANY, count: int = 1, token: str = "t1", **more: Any) -> CreateRequest:
    tags = {TOKEN_TAG: token, "stix-run": "r"}
    return CreateRequest(token, offer, Demand(cpus=1.0), count, "x", tags, **more)


async def test_a_plain_machine(opened: Open, double: Azure) -> None:
    await opened(identity="/i").create(wish(disk_gib=33))
    body = double.bodies[0]
    disk = body["properties"]["storageProfile"]["osDisk"]
    assert (disk["diskSizeGB"], disk["deleteOption"]) == (33, "Delete")
    image = body["properties"]["storageProfile"]["imageReference"]
    assert image["offer"] == "ubuntu-24_04-lts"
    assert "priority" not in body["properties"]
    assert "zones" not in body
    assert body["identity"]["userAssignedIdentities"] == {"/i": {}}


async def test_a_spot_machine_with_a_gpu_in_a_zone(opened: Open, double: Azure) -> None:
    gpu = replace(ANY, instance_type="Standard_NC4as_T4_v3", accelerators={"T4": 1.0})
    cloud = opened(use_internal_ips=True)
    await cloud.create(wish(replace(gpu, spot=True, zone="eastus-2")))
    body = double.bodies[0]
    properties = body["properties"]
    assert body["zones"] == ["2"]
    assert properties["evictionPolicy"] == "Deallocate"
    assert properties["billingProfile"] == {"maxPrice": -1}
    assert properties["storageProfile"]["imageReference"]["publisher"] == "microsoft-dsvm"
    (node,) = await cloud.list(Selector())
    assert node.login == f"stix@{node.address}:22"
    assert not [thing for thing in double.things.values() if thing.kind == "address"]


async def test_the_image_of_arm_and_one_of_ones_own(opened: Open, double: Azure) -> None:
    cloud = opened()
    await cloud.create(wish(replace(ANY, instance_type="Standard_D2pls_v5", arch="arm64")))
    image = double.bodies[0]["properties"]["storageProfile"]["imageReference"]
    assert image["sku"] == "server-arm64"
    with pytest.raises(InvalidRequest, match="names no image"):
        await cloud.create(wish(token="t2", image="ubuntu"))


@pytest.mark.parametrize(
    ("code", "scope"),
    [("AllocationFailed", "region"), ("OverconstrainedZonalAllocationRequest", "zone")],
)
async def test_a_machine_that_azure_gives_up_is_removed(
    code: str, scope: str, opened: Open, double: Azure
) -> None:
    double.failing = (code, "Allocation failed.")
    with pytest.raises(CapacityError, match="Allocation failed") as caught:
        await opened().create(wish())
    assert caught.value.scope == scope
    assert not double.alive()
    assert not double.leftovers()


async def test_a_type_that_is_not_sold_there_blocks_no_other(opened: Open, double: Azure) -> None:
    with pytest.raises(CapacityError) as caught:
        await opened().create(wish(replace(ANY, instance_type="Standard_M128")))
    assert caught.value.scope == "type"
    assert not double.leftovers()


async def test_an_order_of_which_nothing_is_heard_is_taken_as_good(
    opened: Open, double: Azure
) -> None:
    cloud = opened()
    await cloud.create(wish(token="first"))
    double.BOOT = ("Creating",) * 1000  # type: ignore[misc]
    (node,) = await opened(wait_s=0).create(wish())
    assert node.state is NodeState.STARTING


async def test_a_removal_is_waited_for(opened: Open, double: Azure) -> None:
    cloud = opened()
    (node,) = await cloud.create(wish())
    double.slow = 4
    await cloud.terminate([node.ref])
    assert not double.alive()
    assert not double.leftovers()


async def test_a_removal_that_takes_too_long_is_told(opened: Open, double: Azure) -> None:
    (node,) = await opened().create(wish())
    double.slow = 10**6
    with pytest.raises(TransientError, match="not removed yet"):
        await opened(most_s=0).terminate([node.ref])
    with pytest.raises(TransientError, match="marked for deletion"):
        await opened().create(wish())


async def test_the_firewall_of_a_wish_goes_with_its_last_machine(
    opened: Open, double: Azure
) -> None:
    cloud = opened()
    nodes = await cloud.create(wish(count=2, ports=("8080",)))
    await cloud.open_ports([nodes[0].ref], ["8080", "10000-10010"])
    (firewall,) = [t for t in double.things.values() if t.kind == "firewall"]
    rules = {
        rule["properties"]["priority"]: rule["properties"]["destinationPortRanges"]
        for rule in firewall.more["properties"]["securityRules"]
    }
    assert rules == {100: ["22"], 200: ["10000-10010", "8080"]}
    await cloud.terminate([nodes[0].ref])
    assert firewall.id in double.things
    await cloud.terminate([nodes[1].ref])
    assert not double.leftovers()
    with pytest.raises(InvalidRequest, match="no port"):
        await cloud.create(wish(ports=("http",)))


async def test_a_firewall_goes_although_the_cards_of_its_machines_linger(
    opened: Open, double: Azure
) -> None:
    cloud = opened()
    nodes = await cloud.create(wish(count=2))
    double.fading = 3
    await cloud.terminate([node.ref for node in nodes])
    assert not double.leftovers()


async def test_a_spot_machine_cannot_be_stopped(opened: Open) -> None:
    cloud = opened()
    (node,) = await cloud.create(wish(replace(ANY, spot=True)))
    with pytest.raises(CloudError, match="spot"):
        await cloud.stop([node.ref])
    assert await cloud.preemption(node.ref) is None


async def test_what_is_switched_off_costs_money_still(opened: Open, double: Azure) -> None:
    cloud = opened()
    (node,) = await cloud.create(wish())
    for word in ("stopped", "deallocated"):
        double.put(node.ref.id, word)
        (seen,) = await cloud.list(Selector())
        assert (seen.state, seen.billed) == (NodeState.STOPPED, True)


async def test_what_belongs_to_machines_is_told_and_stays(opened: Open, double: Azure) -> None:
    cloud = opened()
    (node,) = await cloud.create(wish())
    found = {each.kind: each for each in await cloud.resources()}
    assert set(found) == {"disk", "address", "network interface", "security group", "network"}
    assert all(each.used_by == (node.ref.id,) for each in found.values())
    assert found["disk"].tags[TOKEN_TAG] == "t1"
    assert [kind for kind, each in found.items() if each.shared] == ["network"]
    for each in found.values():
        with pytest.raises(CloudError, match="in use"):
            await cloud.remove([each])
    assert node.ref.id in double.boxes


async def test_what_was_left_over_can_be_removed(opened: Open, double: Azure) -> None:
    cloud = opened(wait_s=0.1)
    (node,) = await cloud.create(wish())
    for thing in double.things.values():
        thing.owner = ""
    await cloud.terminate([node.ref])
    left = await cloud.resources()
    assert {each.used_by for each in left} == {()}
    await cloud.remove(left)
    assert not double.leftovers()
