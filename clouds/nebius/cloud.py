"""Nebius. Source: its protos (github nebius/api, 2026-08) as its SDK has them, 0.6.29.

A project is in one region, so a region is a project here. The boot disk is a managed one: it is
made and removed with its machine. A machine that was taken away is ``STOPPED`` while its
specification does not say so; its disk is kept, and costs money.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Quota, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.errors import InvalidRequest
from stix.clouds.nebius.api import Api, sdk, source
from stix.clouds.nebius.places import Places
from stix.clouds.nebius.walls import Walls
from stix.clouds.rented.cloud import COMMON, RentedCloud
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import WISH_TAG, TagRule
from stix.clouds.settings import Setting

SETTINGS = (
    *COMMON,
    Setting("projects", "map", doc="region to the id of a project; the default ones else"),
    Setting("tenant", doc="id of the tenant, where the account may use several"),
    Setting("fabrics", "map", doc="platform to its fabric of InfiniBand"),
    Setting("pause", "number", default=2.0, least=0, doc="seconds between looks at an operation"),
)
STATES: Mapping[str, NodeState] = {
    "CREATING": NodeState.STARTING,
    "UPDATING": NodeState.STARTING,
    "STARTING": NodeState.STARTING,
    "RUNNING": NodeState.RUNNING,
    "STOPPING": NodeState.STOPPED,
    "STOPPED": NodeState.STOPPED,
    "DELETING": NodeState.TERMINATED,
    "ERROR": NodeState.FAILED,
}
STEP_GIB = 93
"""Disks are of multiples of this."""
MADE_S, GONE_S = 1200.0, 300.0
FABRICS: Mapping[tuple[str, str], str] = {
    ("gpu-h100-sxm", "eu-north1"): "fabric-2",
    ("gpu-h200-sxm", "eu-north1"): "fabric-7",
    ("gpu-h200-sxm", "eu-west1"): "fabric-5",
    ("gpu-h200-sxm", "us-central1"): "us-central1-a",
    ("gpu-b200-sxm", "us-central1"): "us-central1-b",
    ("gpu-b200-sxm-a", "me-west1"): "me-west1-a",
    ("gpu-b300-sxm", "uk-south1"): "uk-south1-a",
}
"""InfiniBand by platform and region, of Nebius's documentation of GPU clusters; the setting
``fabrics`` (by platform) has precedence."""


class NebiusCloud(RentedCloud):
    """Machines of Nebius. Settings: ``SETTINGS``."""

    name = "nebius"
    settings = SETTINGS
    traits = Traits(
        user="ubuntu",
        tags=TagRule(count=64, key=r"[a-z][a-z0-9_-]{0,62}", value=r"[a-z0-9_-]{0,63}", chunk=63),
        user_data_bytes=32_768,
        poll_s=5.0,
    )
    rates: ClassVar[Mapping[str, float]] = {"*": 5.0}
    custom_image: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        self._api = Api(config.settings)
        self._walls = Walls(self._api, config.home_id)
        self._places = Places(self._api, config.settings)

    def credentials(self) -> str:
        return source()

    async def check(self) -> Identity:
        self._places.forget()
        projects = await self._places.projects()
        return Identity(await self._places.tenant(), f"projects in {', '.join(sorted(projects))}")

    async def launch(self, order: Order) -> Machine:
        common = sdk("api.nebius.common.v1")
        compute = sdk("api.nebius.compute.v1")
        region = order.offer.region
        project = await self._places.project(region)
        about = common.ResourceMetadata(parent_id=project, name=order.name, labels=order.tags)
        spec = await self._spec(order, project)
        request = compute.CreateInstanceRequest(metadata=about, spec=spec)
        try:
            operation = await self._api.call(compute.InstanceServiceClient, "create", request)
        except Exists:
            named = common.GetByNameRequest(parent_id=project, name=order.name)
            found = await self._api.call(compute.InstanceServiceClient, "get_by_name", named)
            return _machine(found, region)
        await self._api.done(operation, MADE_S)
        return Machine(
            str(operation.resource_id),
            order.name,
            NodeState.STARTING,
            region=region,
            tags=order.tags,
            spot=order.offer.spot,
        )

    async def machines(self, search: Search) -> list[Machine]:
        compute = sdk("api.nebius.compute.v1")
        found = []
        for region, project in (await self._places.projects()).items():
            if search.region not in (None, region):
                continue
            request = compute.ListInstancesRequest(parent_id=project)
            async for entry in self._api.listed(compute.InstanceServiceClient, request):
                if dict(entry.metadata.labels).get(HOME_TAG) == search.home:
                    found.append(_machine(entry, region))
        return found

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        """With their clusters of GPUs: a cluster serves one wish, and goes with its last one."""
        compute = sdk("api.nebius.compute.v1")
        operations, clusters = [], set()
        for node in nodes:
            with suppress(NotThere):
                entry = await self._entry(node.id)
                request = compute.DeleteInstanceRequest(id=node.id)
                operations.append(
                    await self._api.call(compute.InstanceServiceClient, "delete", request)
                )
                clusters.add(str(entry.spec.gpu_cluster.id))
        for operation in operations:
            with suppress(NotThere):
                await self._api.done(operation, GONE_S)
        for cluster in clusters - {""}:
            with suppress(NotThere, InvalidRequest):  # others of its wish are still in it
                await self._drop_cluster(cluster)

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. The disk of a stopped machine costs money."""
        compute = sdk("api.nebius.compute.v1")
        for node in nodes:
            if _machine(await self._entry(node.id), node.region).state is not NodeState.STOPPED:
                await self._acted("stop", compute.StopInstanceRequest(id=node.id))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        compute = sdk("api.nebius.compute.v1")
        for node in nodes:
            if _machine(await self._entry(node.id), node.region).state is NodeState.STOPPED:
                await self._acted("start", compute.StartInstanceRequest(id=node.id))

    async def preemption(self, node: NodeRef) -> str | None:
        """See ``CanSpot``."""
        try:
            machine = _machine(await self._entry(node.id), node.region)
        except NotThere:
            return None
        return machine.reason if machine.state is NodeState.PREEMPTED else None

    async def resources(self) -> list[Resource]:
        """Our security groups and clusters of GPUs, which cost nothing."""
        compute = sdk("api.nebius.compute.v1")
        found = []
        for region, project in (await self._places.projects()).items():
            async for group in self._walls.listed(project):
                found.append(_resource("security group", group, region, shared=True))
            request = compute.ListGpuClustersRequest(parent_id=project)
            async for cluster in self._api.listed(compute.GpuClusterServiceClient, request):
                if dict(cluster.metadata.labels).get(HOME_TAG) == self.config.home_id:
                    used = tuple(str(each) for each in cluster.status.instances)
                    found.append(_resource("gpu cluster", cluster, region, used_by=used))
        return found

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            if resource.kind == "security group":
                await self._walls.drop(resource.id)
            else:
                with suppress(NotThere):
                    await self._drop_cluster(resource.id)

    async def quotas(self, region: str) -> list[Quota]:
        quotas = sdk("api.nebius.quotas.v1")
        request = quotas.ListQuotaAllowancesRequest(parent_id=await self._places.tenant())
        return [
            Quota(
                entry.metadata.name,
                region,
                float(entry.spec.limit or 0),
                float(entry.status.usage or 0),
                entry.status.unit,
            )
            async for entry in self._api.listed(quotas.QuotaAllowanceServiceClient, request)
            if entry.spec.region == region
        ]

    async def hang_up(self) -> None:
        await self._api.close()

    # Orders.

    async def _spec(self, order: Order, project: str) -> Any:
        compute = sdk("api.nebius.compute.v1")
        platform, _, preset = order.offer.instance_type.partition("_")
        subnet, network = await self._places.subnet(project)
        walls = await self._walls.of(project, network, order.ports)
        wire = compute.NetworkInterfaceSpec(
            name="eth0",
            subnet_id=subnet,
            ip_address=compute.IPAddress(),
            public_ip_address=compute.PublicIPAddress(),
            security_groups=[compute.SecurityGroup(id=each) for each in walls],
        )
        more: dict[str, Any] = {}
        if order.offer.spot:
            kept = compute.PreemptibleSpec.PreemptionPolicy.STOP
            more["preemptible"] = compute.PreemptibleSpec(on_preemption=kept)
        if cluster := await self._cluster(order, project, platform, preset):
            more["gpu_cluster"] = compute.InstanceGpuClusterSpec(id=cluster)
        return compute.InstanceSpec(
            resources=compute.ResourcesSpec(platform=platform, preset=preset),
            boot_disk=_disk(order),
            network_interfaces=[wire],
            cloud_init_user_data=order.user_data,
            hostname=order.name,
            # Else a host that fails would bring back a machine that we have given up.
            recovery_policy=compute.InstanceRecoveryPolicy.FAIL,
            **more,
        )

    async def _cluster(self, order: Order, project: str, platform: str, preset: str) -> str:
        """Id of the cluster of GPUs of a gang; empty where InfiniBand is not to be had."""
        common = sdk("api.nebius.common.v1")
        compute = sdk("api.nebius.compute.v1")
        named: Mapping[str, str] = self.config.settings.get("fabrics") or {}
        fabric = named.get(platform) or FABRICS.get((platform, order.offer.region))
        if order.count < 2 or not preset.startswith("8gpu-") or not fabric:
            return ""
        name = order.name.rpartition("-")[0]
        labels = {HOME_TAG: self.config.home_id, WISH_TAG: order.wish}
        about = common.ResourceMetadata(parent_id=project, name=name, labels=labels)
        spec = compute.GpuClusterSpec(infiniband_fabric=fabric)
        request = compute.CreateGpuClusterRequest(metadata=about, spec=spec)
        try:
            operation = await self._api.call(compute.GpuClusterServiceClient, "create", request)
        except Exists:
            there = common.GetByNameRequest(parent_id=project, name=name)
            found = await self._api.call(compute.GpuClusterServiceClient, "get_by_name", there)
            return str(found.metadata.id)
        await self._api.done(operation, GONE_S)
        return str(operation.resource_id)

    async def _drop_cluster(self, cluster: str) -> None:
        compute = sdk("api.nebius.compute.v1")
        request = compute.DeleteGpuClusterRequest(id=cluster)
        operation = await self._api.call(compute.GpuClusterServiceClient, "delete", request)
        await self._api.done(operation, GONE_S)

    async def _entry(self, node_id: str) -> Any:
        compute = sdk("api.nebius.compute.v1")
        request = compute.GetInstanceRequest(id=node_id)
        return await self._api.call(compute.InstanceServiceClient, "get", request)

    async def _acted(self, method: str, request: Any) -> None:
        compute = sdk("api.nebius.compute.v1")
        operation = await self._api.call(compute.InstanceServiceClient, method, request)
        await self._api.done(operation, GONE_S)


