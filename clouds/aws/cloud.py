"""Amazon EC2 as a cloud: a gang is one RunInstances, all or nothing, idempotent by its token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

from stix.clouds.agents import finish
from stix.clouds.aws import words
from stix.clouds.aws.api import SETTINGS, Session, credentials
from stix.clouds.aws.errors import failure_of, typed
from stix.clouds.aws.launch import Launcher
from stix.clouds.aws.network import Network
from stix.clouds.aws.volumes import KIND, TYPE, Ebs
from stix.clouds.base import Identity, Node, NodeRef, NodeState, Quota, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import CloudError
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.disks import mount_disks
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import WISH_TAG, TagRule
from stix.clouds.settings import read_settings
from stix.clouds.volumes import Attachment, Volume, VolumeKind, VolumeWish

T = TypeVar("T")
BATCH = 500
Volumes = list[Volume]
_QUOTAS = re.compile(r"Running On-Demand .* instances|All .* Spot Instance Requests")


class AwsCloud(RentedCloud):
    """Instances of EC2. Settings: ``api.SETTINGS``."""

    name = "aws"
    settings = SETTINGS
    traits = Traits(
        user="ubuntu",
        tags=TagRule(count=49),  # one of 50 is for the name
        user_data_bytes=16_384,
        lag_s=60.0,
    )
    # RunInstances refills by two per second (EC2 developer guide, request throttling).
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True
    rates: ClassVar[Mapping[str, float]] = {"create": 2.0, "*": 20.0}

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        values = read_settings(self.name, config.settings, SETTINGS)
        self._settings = values
        self._session = Session(values)
        self._network = Network(self._session, config.home_id, values)
        self._ebs = Ebs(self._session, config.home_id)
        self._launcher = Launcher(self._session, self._network, values)

    def credentials(self) -> str:
        return credentials(self._settings["profile"])

    async def check(self) -> Identity:
        def ask() -> Identity:
            sts = self._session.client("sts", self._session.first_region)
            answer = sts.get_caller_identity()
            return Identity(answer["Account"], answer["Arn"])

        return await self._session.do(ask)

    async def hang_up(self) -> None:
        await self._session.close()

    # -- machines -------------------------------------------------------------------------------

    async def launch(self, order: Order) -> Machine:
        made, errors = await self.launch_all([order])
        if errors:
            raise errors[0]
        return made[0]

    async def launch_all(
        self, orders: Sequence[Order]
    ) -> tuple[list[Machine], list[BaseException]]:
        made: list[Machine] = []
        for row in words.in_rows(orders):
            act = partial(self._session.do, partial(self._launcher.launch, row))
            try:
                instances = await finish(act)
            except CloudError as error:
                return made, [error]
            made += [self._machine(item, row[0].offer.region) for item in instances]
        return made, []

    async def machines(self, search: Search) -> Sequence[Machine]:
        filters = words.tag_filters({HOME_TAG: search.home, WISH_TAG: search.wish})

        def ask(region: str) -> list[Machine]:
            if region not in self._session.regions():
                return []
            found = [self._machine(item, region) for item in self._instances(region, filters)]
            # What we ended ourselves stays in the listing of EC2 for about an hour.
            return [machine for machine in found if machine.state is not NodeState.TERMINATED]

        regions = [search.region] if search.region else await self._regions()
        return [machine for found in await self._in_each(regions, ask) for machine in found]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        await self._by_region(nodes, self._terminate)

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. Spot instances are refused: they are asked for once."""

        def act(region: str, ids: Sequence[str]) -> None:
            self._session.client("ec2", region).stop_instances(InstanceIds=ids)

        await self._by_region(nodes, act)

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. The public address is another one afterwards."""

        def act(region: str, ids: Sequence[str]) -> None:
            self._session.client("ec2", region).start_instances(InstanceIds=ids)

        await self._by_region(nodes, act)

    async def preemption(self, node: NodeRef) -> str | None:
        """See ``CanSpot``; known for about an hour."""
        filters = [{"Name": "instance-id", "Values": [node.id]}]
        found = await self._session.do(partial(self._instances, node.region, filters))
        machines = [self._machine(item, node.region) for item in found]
        taken = [each.reason for each in machines if each.state is NodeState.PREEMPTED]
        return taken[0] if taken else None

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``: a security group of the wish, given to its nodes."""

        def act(region: str, ids: Sequence[str]) -> None:
            ec2 = self._session.client("ec2", region)
            for item in self._instances(region, [{"Name": "instance-id", "Values": [*ids]}]):
                tags = words.shared(words.tags_of(item))
                group = self._network.open(region, tags, ports)
                if group not in _groups(item):
                    groups = [*_groups(item), group]
                    ec2.modify_instance_attribute(InstanceId=item["InstanceId"], Groups=groups)

        await self._by_region(nodes, act)

    # -- other things ---------------------------------------------------------------------------

    async def resources(self) -> list[Resource]:
        filters = words.tag_filters({HOME_TAG: self.config.home_id})

        def ask(region: str) -> list[Resource]:
            return self._network.resources(region, _users(self._instances(region, filters)))

        regions = await self._regions()
        return [each for found in await self._in_each(regions, ask) for each in found]

    async def remove(self, resources: Sequence[Resource]) -> None:
        """See ``CanListResources``; all are tried, then the first refusal is raised."""
        errors: list[CloudError] = []

        def act() -> None:
            for resource in resources:
                try:
                    typed(partial(self._network.remove, resource))
                except CloudError as error:
                    errors.append(error)

        await finish(lambda: self._session.do(act))
        if errors:
            raise errors[0]

    # -- volumes ---------------------------------------------------------------------------------

    @classmethod
    def volume_kinds(cls) -> Mapping[str, VolumeKind]:
        return {TYPE: KIND}

    async def create_volume(self, wish: VolumeWish) -> Volume:
        async with self._locks.hold(f"volume {wish.name}"):
            return await finish(lambda: self._session.do(partial(self._ebs.create, wish)))

    async def volumes(self) -> Volumes:
        found = await self._in_each(await self._regions(), self._ebs.all)
        return [volume for volumes in found for volume in volumes]

    async def delete_volume(self, wish: VolumeWish) -> None:
        await self._session.do(partial(self._ebs.delete, wish))

    async def attach(self, node: Node, volumes: Sequence[Attachment]) -> None:
        await finish(lambda: self._session.do(partial(self._ebs.attach, node, volumes)))

    async def mount(self, node: Node, volumes: Sequence[Attachment]) -> None:
        disks = await self._session.do(partial(self._ebs.disks, node, volumes))
        await mount_disks(await self.runner(node), disks, self.name)

    async def quotas(self, region: str) -> list[Quota]:
        """The limits of vCPUs per family of machines, on demand and spot."""

        def ask() -> list[Quota]:
            rows = self._session.pages(
                "service-quotas", region, "list_service_quotas", "Quotas", ServiceCode="ec2"
            )
            return [
                Quota(row["QuotaName"], region, float(row["Value"]), unit="vCPU")
                for row in rows
                if _QUOTAS.fullmatch(row["QuotaName"])
            ]

        return await self._session.do(ask)

    # -- how it is done

    def _instances(self, region: str, filters: Sequence[Any]) -> list[dict[str, Any]]:
        reservations = self._session.pages(
            "ec2",
            region,
            "describe_instances",
            "Reservations",
            Filters=filters,
            PaginationConfig={"PageSize": BATCH},
        )
        return [item for reservation in reservations for item in reservation["Instances"]]

    def _terminate(self, region: str, ids: Sequence[str]) -> None:
        from botocore.exceptions import ClientError

        ec2 = self._session.client("ec2", region)
        left = [each for each in ids if words.INSTANCE_ID.fullmatch(each)]
        while left:
            try:
                answer = ec2.terminate_instances(InstanceIds=left)
            except ClientError as error:
                failure = failure_of(error)
                missing = set(words.INSTANCE_ID.findall(failure.message)) & set(left)
                # EC2 ends none where it does not know one.
                if not failure.code.startswith("InvalidInstanceID") or not missing:
                    raise
                left = [each for each in left if each not in missing]
                continue
            self._bury(region, answer["TerminatingInstances"])
            return

    def _bury(self, region: str, ended: Sequence[Mapping[str, Any]]) -> None:
        """Untag what was over before: it was taken away, and nobody needs to know any more."""
        over = [e["InstanceId"] for e in ended if e["PreviousState"]["Name"] in words.OVER]
        if over:
            self._network.untag(region, over)

    def _machine(self, item: Mapping[str, Any], region: str) -> Machine:
        return words.machine_of(item, region, internal=self._settings["use_internal_ips"])

    async def _regions(self) -> list[str]:
        named = self._settings["regions"]
        return list(named) or sorted(await self._session.do(self._session.regions))

    async def _in_each(self, regions: Sequence[str], ask: Callable[[str], T]) -> list[T]:
        acts = (self._session.do(partial(ask, region)) for region in regions)
        return [*await asyncio.gather(*acts)]

    async def _by_region(
        self, nodes: Sequence[NodeRef], act: Callable[[str, Sequence[str]], None]
    ) -> None:
        by_region: dict[str, list[str]] = {}
        for node in dict.fromkeys(nodes):
            by_region.setdefault(node.region, []).append(node.id)
        for region, ids in by_region.items():
            await self._session.do(partial(act, region, ids))


def _users(items: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Id or name of a group to the instances in it that are not over."""
    users: dict[str, list[str]] = {}
    for item in items:
        if item["State"]["Name"] in words.OVER:
            continue
        place = item.get("Placement", {}).get("GroupName")
        for key in (*_groups(item), *([place] if place else [])):
            users.setdefault(key, []).append(item["InstanceId"])
    return users


def _groups(item: Mapping[str, Any]) -> list[str]:
    """The security groups of an instance."""
    own = item.get("SecurityGroups", [])
    nets = (group for net in item.get("NetworkInterfaces", []) for group in net.get("Groups", []))
    return sorted({group["GroupId"] for group in (*own, *nets)})
