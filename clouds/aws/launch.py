"""Orders become one RunInstances: all or nothing, idempotent by its token. For threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from stix.clouds.aws import words
from stix.clouds.aws.api import Session
from stix.clouds.aws.errors import code_of, failure_of, typed
from stix.clouds.aws.network import Network, Site
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest
from stix.clouds.rented.machines import Order
from stix.clouds.rented.tags import RANK_TAG

GENERATIONS = 20


class Launcher:
    """Makes instances in any region of one account.

    Args:
        settings: Values of ``api.SETTINGS``.
    """

    def __init__(self, session: Session, network: Network, settings: Mapping[str, Any]) -> None:
        self._session = session
        self._network = network
        self._settings = settings

    def launch(self, orders: Sequence[Order]) -> list[Any]:
        """The instances of one row of orders (see ``words.in_rows``), as RunInstances gives them.

        Raises:
            CapacityError: no place that the offer speaks of has room; nothing is left behind.
            CloudError: anything else.
        """
        first = orders[0]
        region, zone = first.offer.region, first.offer.zone
        if region not in self._session.regions():
            fix = "enable the region in the account"
            raise CapacityError(f"aws: the account has no region {region}", scope="region", fix=fix)
        asked = self._asked(orders)
        sites = self._network.sites(region, zone)
        try:
            return self._anywhere(region, sites, asked, first)
        except CapacityError as error:
            self._undo(region, asked)
            if zone is not None or error.scope != "zone":
                raise
            # Without a zone in the offer it is the type that the region has none of.
            raise type(error)(error.message, scope="type", fix=error.fix) from error
        except CloudError as error:
            if not error.retryable:
                self._undo(region, asked)
            raise

    def _anywhere(
        self, region: str, sites: Sequence[Site], asked: Mapping[str, Any], first: Order
    ) -> list[Any]:
        for site in sites[:-1]:
            try:
                return typed(partial(self._run, region, site, asked, first))
            except CapacityError as error:
                if error.scope != "zone":
                    raise
        return typed(partial(self._run, region, sites[-1], asked, first))

    def _run(self, region: str, site: Site, asked: Mapping[str, Any], first: Order) -> list[Any]:
        """One RunInstances. A token whose instances were ended is used up: the next one counts."""
        from botocore.exceptions import ClientError

        ec2 = self._session.client("ec2", region)
        placed = _at(site, asked)
        for generation in range(GENERATIONS):
            place = site.zone or "any"
            token = f"{first.idempotency}-{asked['MinCount']}-{place}-{generation}"
            try:
                instances: list[Any] = ec2.run_instances(ClientToken=token, **placed)["Instances"]
                return instances
            except ClientError as error:
                if _denied_volume_tags(error):
                    placed["TagSpecifications"] = placed["TagSpecifications"][:1]
                elif code_of(error) != "IdempotentInstanceTerminated":
                    raise
        raise InvalidRequest("aws: the machines of this token were ended too often")

    def _asked(self, orders: Sequence[Order]) -> dict[str, Any]:
        """Parameters of RunInstances; the rank in the tags is that of the first instance."""
        first = orders[0]
        region = first.offer.region
        image, device, least = self._image(region, first)
        tags = {"Name": first.name, **first.tags, RANK_TAG: str(first.rank)}
        groups = [self._network.group(region)]
        if first.ports:
            groups.append(self._network.open(region, words.shared(first.tags), first.ports))
        disk = first.disk_gib or self._settings["disk_gib"]
        ebs = {"VolumeSize": max(disk, least), "VolumeType": "gp3", "DeleteOnTermination": True}
        asked: dict[str, Any] = {
            "ImageId": image,
            "InstanceType": first.offer.instance_type,
            "MinCount": len(orders),
            "MaxCount": len(orders),
            "UserData": first.user_data,
            "SecurityGroupIds": groups,
            # A machine that shuts itself down must not stay as a disk that costs.
            "InstanceInitiatedShutdownBehavior": "terminate",
            "MetadataOptions": {"HttpTokens": "required"},
            "BlockDeviceMappings": [{"DeviceName": device, "Ebs": ebs}],
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": words.tag_list(tags)}
                for kind in ("instance", "volume")
            ],
        }
        if first.offer.spot:
            asked["InstanceMarketOptions"] = {"MarketType": "spot"}
        if self._settings["instance_profile"]:
            asked["IamInstanceProfile"] = {"Name": self._settings["instance_profile"]}
        if first.count > 1 and self._clusters(region, first.offer.instance_type):
            group = self._network.cluster(region, words.shared(first.tags))
            asked["Placement"] = {"GroupName": group}
        return asked

    def _clusters(self, region: str, kind: str) -> bool:
        """Whether machines of a wish are to stand side by side: those with EFA are."""
        if not self._settings["placement_groups"]:
            return False
        ec2 = self._session.client("ec2", region)
        found = ec2.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
        return bool(found and found[0].get("NetworkInfo", {}).get("EfaSupported"))

    def _undo(self, region: str, asked: Mapping[str, Any]) -> None:
        if "Placement" in asked:
            self._network.dissolve(region, asked["Placement"]["GroupName"])

    def _image(self, region: str, order: Order) -> tuple[str, str, int]:
        """An AMI, the name of its root device, and the size of its disk in GiB."""
        image = words.image_name(order, self._settings["image"])
        if words.is_parameter(image):
            ssm = self._session.client("ssm", region)
            image = ssm.get_parameter(Name=image)["Parameter"]["Value"]
        found = self._session.client("ec2", region).describe_images(ImageIds=[image])["Images"]
        if not found:
            raise InvalidRequest(f"aws: {region} has no image {image}", fix="AMIs differ by region")
        disks = [d.get("Ebs", {}) for d in found[0].get("BlockDeviceMappings", [])]
        sizes = [int(disk.get("VolumeSize", 0)) for disk in disks]
        return image, found[0].get("RootDeviceName") or "/dev/sda1", max(sizes, default=0)


def _at(site: Site, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters for one place."""
    placed = dict(asked)
    if site.subnet:
        interface = {
            "DeviceIndex": 0,
            "SubnetId": site.subnet,
            "Groups": placed.pop("SecurityGroupIds"),
            "DeleteOnTermination": True,
        }
        placed["NetworkInterfaces"] = [interface]
    elif site.zone:
        placed["Placement"] = {**placed.get("Placement", {}), "AvailabilityZone": site.zone}
    return placed


def _denied_volume_tags(error: Any) -> bool:
    """Whether all that was refused is to tag the disks: the account allows no more."""
    failure = failure_of(error)
    return failure.code == "UnauthorizedOperation" and ":volume/" in failure.message
