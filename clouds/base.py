"""The interface of a cloud: small, and without retry, logging or money inside.

An adapter creates, lists and terminates nodes. Optional abilities are separate protocols, so that
support tables are computed by ``isinstance`` and never kept by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from stix.clouds.volumes import Attachment, Volume, VolumeKind, VolumeWish
from stix.plan.offers import Demand, Offer
from stix.remote.base import Runner


class NodeState(StrEnum):
    """State of a node, whatever the provider calls it."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    PREEMPTED = "preempted"
    FAILED = "failed"
    TERMINATED = "terminated"

    @property
    def alive(self) -> bool:
        return self in {NodeState.STARTING, NodeState.RUNNING}


@dataclass(frozen=True)
class Identity:
    """Who we are at the provider, shown by ``stix check``."""

    account: str
    detail: str = ""


@dataclass(frozen=True)
class NodeRef:
    """Enough to find one node again after a crash."""

    cloud: str
    id: str
    region: str = "-"
    zone: str | None = None


@dataclass(frozen=True)
class Node:
    """One node as the provider reports it now.

    Attributes:
        ref: How to name it to the same adapter.
        state: Its state.
        address: Address at which the other nodes of the cluster reach it.
        rank: Position in its cluster, from 0.
        directory: Absolute path, on the node, of the directory that is ours.
        tags: Tags it was created with; ``stix-run``, ``stix-stage``, ``stix-attempt`` and
            ``stix-token`` among them.
        accelerators: Name to indices assigned to this node on a shared host.
        socket: Path of the agent's Unix socket on the node; empty where the agent is not up yet.
        login: ``user@host[:port]`` for SSH from outside; empty where the cloud has another way in
            or the provider has not said it yet.
        created: When the provider began to make it, Unix time in seconds; None where it does not
            say.
        spot: Whether it can be taken away.
        billed: Whether it costs money in its present state: a stopped machine often does.
        reason: The provider's words for its state, where it gives some.
    """

    ref: NodeRef
    state: NodeState
    address: str
    rank: int = 0
    directory: str = ""
    socket: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    accelerators: Mapping[str, Sequence[int]] = field(default_factory=dict)
    login: str = ""
    created: float | None = None
    spot: bool = False
    billed: bool = True
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "ref": dict(self.ref.__dict__),
            "state": str(self.state),
            "address": self.address,
            "rank": self.rank,
            "directory": self.directory,
            "socket": self.socket,
            "tags": dict(self.tags),
            "accelerators": {k: list(v) for k, v in self.accelerators.items()},
            "login": self.login,
            "created": self.created,
            "spot": self.spot,
            "billed": self.billed,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Node:
        fields = {**data, "ref": NodeRef(**data["ref"]), "state": NodeState(data["state"])}
        return cls(**fields)


@dataclass(frozen=True)
class CreateRequest:
    """A wish for ``count`` nodes of one offer, all or nothing.

    ``token`` names the wish: a second call with the same token returns the nodes of the first.

    Attributes:
        disk_gib: Size of the boot disk, GiB; None takes the cloud's usual one.
        image: The provider's name of an image (of a container image on container clouds); empty
            for the cloud's usual one.
        ports: Ports to be reachable from outside, such as ``8080`` and ``10000-10010``.
        volumes: What every node gets attached, each at its path.
    """

    token: str
    offer: Offer
    demand: Demand
    count: int
    name: str
    tags: Mapping[str, str]
    disk_gib: int | None = None
    image: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Resource:
    """Something at a provider that is ours and is no node: a disk, an address, a firewall, a key.

    Attributes:
        kind: ``disk``, ``address``, ``security group``, ``key``, ``service``, ``network`` ...
        id: How to name it to the same adapter.
        tags: Tags that it carries; ``stix-home`` and, where it serves one wish, ``stix-token``
            among them.
        created: Unix time in seconds; None where the provider does not say.
        used_by: Ids of nodes that hold it now.
        shared: It serves all nodes of the region or the account, and is kept while there are any.
        billed: Whether it costs money while nobody uses it.
    """

    cloud: str
    kind: str
    id: str
    region: str = "-"
    tags: Mapping[str, str] = field(default_factory=dict)
    created: float | None = None
    used_by: tuple[str, ...] = ()
    shared: bool = False
    billed: bool = True


