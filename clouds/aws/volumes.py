"""EBS volumes: made in a zone, attached to one instance at a time. Blocking: for threads."""

from __future__ import annotations

import hashlib
import math
import string
from collections.abc import Mapping, Sequence
from typing import Any

from stix.clouds.aws.api import Session
from stix.clouds.aws.errors import code_of
from stix.clouds.aws.words import tag_filters, tag_list, tags_of
from stix.clouds.base import Node
from stix.clouds.config import HOME_TAG
from stix.clouds.errors import CapacityError, InvalidRequest, TransientError, VolumeInUse
from stix.clouds.rented.disks import Disk
from stix.clouds.volumes import VOLUME_TAG, Attachment, Volume, VolumeKind, VolumeWish

TYPE = "aws-ebs"
TIERS = ("gp3", "gp2", "io1", "io2", "st1", "sc1", "standard")
KIND = VolumeKind(
    "a volume of EBS",
    reach="zone",
    sub_path=True,
    shared=False,
    per_node=10,
    config={"volume_type": TIERS},
)
ALIVE = ("creating", "available", "in-use")
DEVICES = [f"/dev/sd{letter}" for letter in string.ascii_lowercase[5:16]]  # f to p, as EC2 advises
TRIES = 8


class Ebs:
    """The volumes of one home in all regions."""

    def __init__(self, session: Session, home: str) -> None:
        self._session, self._home = session, home

    def create(self, wish: VolumeWish) -> Volume:
        """See ``HasVolumes``. The caller holds a lock on the name."""
        if wish.existing:
            return self._volume(self._get(wish.region, wish.existing), wish.region)
        found = self._found(wish)
        made = found[0] if found else self._make(wish)
        if wish.zone and made["AvailabilityZone"] != wish.zone:
            said = f"aws: the volume {wish.name} is in {made['AvailabilityZone']}"
            raise InvalidRequest(said, fix="delete it there, or name that zone")
        return self._volume(made, wish.region)

    def all(self, region: str) -> list[Volume]:
        """Those of one region, through all pages."""
        filters = [
            *tag_filters({HOME_TAG: self._home}),
            {"Name": "tag-key", "Values": [VOLUME_TAG]},
        ]
        found = self._session.pages(
            "ec2", region, "describe_volumes", "Volumes", Filters=filters, MaxResults=500
        )
        return [self._volume(item, region) for item in found if item["State"] in ALIVE]

    def delete(self, wish: VolumeWish) -> None:
        """See ``HasVolumes``."""
        from botocore.exceptions import ClientError

        if wish.existing:
            return
        for item in self._found(wish):
            if users := _users(item):
                raise VolumeInUse(f"aws: {wish.name} is attached to {', '.join(users)}")
            ec2 = self._session.client("ec2", wish.region)
            try:
                ec2.delete_volume(VolumeId=item["VolumeId"])
            except ClientError as error:
                if not code_of(error).endswith("NotFound"):
                    raise

    def attach(self, node: Node, wanted: Sequence[Attachment]) -> None:
        """See ``CanMount``."""
        region, instance = node.ref.region, node.ref.id
        ec2 = self._session.client("ec2", region)
        for each in wanted:
            item = self._get(region, each.id)
            users = _users(item)
            if instance in users:
                continue
            if users:
                said = f"aws: {each.wish.name or each.id} is attached to {', '.join(users)}"
                raise CapacityError(said, scope="zone")
            device = self._free_device(region, instance)
            ec2.attach_volume(VolumeId=each.id, InstanceId=instance, Device=device)

    def disks(self, node: Node, wanted: Sequence[Attachment]) -> list[Disk]:
        """Where they appear: on most machines by their serial number, on old ones by a letter."""
        found = []
        for each in wanted:
            item = self._get(node.ref.region, each.id)
            serial = each.id.replace("-", "")
            devices = [f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}"]
            for held in item.get("Attachments", []):
                if held["InstanceId"] == node.ref.id:
                    devices.append(str(held["Device"]).replace("/dev/sd", "/dev/xvd"))
            found.append(Disk(each, devices))
        return found

    def _make(self, wish: VolumeWish) -> dict[str, Any]:
        """The token of one that was deleted meanwhile serves no more: the next one does, and is
        the same for whoever asks after us."""
        if not wish.zone:
            raise InvalidRequest(
                "aws: a volume lies in one zone", fix="write infra: aws/REGION/ZONE"
            )
        ec2 = self._session.client("ec2", wish.region)
        tags = tag_list({**wish.tags(self._home), "Name": wish.id_at(self._home)})
        for turn in range(TRIES):
            whole = f"{self._home}\0{wish.name}\0{wish.zone}\0{wish.size_gib}\0{turn}"
            made: dict[str, Any] = ec2.create_volume(
                AvailabilityZone=wish.zone,
                Size=math.ceil(wish.size_gib or KIND.least_gib),
                VolumeType=str(wish.config.get("volume_type", TIERS[0])),
                ClientToken=hashlib.sha256(whole.encode()).hexdigest(),
                TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
            )
            if made["State"] in ALIVE and self._is_there(wish.region, made["VolumeId"]):
                return made
        raise TransientError(f"aws: volumes named {wish.name} were made and deleted too often")

    def _is_there(self, region: str, volume: str) -> bool:
        try:
            return self._get(region, volume)["State"] in ALIVE
        except InvalidRequest:
            return False

    def _found(self, wish: VolumeWish) -> list[dict[str, Any]]:
        filters = tag_filters({HOME_TAG: self._home, VOLUME_TAG: wish.name})
        found = self._session.pages(
            "ec2", wish.region, "describe_volumes", "Volumes", Filters=filters
        )
        alive = [item for item in found if item["State"] in ALIVE]
        return sorted(alive, key=lambda item: (str(item.get("CreateTime")), item["VolumeId"]))

    def _get(self, region: str, volume: str) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        ec2 = self._session.client("ec2", region)
        try:
            found: list[dict[str, Any]] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
        except ClientError as error:
            if not code_of(error).startswith(("InvalidVolume", "InvalidParameterValue")):
                raise
            found = []
        if not found:
            fix = "see `aws ec2 describe-volumes` and `stix volumes ls -r`"
            raise InvalidRequest(f"aws: there is no volume {volume} in {region}", fix=fix)
        return found[0]

    def _free_device(self, region: str, instance: str) -> str:
        ec2 = self._session.client("ec2", region)
        answer = ec2.describe_instances(InstanceIds=[instance])
        [item] = [i for r in answer["Reservations"] for i in r["Instances"]]
        taken = {mapping["DeviceName"] for mapping in item.get("BlockDeviceMappings", [])}
        for device in DEVICES:
            if device not in taken and device.replace("/sd", "/xvd") not in taken:
                return device
        raise InvalidRequest(f"aws: {instance} has {len(DEVICES)} volumes already", fix="use fewer")

    def _volume(self, item: Mapping[str, Any], region: str) -> Volume:
        tags = tags_of(item)
        ours = tags.get(HOME_TAG) == self._home
        return Volume(
            cloud="aws",
            kind=TYPE,
            id=item["VolumeId"],
            name=tags.get(VOLUME_TAG, "") if ours else "",
            region=region,
            zone=item["AvailabilityZone"],
            size_gib=float(item["Size"]),
            used_by=tuple(_users(item)),
            state=item["State"],
        )


def _users(item: Mapping[str, Any]) -> list[str]:
    """Instances that hold a volume."""
    held = [a for a in item.get("Attachments", []) if a.get("State") != "detached"]
    return [each["InstanceId"] for each in held]
