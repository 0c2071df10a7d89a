"""A double of Nebius: compute, VPC, IAM and quotas, in the messages of its own SDK, over gRPC.

Source: github nebius/api (2026-08). Orders are operations: what is wrong with the request is said
at once, and whether there is room when the operation ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nebius.api.nebius.common import v1 as common
from nebius.api.nebius.compute import v1 as compute

from stix.clouds.base import NodeState
from stix.clouds.testing.double import Box, Refused, route
from stix.clouds.testing.wire import Asked
from tests.support.clouds.nebius_base import (
    COMPUTE,
    STEP_GIB,
    NebiusBase,
    detail,
    listing,
    sent,
    wrong,
)
from tests.support.clouds.nebius_wire import Said

_GPU = common.NotEnoughResources.Violation(resource_type="gpu", requested="8", message="no GPU")
_LIMIT = common.QuotaFailure.Violation(
    quota="compute.instance.gpu.h100", limit="8", requested="16", message="exceeded"
)


class Nebius(NebiusBase):
    # STOPPED has three meanings, which `spec.stopped` and `status.reconciling` tell apart.
    STATES = {
        "CREATING": NodeState.STARTING,
        "STOPPED, reconciling": NodeState.STARTING,
        "UPDATING": NodeState.STARTING,
        "STARTING": NodeState.STARTING,
        "RUNNING": NodeState.RUNNING,
        "STOPPING": NodeState.STOPPED,
        "STOPPED": NodeState.STOPPED,
        "DELETING": NodeState.TERMINATED,
        "ERROR": NodeState.FAILED,
    }
    UNBILLED = frozenset({"DELETING"})
    BOOT = ("STOPPED, reconciling", "STARTING", "RUNNING")
    STOPPED = "STOPPED"
    PREEMPTED = "STOPPED, preempted"
    REFUSALS = {
        # Said when the operation ends.
        "capacity": (
            429,
            Said(
                "Not enough resources",
                detail(
                    "NotEnoughResources",
                    not_enough_resources=common.NotEnoughResources(violations=[_GPU]),
                ),
            ),
            "region",
        ),
        "quota": (
            429,
            Said(
                "Quota limit exceeded",
                detail("QuotaFailure", quota_failure=common.QuotaFailure(violations=[_LIMIT])),
            ),
            "region",
        ),
        "auth": (
            403,
            Said(
                "Permission denied",
                detail(
                    "PermissionDenied",
                    permission_denied=common.PermissionDenied(resource_id="project"),
                ),
            ),
            "",
        ),
        "invalid": (400, Said("invalid spec.hostname"), ""),
    }
    LOCKED = (401, Said("token is expired"))
    UNKNOWN = (404, Said("not found"))
    PRESETS: Mapping[str, Sequence[str]] = {
        "cpu-d3": ("4vcpu-16gb",),
        "gpu-h100-sxm": ("1gpu-16vcpu-200gb", "8gpu-128vcpu-1600gb"),
        "gpu-h200-sxm": ("8gpu-128vcpu-1600gb",),
    }
    IMAGES = ("ubuntu24.04-driverless", "ubuntu24.04-cuda13.0")

    def new_id(self) -> str:
        return f"computeinstance-e00{len(self.boxes) + len(self.things) + self._made:06d}"

    def stranger(self, name: str) -> str:
        found = super().stranger(name)
        self.boxes[found].zone = "project-e00north"
        return found

    # Compute.

    @route("POST", f"{COMPUTE}.InstanceService/Create")
    def create(self, asked: Asked) -> Any:
        body = compute.CreateInstanceRequest.FromString(asked.body)
        about, spec = body.metadata, body.spec
        self._vet(about, spec)
        region = self.PROJECTS[about.parent_id][1]
        kind = f"{spec.resources.platform}_{spec.resources.preset}"
        more = {"labels": dict(about.labels), "spec": spec, "zone": about.parent_id}
        more["spot"] = spec.preemptible.on_preemption.name == "STOP"
        try:
            box = self.make(about.name, region, kind, **more)
        except Refused as refused:
            if refused.answer.body is not self.REFUSALS["capacity"][1]:
                raise
            return self._operation("computeinstance-none", refused)
        disk = spec.boot_disk.managed_disk
        assert disk is not None
        self.keep("disk", id=f"disk {disk.name}", owner=box.id, labels=dict(disk.labels))
        return self._operation(box.id)

    def _vet(self, about: Any, spec: Any) -> None:
        disk, wires = spec.boot_disk.managed_disk.spec, [*spec.network_interfaces]
        if about.parent_id not in self.PROJECTS:
            raise Refused(403, self.REFUSALS["auth"][1])
        if spec.resources.preset not in self.PRESETS.get(spec.resources.platform, ()):
            raise wrong("unknown platform or preset", "spec.resources")
        if disk.source_image_family.image_family not in self.IMAGES:
            raise wrong("unknown image family", "spec.boot_disk")
        if not disk.size_gibibytes or disk.size_gibibytes % STEP_GIB:
            raise wrong("the size is no multiple of 93 GiB", "spec.boot_disk")
        if len(spec.cloud_init_user_data.encode()) > 32 * 1024:
            raise wrong("user data is too long", "spec.cloud_init_user_data")
        if len(wires) != 1 or wires[0].subnet_id != f"subnet {about.parent_id}":
            raise wrong("unknown subnet", "spec.network_interfaces")
        if not {str(each.id) for each in wires[0].security_groups} <= set(self.things):
            raise wrong("unknown security group", "spec.network_interfaces")
        if spec.gpu_cluster.id and spec.gpu_cluster.id not in self.things:
            raise wrong("unknown GPU cluster", "spec.gpu_cluster")
        names = {b.name for b in self.boxes.values() if b.zone == about.parent_id}
        self._unique(about.name, names)

    @route("POST", f"{COMPUTE}.InstanceService/List")
    def instances(self, asked: Asked) -> Any:
        body = compute.ListInstancesRequest.FromString(asked.body)
        boxes = [box for box in self.boxes.values() if box.zone == body.parent_id]
        # Time goes on with the first page only, so that the pages are of one listing.
        seen = boxes if body.page_token else self.listed(boxes)
        shown = [self._instance(box) for box in seen]
        return listing(compute.ListInstancesResponse, body.page_token, shown)

    @route("POST", f"{COMPUTE}.InstanceService/Get")
    def instance(self, asked: Asked) -> Any:
        body = compute.GetInstanceRequest.FromString(asked.body)
        return sent(self._instance(self.the(body.id)))

    @route("POST", f"{COMPUTE}.InstanceService/GetByName")
    def instance_by_name(self, asked: Asked) -> Any:
        body = common.GetByNameRequest.FromString(asked.body)
        for box in self.boxes.values():
            if (box.zone, box.name) == (body.parent_id, body.name):
                return sent(self._instance(box))
        raise Refused(*self.UNKNOWN)

    @route("POST", f"{COMPUTE}.InstanceService/Delete")
    def destroy(self, asked: Asked) -> Any:
        box = self.the(compute.DeleteInstanceRequest.FromString(asked.body).id)
        self.drop(box)
        return self._operation(box.id)

    @route("POST", f"{COMPUTE}.InstanceService/Stop")
    def halt(self, asked: Asked) -> Any:
        box = self.the(compute.StopInstanceRequest.FromString(asked.body).id)
        box.state = self.STOPPED
        return self._operation(box.id)

    @route("POST", f"{COMPUTE}.InstanceService/Start")
    def boot(self, asked: Asked) -> Any:
        box = self.the(compute.StartInstanceRequest.FromString(asked.body).id)
        box.state = self.BOOT[-1]
        return self._operation(box.id)

    @route("POST", f"{COMPUTE}.GpuClusterService/Create")
    def add_cluster(self, asked: Asked) -> Any:
        body = compute.CreateGpuClusterRequest.FromString(asked.body)
        return self._added("gpu cluster", body, body.spec.infiniband_fabric)

    @route("POST", f"{COMPUTE}.GpuClusterService/GetByName")
    def cluster_by_name(self, asked: Asked) -> Any:
        return self._named("gpu cluster", asked)

    @route("POST", f"{COMPUTE}.GpuClusterService/List")
    def clusters(self, asked: Asked) -> Any:
        body = compute.ListGpuClustersRequest.FromString(asked.body)
        shown = [self._thing(each) for each in self._kind("gpu cluster", body.parent_id)]
        return listing(compute.ListGpuClustersResponse, body.page_token, shown)

    @route("POST", f"{COMPUTE}.GpuClusterService/Delete")
    def drop_cluster(self, asked: Asked) -> Any:
        name = compute.DeleteGpuClusterRequest.FromString(asked.body).id
        if any(name == box.more["spec"].gpu_cluster.id for box in self._ours()):
            raise Refused(412, Said("the cluster has instances"))
        return self._gone(name)

    def _instance(self, box: Box) -> Any:
        word, _, more = box.state.partition(", ")
        spec = box.more.get("spec") or compute.InstanceSpec()
        spec.stopped = word == "STOPPED" and not more
        wires = []
        if word in ("STARTING", "RUNNING"):
            public = compute.PublicIPAddressStatus(address=f"{box.public_ip}/32")
            private = compute.IPAddressStatus(address=f"{box.private_ip}/32")
            wires = [compute.NetworkInterfaceStatus(ip_address=private, public_ip_address=public)]
        about = common.ResourceMetadata(
            id=box.id,
            parent_id=box.zone or "",
            name=box.name,
            labels=box.more.get("labels", {}),
            created_at=datetime.fromtimestamp(box.born, UTC),
        )
        state = getattr(compute.InstanceStatus.InstanceState, word)
        status = compute.InstanceStatus(
            state=state, reconciling=more == "reconciling", network_interfaces=wires
        )
        return compute.Instance(metadata=about, spec=spec, status=status)
