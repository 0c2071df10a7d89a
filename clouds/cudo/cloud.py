"""CUDO Compute. Sources: its API document (api-evangelist/cudo-compute, 2026-08) and its clients
(github cudoventures/cudo-compute-python-client, cudoventures/terraform-provider-cudo, 2026-01).

The id of a machine is the name it was ordered with, so an order can be repeated. A machine that is
being made cannot be ended until that is over. One that is stopped keeps its GPUs and costs as much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from stix.clouds.base import Identity, NodeRef, NodeState, Resource
from stix.clouds.config import HOME_TAG, CloudConfig
from stix.clouds.cudo.errors import ERRORS, NotReady, reading
from stix.clouds.cudo.ground import Ground, Size
from stix.clouds.errors import AuthError, CloudError, TransientError
from stix.clouds.rented import names
from stix.clouds.rented.cloud import RentedCloud
from stix.clouds.rented.credentials import Key, line
from stix.clouds.rented.failures import Exists, NotThere
from stix.clouds.rented.machines import Machine, Order, Search, Traits
from stix.clouds.rented.tags import TagRule
from stix.clouds.settings import Setting, read_settings

FILE = "~/.config/cudo/cudo.yml"
KEY = Key(("CUDO_API_KEY",), ((FILE, line("key:")),))
PROJECT = Key(("CUDO_PROJECT_ID",), ((FILE, line("project:")),))
SETTINGS = (
    Setting("project", doc="id of the project; otherwise that of $CUDO_PROJECT_ID"),
    Setting("poll", "number", default=2.0, least=0, doc="seconds between looks at a machine"),
    Setting("regions", "texts", doc="data centres to use; all by default"),
    Setting("user", doc="whom to log in as"),
    Setting("endpoint_url", doc="address to use in place of CUDO's"),
    Setting("timeout", "number", default=30.0, least=0, doc="seconds without an answer"),
)
STATES: Mapping[str, NodeState] = {
    "PENDING": NodeState.STARTING,
    "STARTING": NodeState.STARTING,
    "CLONING": NodeState.STARTING,
    "RECREATING": NodeState.STARTING,
    "MIGRATING": NodeState.STARTING,
    "HOTPLUGGING": NodeState.STARTING,
    "RESIZING": NodeState.STARTING,
    "RESIZING_DISK": NodeState.STARTING,
    "CREATING_SNAPSHOT": NodeState.STARTING,
    "DELETING_SNAPSHOT": NodeState.STARTING,
    "REVERTING_SNAPSHOT": NodeState.STARTING,
    "UNKNOWN": NodeState.STARTING,
    "ACTIVE": NodeState.RUNNING,
    "STOPPING": NodeState.STOPPED,
    "STOPPED": NodeState.STOPPED,
    "SUSPENDING": NodeState.STOPPED,
    "SUSPENDED": NodeState.STOPPED,
    "FAILED": NodeState.FAILED,
    "DELETING": NodeState.TERMINATED,
    "DELETED": NodeState.TERMINATED,
}
GOING = ("DELETING", "DELETED")
IMAGE, GPU_IMAGE = "ubuntu-2204", "ubuntu-2204-nvidia-535-docker-v20240214"
DISK_GIB = 50
LOOKS = 60


class CudoCloud(RentedCloud):
    """Machines of one project. Settings: ``SETTINGS``."""

    name = "cudo"
    settings = SETTINGS
    traits = Traits(
        user="root",
        # What metadata may hold is not written; these words are legal nearly everywhere.
        tags=TagRule(count=40, key=r"[a-z0-9_-]{1,63}", value=r"[A-Za-z0-9._:-]{1,255}", chunk=250),
        user_data_bytes=0,
        poll_s=5.0,
    )
    rates: ClassVar[Mapping[str, float]] = {"*": 2.0}
    custom_image: ClassVar[bool] = True
    disk_size: ClassVar[bool] = True

    def __init__(self, config: CloudConfig) -> None:
        super().__init__(config)
        values = read_settings(self.name, config.settings, SETTINGS)
        base = "https://rest.compute.cudo.org"
        self._project_set, self._poll_s = values["project"], values["poll"]
        self._api = self.api(base, self._headers, ERRORS, reading=reading)
        self._ground = Ground(self._api, config.home_id)

    def credentials(self) -> str:
        return KEY.find().source if self._project_set or PROJECT.find() else ""

    async def check(self) -> Identity:
        project = await self._api.call("GET", f"/v1/projects/{self._project()}")
        account = project.get("billingAccountId") or ""
        return Identity(f"project {project['id']}", f"billing account {account}")

    async def launch(self, order: Order) -> Machine:
        try:
            return await self._order(order, await self._ground.of(order, self._project()))
        except CloudError:
            self._ground.forget()
            raise

    async def machines(self, search: Search) -> list[Machine]:
        answer = await self._api.call("GET", self._path("vms"))
        found = [_machine(entry, search.home) for entry in _entries(answer, "VMs")]
        return [machine for machine in found if machine.tags.get(HOME_TAG) == search.home]

    async def remove_machines(self, nodes: Sequence[NodeRef]) -> None:
        """With their boot disks and addresses."""
        await asyncio.gather(*(self._end(node.id) for node in nodes))

    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        """See ``CanStop``. What is stopped costs as much."""
        await self._power(nodes, "stop", "ACTIVE")

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        await self._power(nodes, "start", "STOPPED")

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """See ``CanOpenPorts``."""
        for node in nodes:
            groups = await self._ground.groups(self._project(), node.region, ports)
            for group in groups[1:]:
                path = self._path(f"vm/{node.id}/security-group/attach")
                try:
                    await self._api.call("PATCH", path, params={"securityGroupId": group})
                except Exists:
                    continue  # it is attached

    async def resources(self) -> list[Resource]:
        """Our security groups."""
        return await self._ground.resources(self._project(), self.name)

    async def remove(self, resources: Sequence[Resource]) -> None:
        for resource in resources:
            try:
                path = self._path(f"networks/security-groups/{resource.id}")
                await self._api.call("DELETE", path)
            except NotThere:
                continue

    async def hang_up(self) -> None:
        await self._api.close()

    async def _order(self, order: Order, groups: Sequence[str]) -> Machine:
        size = Size.of(order.offer.instance_type)
        body = {
            "vmId": order.name,
            "dataCenterId": order.offer.region,
            "machineType": size.kind,
            "vcpus": size.vcpus,
            "memoryGib": size.memory_gib,
            "gpus": size.gpus,
            "bootDisk": {"sizeGib": order.disk_gib or DISK_GIB},
            "bootDiskImageId": order.image or (GPU_IMAGE if size.gpus else IMAGE),
            "sshKeySource": "SSH_KEY_SOURCE_NONE",
            "customSshKeys": [order.public_key],
            "metadata": dict(order.tags),
            "securityGroupIds": [*groups],
        }
        home = self.config.home_id
        try:
            made = await self._api.call("POST", self._path("vm"), json=body)
        except Exists:
            return _machine(await self._held(order.name), home)
        return Machine(
            made["id"],
            order.name,
            NodeState.STARTING,
            region=order.offer.region,
            tags=order.tags,
        )

    async def _held(self, name: str) -> Mapping[str, Any]:
        """The machine that holds the name: nobody but this home gives such names."""
        entry = await self._look(name)
        if entry is None or entry.get("state") in GOING:
            raise TransientError(f"cudo: the name {name} is held by a machine that is ending")
        return entry

    async def _end(self, name: str) -> None:
        """Ask until CUDO takes it, for a while: it does not end a machine that it still makes."""
        for _ in range(LOOKS):
            try:
                await self._api.call("POST", self._path(f"vms/{name}/terminate"))
            except NotThere:
                return
            except NotReady as error:
                refused = error
            else:
                return
            await asyncio.sleep(self._poll_s)
            entry = await self._look(name)
            if entry is None or entry.get("state") in GOING:
                return
        raise refused

    async def _power(self, nodes: Sequence[NodeRef], action: str, state: str) -> None:
        for node in nodes:
            entry = await self._look(node.id)
            if entry is not None and entry.get("state") == state:
                await self._api.call("POST", self._path(f"vms/{node.id}/{action}"))

    async def _look(self, name: str) -> Mapping[str, Any] | None:
        try:
            answer = await self._api.call("GET", self._path(f"vms/{name}"))
        except NotThere:
            return None
        found: Mapping[str, Any] = answer.get("VM") or answer
        return found

    def _path(self, rest: str) -> str:
        return f"/v1/projects/{self._project()}/{rest}"

    def _project(self) -> str:
        if self._project_set:
            return str(self._project_set)
        found = PROJECT.find()
        if not found:
            raise AuthError("cudo: no project", fix=f"set $CUDO_PROJECT_ID, or `project` in {FILE}")
        return found.value

    async def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {KEY.need(self.name).value}"}


def _entries(answer: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    """The document writes the name in small letters, and the service in large ones. A list that
    is empty may be left out."""
    if not isinstance(answer, Mapping):
        raise TypeError(f"{answer!r} is no listing")
    found: Sequence[Mapping[str, Any]] = answer.get(name) or answer.get(name.lower()) or ()
    return found


def _machine(entry: Mapping[str, Any], home: str) -> Machine:
    # Of an enumeration the first word is left out of answers.
    status = entry.get("state") or "CLONING"
    created = entry.get("createTime")
    return Machine(
        id=entry["id"],
        name=entry["id"],
        state=STATES.get(status, NodeState.STARTING),
        region=entry.get("datacenterId") or "-",
        tags={**names.tags_in(entry["id"], home), **(entry.get("metadata") or {})},
        public_ip=entry.get("externalIpAddress") or entry.get("publicIpAddress") or "",
        private_ip=entry.get("internalIpAddress") or "",
        created=datetime.fromisoformat(created).timestamp() if created else None,
        billed=status != "DELETED",
        reason=status,
    )
