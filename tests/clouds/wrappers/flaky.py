"""A real (tiny) cloud with every ability, whose way to the provider fails on a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stix.clouds.base import (
    CreateRequest,
    Identity,
    Node,
    NodeRef,
    NodeState,
    Quota,
    Resource,
    Selector,
)
from stix.clouds.errors import AuthError
from stix.clouds.volumes import Attachment, Volume, VolumeKind, VolumeWish
from stix.plan.offers import Demand, Offer
from stix.remote.base import Runner


@dataclass
class Flaky:
    """Raises the errors of ``script``, one per call, then works."""

    script: list[Exception] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    name: str = "flaky"

    def _step(self, call: str) -> None:
        self.calls.append(call)
        if self.script:
            raise self.script.pop(0)

    async def check(self) -> Identity:
        self._step("check")
        return Identity("me")

    async def offers(self) -> Sequence[Offer]:
        self._step("offers")
        return []

    async def create(self, request: CreateRequest) -> list[Node]:
        self._step("create")
        return []

    async def list(self, selector: Selector) -> list[Node]:
        self._step("list")
        return []

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        self._step("terminate")

    async def runner(self, node: Node) -> Runner:
        raise AuthError("no way")

    async def close(self) -> None:
        self._step("close")


class Hurting(Flaky):
    async def preempt(self, node: NodeRef) -> None:
        self._step("preempt")

    async def kill(self, node: NodeRef) -> None:
        self._step("kill")


class Stopping(Flaky):
    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        self._step("stop")

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        self._step("start")


@dataclass
class Sleeps:
    """Takes the pauses down instead of waiting."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def request() -> CreateRequest:
    offer = Offer("flaky", "r", "z", "t", 1, 1)
    return CreateRequest("token-1", offer, Demand(), 2, "name", {"stix-run": "r1"})


class Able(Hurting, Stopping):
    """Has every ability."""

    async def describe(self, node: NodeRef) -> NodeState | None:
        self._step("describe")
        return None

    async def prepare(self, node: Node) -> Node:
        self._step("prepare")
        return node

    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        self._step("open_ports")

    async def preemption(self, node: NodeRef) -> str | None:
        self._step("preemption")
        return "taken"

    async def resources(self) -> Sequence[Resource]:
        self._step("resources")
        return [Resource(self.name, "disk", "d1")]

    async def remove(self, resources: Sequence[Resource]) -> None:
        self._step("remove")

    async def quotas(self, region: str) -> Sequence[Quota]:
        self._step("quotas")
        return [Quota("cpus", region, 8)]

    def credentials(self) -> str:
        return "the variable FLAKY_KEY"

    def volume_kinds(self) -> Mapping[str, VolumeKind]:
        return {"flaky-disk": VolumeKind("a disk")}

    async def create_volume(self, wish: VolumeWish) -> Volume:
        self._step("create_volume")
        return Volume(self.name, wish.kind, wish.id_at("h"), wish.name)

    async def volumes(self) -> Sequence[Volume]:
        self._step("volumes")
        return []

    async def delete_volume(self, wish: VolumeWish) -> None:
        self._step("delete_volume")

    async def attach(self, node: Node, volumes: Sequence[Attachment]) -> None:
        self._step("attach")

    async def mount(self, node: Node, volumes: Sequence[Attachment]) -> None:
        self._step("mount")


@dataclass
class Clock:
    """Time that passes when somebody sleeps, and when it is told to."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
