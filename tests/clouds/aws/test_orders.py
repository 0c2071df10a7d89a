"""What is ordered of EC2 and where, and what else is made for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.aws import AwsCloud
from stix.clouds.base import CreateRequest, Node, NodeState, Selector
from stix.clouds.config import HOME_TAG, TOKEN_TAG
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    InvalidRequest,
    QuotaError,
    TransientError,
    UnsupportedFeature,
)
from stix.plan.offers import Demand, Offer
from tests.support.aws import shelf
from tests.support.aws.bed import OTHER_REGION, REGION, AwsBed
from tests.support.clouds.benches import offer_of

KIND = "c7i.large"
CLUSTERED = Offer("aws", REGION, None, "c7i.48xlarge", 192, 384, arch="x86_64")
DENIED = (
    "You are not authorized to perform this operation. User: arn:aws:iam::1:user/u is not "
    "authorized to perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1:1:volume/*"
)


@pytest.fixture
async def cloud(bed: AwsBed, tmp_path: Path) -> AsyncIterator[AwsCloud]:
    cloud = AwsCloud(bed.config(tmp_path))
    yield cloud
    await cloud.close()


def wish(token: str, count: int = 1, **more: Any) -> CreateRequest:
    offer = more.pop("offer", None) or offer_of("aws", REGION, KIND)
    tags = {TOKEN_TAG: token}
    return CreateRequest(token, offer, Demand(), count, "n", tags, **more)


def ordered(bed: AwsBed) -> dict[str, str]:
    """The parameters of the last RunInstances."""
    return next(c.params for c in reversed(bed.proxy.calls) if c.action == "RunInstances")


def custom_vpc(bed: AwsBed, zones: str) -> str:
    ec2 = bed.client()
    vpc: str = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    for number, zone in enumerate(zones):
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.9.{number}.0/24", AvailabilityZone=f"{REGION}{zone}"
        )
    return vpc


async def test_an_order_says_it_all_in_one_call(cloud: AwsCloud, bed: AwsBed) -> None:
    nodes = await cloud.create(wish("one", 3, disk_gib=200))
    asked = ordered(bed)
    assert (asked["MinCount"], asked["MaxCount"]) == ("3", "3")
    assert len(asked["ClientToken"]) <= 64
    assert asked["BlockDeviceMapping.1.Ebs.VolumeSize"] == "200"
    assert asked["BlockDeviceMapping.1.Ebs.DeleteOnTermination"] == "true"
    assert asked["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert asked["ImageId"] == shelf.X86_IMAGE
    assert bed.proxy.actions().count("RunInstances") == 1
    assert [node.rank for node in nodes] == [0, 1, 2]
    disks = bed.client().describe_volumes()["Volumes"]
    assert [disk["Size"] for disk in disks] == [200, 200, 200]
    assert all({"Key": HOME_TAG, "Value": "bed"} in disk["Tags"] for disk in disks)


@pytest.mark.parametrize(
    ("kind", "image", "expected"),
    [
        ("m7g.large", "", shelf.ARM_IMAGE),
        ("g5.xlarge", "", shelf.GPU_IMAGE),
        ("g5.xlarge", shelf.X86_IMAGE, shelf.X86_IMAGE),
        (KIND, "/aws/service/canonical/ubuntu/server/22.04/x/ami-id", shelf.X86_IMAGE),
    ],
)
async def test_the_image(
    cloud: AwsCloud, bed: AwsBed, kind: str, image: str, expected: str
) -> None:
    await cloud.create(wish("image", offer=offer_of("aws", REGION, kind), image=image))
    assert ordered(bed)["ImageId"] == expected


@pytest.mark.parametrize("image", ["ami-0123456789abcdef0", "/aws/service/nothing"])
async def test_an_image_that_is_none(cloud: AwsCloud, image: str) -> None:
    with pytest.raises(InvalidRequest, match=r"ami-|nothing"):
        await cloud.create(wish("image", image=image))


async def test_a_zone_is_kept(cloud: AwsCloud, bed: AwsBed) -> None:
    offer = replace(offer_of("aws", REGION, KIND), zone=f"{REGION}c")
    [node] = await cloud.create(wish("zone", offer=offer))
    assert node.ref.zone == f"{REGION}c"
    bed.gaps.stock[KIND, f"{REGION}d"] = 0
    with pytest.raises(CapacityError) as none:
        await cloud.create(wish("full", offer=replace(offer, zone=f"{REGION}d")))
    assert none.value.scope == "zone"
    with pytest.raises(CapacityError) as unknown:
        await cloud.create(wish("strange", offer=replace(offer, zone=f"{REGION}e")))
    assert unknown.value.scope == "zone" and "Unsupported" in unknown.value.message


async def test_subnets_of_a_vpc_are_tried_in_turn(bed: AwsBed, tmp_path: Path) -> None:
    cloud = AwsCloud(bed.config(tmp_path, vpc=custom_vpc(bed, "bca")))
    bed.gaps.stock = {(KIND, f"{REGION}{zone}"): int(zone == "c") for zone in "abc"}
    [node] = await cloud.create(wish("subnets"))
    assert node.ref.zone == f"{REGION}c"
    with pytest.raises(CapacityError) as none:
        await cloud.create(wish("more"))
    assert none.value.scope == "type"
    with pytest.raises(CapacityError, match="no subnet"):
        offer = replace(offer_of("aws", REGION, KIND), zone=f"{REGION}d")
        await cloud.create(wish("other", offer=offer))
    await cloud.close()


async def test_a_region_without_a_default_vpc(cloud: AwsCloud, bed: AwsBed) -> None:
    ec2 = bed.client()
    [vpc] = ec2.describe_vpcs()["Vpcs"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    with pytest.raises(InvalidRequest) as refused:
        await cloud.create(wish("no-vpc"))
    assert "aws.vpc" in refused.value.fix


async def test_types_and_regions_that_there_are_not(cloud: AwsCloud) -> None:
    plain = offer_of("aws", REGION, KIND)
    for offer in (replace(plain, instance_type="zz.big"), replace(plain, region="ap-east-1")):
        with pytest.raises(CapacityError) as refused:
            await cloud.create(wish("none", offer=offer))
        assert refused.value.scope == "region"


async def test_the_quota_of_vcpus(cloud: AwsCloud, bed: AwsBed) -> None:
    bed.gaps.vcpus[REGION] = 3
    await cloud.create(wish("fits"))
    with pytest.raises(QuotaError) as refused:
        await cloud.create(wish("too-much"))
    assert refused.value.scope == "region"


async def test_disks_are_not_tagged_where_that_is_not_allowed(cloud: AwsCloud, bed: AwsBed) -> None:
    bed.proxy.fault("RunInstances", "UnauthorizedOperation", status=403, message=DENIED)
    [node] = await cloud.create(wish("untagged"))
    assert node.state.alive
    bed.proxy.fault("RunInstances", "UnauthorizedOperation", status=403, message="no RunInstances")
    with pytest.raises(AuthError):
        await cloud.create(wish("refused"))


async def test_gangs_with_efa_stand_side_by_side(cloud: AwsCloud, bed: AwsBed) -> None:
    nodes = await cloud.create(wish("gang", 2, offer=CLUSTERED))
    group = ordered(bed)["Placement.GroupName"]
    found = {r.id: r for r in await cloud.resources() if r.kind == "placement group"}
    assert set(found[group].used_by) == {node.ref.id for node in nodes}
    assert not found[group].shared and found[group].tags[TOKEN_TAG] == "gang"
    with pytest.raises(TransientError):
        await cloud.remove([found[group]])
    await cloud.terminate([node.ref for node in nodes])
    await cloud.remove([found[group]])
    assert [r.kind for r in await cloud.resources()] == ["security group"]

    bed.gaps.stock = {(CLUSTERED.instance_type, z): 1 for z in shelf.zones("c7i.48xlarge", REGION)}
    with pytest.raises(CapacityError):
        await cloud.create(wish("refused", 2, offer=CLUSTERED))
    assert list(bed.left()) == ["security group"]


async def test_placement_groups_can_be_forbidden(bed: AwsBed, tmp_path: Path) -> None:
    cloud = AwsCloud(bed.config(tmp_path, placement_groups=False))
    await cloud.create(wish("apart", 2, offer=CLUSTERED))
    assert "Placement.GroupName" not in ordered(bed)
    await cloud.close()


async def test_ports_are_those_of_a_wish(cloud: AwsCloud, bed: AwsBed) -> None:
    [node] = await cloud.create(wish("web", ports=("8080",)))
    [other] = await cloud.create(wish("plain"))
    for _ in range(2):
        await cloud.open_ports([node.ref, other.ref], ["8080", "10000-10010"])
    assert world(bed, node) == world(bed, other) == {(22, 22), (8080, 8080), (10000, 10010)}
    groups = [r for r in await cloud.resources() if r.kind == "security group"]
    users = {(r.shared, frozenset(r.used_by)) for r in groups}
    both = frozenset({node.ref.id, other.ref.id})
    assert users == {(True, both), (False, frozenset({node.ref.id})), (False, both - {node.ref.id})}
    [third] = await cloud.create(wish("closed"))
    assert world(bed, third) == {(22, 22)}


def world(bed: AwsBed, node: Node) -> set[tuple[int, int]]:
    """The ports of an instance that the world reaches."""
    ec2 = bed.client()
    [item] = [i for i in bed.alive() if i["InstanceId"] == node.ref.id]
    keys = {g["GroupId"] for n in item["NetworkInterfaces"] for g in n["Groups"]}
    keys |= {g["GroupId"] for g in item["SecurityGroups"]}
    found = ec2.describe_security_groups(GroupIds=sorted(keys))["SecurityGroups"]
    rules = [rule for group in found for rule in group["IpPermissions"]]
    return {(r["FromPort"], r["ToPort"]) for r in rules if r["IpRanges"]}


async def test_a_node_that_is_no_more_spares_no_other(cloud: AwsCloud, bed: AwsBed) -> None:
    nodes = await cloud.create(wish("two", 2))
    gone = [replace(nodes[0].ref, id=f"i-{n:017x}") for n in range(2)]
    await cloud.terminate([gone[0], nodes[0].ref, gone[1], nodes[1].ref])
    assert bed.alive() == []


async def test_every_region_is_listed_and_terminated(cloud: AwsCloud, bed: AwsBed) -> None:
    there = replace(offer_of("aws", REGION, KIND), region=OTHER_REGION)
    nodes = [*await cloud.create(wish("here")), *await cloud.create(wish("there", offer=there))]
    listed = await cloud.list(Selector())
    assert {n.ref.region for n in listed} == {REGION, OTHER_REGION}
    await cloud.terminate([node.ref for node in nodes])
    assert bed.alive() == bed.alive(OTHER_REGION) == []


async def test_without_regions_in_the_settings_all_enabled_ones_are_asked(
    bed: AwsBed, tmp_path: Path
) -> None:
    config = bed.config(tmp_path)
    settings = {key: value for key, value in config.settings.items() if key != "regions"}
    cloud = AwsCloud(replace(config, settings=settings))
    assert await cloud.list(Selector()) == []
    asked = {call.region for call in bed.proxy.calls if call.action == "DescribeInstances"}
    assert {REGION, OTHER_REGION, "eu-west-1"} <= asked
    assert "ap-east-1" not in asked
    await cloud.close()


async def test_a_spot_instance_cannot_be_stopped(cloud: AwsCloud, bed: AwsBed) -> None:
    [node] = await cloud.create(wish("spot", offer=offer_of("aws", REGION, KIND, spot=True)))
    with pytest.raises(UnsupportedFeature):
        await cloud.stop([node.ref])
    assert (await cloud.list(Selector()))[0].state is NodeState.RUNNING


async def test_a_shutdown_from_inside_is_a_failure(cloud: AwsCloud, bed: AwsBed) -> None:
    [node] = await cloud.create(wish("dies"))
    bed.crash(node.ref.id)
    [seen] = await cloud.list(Selector())
    assert seen.state is NodeState.FAILED and not seen.billed
    assert "Server.InternalError" in seen.reason
    assert await cloud.preemption(node.ref) is None


async def test_who_we_are(cloud: AwsCloud, bed: AwsBed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await cloud.check()).account == "123456789012"
    assert cloud.credentials() == "$AWS_ACCESS_KEY_ID"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert cloud.credentials() == ""


async def test_settings_that_make_no_sense(bed: AwsBed, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"aws\.regoins"):
        AwsCloud(bed.config(tmp_path, regoins=[REGION]))
