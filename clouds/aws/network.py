"""Where nodes stand: VPC, subnets, firewalls, placement groups; and the list of what is ours.

Made are one security group per home, region and VPC, and for wishes that ask for it a security
group with open ports and a cluster placement group. All carry ``stix-home``. Blocking: for threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from stix.clouds.aws.api import Session
from stix.clouds.aws.errors import code_of
from stix.clouds.aws.words import (
    allowed,
    own_permissions,
    permissions,
    tag_filters,
    tag_list,
    tags_of,
)
from stix.clouds.base import Resource
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.rented.names import home_word
from stix.clouds.rented.tags import WISH_TAG

ABOUT = "Nodes of STIX"


@dataclass(frozen=True)
class Kind:
    """One kind of resource.

    Attributes:
        plural: As in ``describe_<plural>``; the answer has it in capitals.
        id_key: What its id is called.
        removal: The call that removes one.
        billed: Whether it costs money while nobody uses it.
    """

    plural: str
    id_key: str
    removal: str
    billed: bool = False


KINDS = {
    "disk": Kind("volumes", "VolumeId", "delete_volume", billed=True),
    "address": Kind("addresses", "AllocationId", "release_address", billed=True),
    "security group": Kind("security_groups", "GroupId", "delete_security_group"),
    "placement group": Kind("placement_groups", "GroupName", "delete_placement_group"),
    "key": Kind("key_pairs", "KeyPairId", "delete_key_pair"),
}


@dataclass(frozen=True)
class Site:
    """A subnet to put nodes into; EC2 chooses one of the default VPC where it is empty."""

    zone: str | None
    subnet: str = ""


class Network:
    """The network of one home in all regions."""

    def __init__(self, session: Session, home: str, settings: Mapping[str, Any]) -> None:
        self._session = session
        self._settings = settings
        self._home = home

    def sites(self, region: str, zone: str | None) -> list[Site]:
        """Where nodes may go, in the order in which to try.

        Raises:
            InvalidRequest: the settings name a VPC without subnets.
            CapacityError: none is in ``zone``.
        """
        vpc = self._vpc(region)
        if not vpc:
            return [Site(zone)]
        ec2 = self._session.client("ec2", region)
        found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        sites = [Site(each["AvailabilityZone"], each["SubnetId"]) for each in found]
        sites.sort(key=lambda site: (site.zone or "", site.subnet))
        if not sites:
            raise InvalidRequest(f"aws: {vpc} has no subnets in {region}", fix="see `aws.vpc`")
        if zone is not None:
            sites = [site for site in sites if site.zone == zone]
        if not sites:
            raise CapacityError(f"aws: {vpc} has no subnet in {zone}", scope="zone")
        return sites

    def group(self, region: str) -> str:
        """The security group of all nodes; made where there is none."""
        name = f"stix-{home_word(self._home)}"
        group = self._ensure(region, name, {HOME_TAG: self._home})
        self._allow(region, group, own_permissions(group["GroupId"], self._settings["ssh_from"]))
        return str(group["GroupId"])

    def open(self, region: str, tags: Mapping[str, str], ports: Sequence[str]) -> str:
        """A security group of one wish that lets the world in at ``ports``."""
        name = f"stix-{home_word(self._home)}-{tags[WISH_TAG]}"
        group = self._ensure(region, name, tags)
        self._allow(region, group, permissions(ports))
        return str(group["GroupId"])

    def cluster(self, region: str, tags: Mapping[str, str]) -> str:
        """A placement group of one wish; the machines in it stand side by side."""
        name = f"stix-{home_word(self._home)}-{tags[WISH_TAG]}"
        ec2 = self._session.client("ec2", region)
        self._unless(
            "InvalidPlacementGroup.Duplicate",
            lambda: ec2.create_placement_group(
                GroupName=name,
                Strategy="cluster",
                TagSpecifications=[{"ResourceType": "placement-group", "Tags": tag_list(tags)}],
            ),
        )
        return name

    def dissolve(self, region: str, name: str) -> None:
        """Remove a placement group, unless machines are in it."""
        ec2 = self._session.client("ec2", region)
        benign = ("InvalidPlacementGroup.Unknown", "InvalidPlacementGroup.InUse")
        self._unless(benign, lambda: ec2.delete_placement_group(GroupName=name))

    def resources(self, region: str, users: Mapping[str, Sequence[str]]) -> list[Resource]:
        """Everything of this home but instances.

        Args:
            region: Where.
            users: Id or name of a group to the instances that are in it.
        """
        return [
            self._resource(name, item, region, users)
            for name, kind in KINDS.items()
            for item in self._listed(kind, region)
        ]

    def _resource(
        self, name: str, item: Mapping[str, Any], region: str, users: Mapping[str, Sequence[str]]
    ) -> Resource:
        key, tags, created = item[KINDS[name].id_key], tags_of(item), item.get("CreateTime")
        attached = [each["InstanceId"] for each in item.get("Attachments", [])]
        return Resource(
            cloud="aws",
            kind=name,
            id=key,
            region=region,
            tags=tags,
            created=created.timestamp() if created else None,
            used_by=tuple(users.get(key, attached)),
            shared=name == "security group" and WISH_TAG not in tags,
            billed=KINDS[name].billed,
        )

    def remove(self, resource: Resource) -> None:
        """Remove one. Silent where it is gone; raises where it is in use."""
        kind = KINDS[resource.kind]
        ec2 = self._session.client("ec2", resource.region)
        gone = ("NotFound", "Unknown")
        self._unless(gone, lambda: getattr(ec2, kind.removal)(**{kind.id_key: resource.id}))

    def untag(self, region: str, ids: Sequence[str]) -> None:
        """Take instances that are over out of our listings, as far as EC2 lets us."""
        ec2 = self._session.client("ec2", region)
        gone = ("NotFound", "IncorrectState", "IncorrectInstanceState", "InvalidID")
        self._unless(gone, lambda: ec2.delete_tags(Resources=[*ids], Tags=[{"Key": HOME_TAG}]))

    def _listed(self, kind: Kind, region: str) -> list[dict[str, Any]]:
        call = f"describe_{kind.plural}"
        key = kind.plural.title().replace("_", "")
        filters = tag_filters({HOME_TAG: self._home})
        client = self._session.client("ec2", region)
        if client.can_paginate(call):
            return self._session.pages("ec2", region, call, key, Filters=filters)
        items: list[dict[str, Any]] = getattr(client, call)(Filters=filters)[key]
        return items

    def _vpc(self, region: str) -> str:
        """The VPC of the settings: one for all regions, or one per region; else the default."""
        named = self._settings["vpc"] or ""
        return str(named.get(region, "")) if isinstance(named, Mapping) else str(named)

    def _ensure(self, region: str, name: str, tags: Mapping[str, str]) -> dict[str, Any]:
        """A security group by its name; made where there is none."""
        ec2 = self._session.client("ec2", region)
        vpc = self._vpc(region) or self._default_vpc(region)
        wanted = [
            {"Name": "group-name", "Values": [name]},
            {"Name": "vpc-id", "Values": [vpc]},
        ]
        spec = {"ResourceType": "security-group", "Tags": tag_list(tags)}
        for _ in range(2):
            found = ec2.describe_security_groups(Filters=wanted)["SecurityGroups"]
            if found:
                return {**found[0]}
            made = self._unless(
                "InvalidGroup.Duplicate",  # another engine was faster
                lambda: ec2.create_security_group(
                    GroupName=name, Description=ABOUT, VpcId=vpc, TagSpecifications=[spec]
                ),
            )
            if made is not None:
                return {"GroupId": made["GroupId"]}
        raise InvalidRequest(f"aws: a security group {name} exists in {region} and is not listed")

    def _default_vpc(self, region: str) -> str:
        ec2 = self._session.client("ec2", region)
        found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not found:
            fix = "name a VPC in `aws.vpc`"
            raise InvalidRequest(f"aws: {region} has no default VPC", fix=fix)
        return str(found[0]["VpcId"])

    def _allow(
        self, region: str, group: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]
    ) -> None:
        """Let in what is not let in yet. Each rule by itself: of several, one that another engine
        has just added would have all refused."""
        ec2 = self._session.client("ec2", region)
        for rule in rules:
            if not allowed(rule, group.get("IpPermissions", [])):
                add = partial(
                    ec2.authorize_security_group_ingress,
                    GroupId=group["GroupId"],
                    IpPermissions=[rule],
                )
                self._unless("InvalidPermission.Duplicate", add)

    @staticmethod
    def _unless(benign: str | tuple[str, ...], act: Callable[[], Any]) -> Any:
        """What ``act`` gives; None where it was refused with a code that ends like that."""
        from botocore.exceptions import ClientError

        try:
            return act()
        except ClientError as error:
            if code_of(error).endswith(benign):
                return None
            raise