def _disk(order: Order) -> Any:
    compute = sdk("api.nebius.compute.v1")
    steps = math.ceil((order.disk_gib or 1) / STEP_GIB)
    image = order.image
    if not image:
        image = "ubuntu24.04-cuda13.0" if order.offer.accelerators else "ubuntu24.04-driverless"
    where: dict[str, Any] = {"source_image_family": compute.SourceImageFamily(image_family=image)}
    if image.startswith("computeimage-"):
        where = {"source_image_id": image}
    kind = compute.DiskSpec.DiskType.NETWORK_SSD
    spec = compute.DiskSpec(type=kind, size_gibibytes=steps * STEP_GIB, **where)
    labels = {name: order.tags[name] for name in (HOME_TAG, WISH_TAG)}
    return compute.AttachedDiskSpec(
        attach_mode=compute.AttachedDiskSpec.AttachMode.READ_WRITE,
        managed_disk=compute.ManagedDisk(name=f"{order.name}-boot", labels=labels, spec=spec),
    )


def _machine(entry: Any, region: str) -> Machine:
    word, spot = entry.status.state.name, entry.spec.preemptible.on_preemption.name == "STOP"
    state, reason = STATES.get(word, NodeState.STARTING), word
    if word == "STOPPED" and not entry.spec.stopped:
        if entry.status.reconciling:
            state, reason = NodeState.STARTING, "STOPPED, and to be started"
        elif spot:
            state, reason = NodeState.PREEMPTED, "STOPPED by Nebius"
    wires = [*entry.status.network_interfaces]
    created = entry.metadata.created_at
    return Machine(
        id=str(entry.metadata.id),
        name=str(entry.metadata.name),
        state=state,
        region=region,
        tags=dict(entry.metadata.labels),
        public_ip=_address(wires[0].public_ip_address.address) if wires else "",
        private_ip=_address(wires[0].ip_address.address) if wires else "",
        created=created.timestamp() if created else None,
        spot=spot,
        billed=state is not NodeState.TERMINATED,
        reason=reason,
    )


def _address(text: str) -> str:
    """Without the length of its network."""
    return str(text).partition("/")[0]


def _resource(kind: str, entry: Any, region: str, **more: Any) -> Resource:
    tags = {str(name): str(value) for name, value in dict(entry.metadata.labels).items()}
    created = entry.metadata.created_at
    return Resource(
        cloud="nebius",
        kind=kind,
        id=str(entry.metadata.id),
        region=region,
        tags=tags,
        created=created.timestamp() if created else None,
        billed=False,
        **more,
    )