@dataclass(frozen=True)
class Quota:
    """How much of something the account may have at once in a region."""

    name: str
    region: str
    limit: float
    used: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Selector:
    """Nodes whose tags contain all of ``tags``; an empty selector means all that are ours."""

    tags: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Cloud(Protocol):
    """What every adapter does. All calls may raise ``stix.clouds.errors.CloudError``."""

    name: str

    async def check(self) -> Identity:
        """Prove that credentials and the way to the provider work."""

    async def offers(self) -> Sequence[Offer]:
        """What can be rented here now, as far as known."""

    async def create(self, request: CreateRequest) -> list[Node]:
        """Create the nodes, ranked from 0. Idempotent by token; all or nothing.

        Raises:
            CapacityError: there is no room; nothing is left behind.
            CloudError: anything else; ``created`` names what is left behind.
        """

    async def list(self, selector: Selector) -> list[Node]:
        """Nodes of every state that are ours and match, through all pages."""

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        """Remove the nodes with every process and directory on them. Silent on missing ones."""

    async def runner(self, node: Node) -> Runner:
        """The way to run commands on a node. Cheap to call again."""

    async def close(self) -> None:
        """Release connections."""


@runtime_checkable
class CanStop(Protocol):
    """Nodes can be stopped and started again with their disk."""

    async def stop(self, nodes: Sequence[NodeRef]) -> None: ...
    async def start(self, nodes: Sequence[NodeRef]) -> None: ...


@runtime_checkable
class CanChaos(Protocol):
    """Nodes can be hurt on purpose (``stix chaos``)."""

    async def preempt(self, node: NodeRef) -> None:
        """Take the node away as a provider takes a spot node: state ``PREEMPTED``."""

    async def kill(self, node: NodeRef) -> None:
        """Let the node die without a word: state ``FAILED``."""


@runtime_checkable
class CanDescribe(Protocol):
    """One node can be asked for, which tells a node that is gone from a host that is silent.

    For clouds whose listing leaves out what does not answer.
    """

    async def describe(self, node: NodeRef) -> NodeState | None:
        """Its state; None where it certainly is no more.

        Raises:
            CloudError: nobody can say now.
        """


@runtime_checkable
class CanPrepare(Protocol):
    """A new node takes a while until commands run on it.

    For clouds whose ``create`` answers as soon as the provider has the order.
    """

    async def prepare(self, node: Node) -> Node:
        """Wait until the node answers, and have our agent on it: the node with ``address``,
        ``directory`` and ``socket``. Idempotent; the wait is bounded by the adapter.

        Raises:
            CapacityError: the provider gave up making it.
            NodeGone: it was taken away or died meanwhile.
            CloudError: it did not answer in time.
        """


@runtime_checkable
class CanOpenPorts(Protocol):
    """Ports of nodes can be opened after they were made."""

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        """Let the world reach ``ports`` (``8080``, ``10000-10010``). Idempotent."""


@runtime_checkable
class CanSpot(Protocol):
    """Nodes are rented at a price at which they can be taken away, and that is told apart."""

    async def preemption(self, node: NodeRef) -> str | None:
        """The provider's words for why it took the node away; None where it did not."""


@runtime_checkable
class CanListResources(Protocol):
    """The adapter makes more than nodes, and can list and remove it."""

    async def resources(self) -> list[Resource]:
        """Everything that is ours (of this ``STIX_HOME``) but nodes, through all pages."""

    async def remove(self, resources: Sequence[Resource]) -> None:
        """Remove them. Silent on missing ones; what is in use is refused and stays."""


@runtime_checkable
class HasVolumes(Protocol):
    """There are volumes, which outlive nodes, and ``CreateRequest.volumes`` acts."""

    def volume_kinds(self) -> Mapping[str, VolumeKind]:
        """Type to what volumes of it are. Asks no provider; of adapters a class method."""

    async def create_volume(self, wish: VolumeWish) -> Volume:
        """Make it, or find it: idempotent by name. One that others made is looked for.

        Raises:
            InvalidRequest: there is none of others, or the wish makes no sense.
        """

    async def volumes(self) -> list[Volume]:
        """Every volume of this home, through all pages."""

    async def delete_volume(self, wish: VolumeWish) -> None:
        """Remove it with what it holds; silent on a missing one, and on one that others made.

        Raises:
            VolumeInUse: a node holds it.
        """


@runtime_checkable
class CanMount(Protocol):
    """Volumes are disks: once a node has our agent they are attached, and then mounted."""

    async def attach(self, node: Node, volumes: Sequence[Attachment]) -> None:
        """Give the machine its disks. Idempotent.

        Raises:
            CapacityError: another node holds one.
            InvalidRequest: one is not there.
        """

    async def mount(self, node: Node, volumes: Sequence[Attachment]) -> None:
        """On the node, have each at its path; a disk that was never used gets a file system.
        Idempotent."""


@runtime_checkable
class CanTellQuotas(Protocol):
    """The account's limits can be asked for."""

    async def quotas(self, region: str) -> list[Quota]: ...


@runtime_checkable
class HasCredentials(Protocol):
    """Whether somebody has set this cloud up, told without asking the provider."""

    def credentials(self) -> str:
        """Where credentials were found (a variable, a file); empty where there are none. Never a
        value."""
