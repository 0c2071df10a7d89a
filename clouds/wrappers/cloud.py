"""The interface of a cloud, with every optional ability, forwarded through what surrounds it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from stix.clouds.base import (
    CanChaos,
    CanDescribe,
    CanListResources,
    CanMount,
    CanOpenPorts,
    CanPrepare,
    CanSpot,
    CanStop,
    CanTellQuotas,
    Cloud,
    CreateRequest,
    HasCredentials,
    HasVolumes,
    Identity,
    Node,
    NodeRef,
    NodeState,
    Quota,
    Resource,
    Selector,
)
from stix.clouds.features import lacks_of
from stix.clouds.volumes import Attachment, Volume, VolumeKind, VolumeWish
from stix.clouds.wrappers.audit import Audit
from stix.clouds.wrappers.breaker import Breaker, BreakerStore
from stix.clouds.wrappers.call import ANYWHERE, Around, Call
from stix.clouds.wrappers.memory import MemoryBreakers
from stix.clouds.wrappers.ratelimit import RateLimit
from stix.clouds.wrappers.retry import Retry
from stix.plan.offers import Offer
from stix.remote.base import Runner

T = TypeVar("T")


class WrappedCloud:
    """The interface of a cloud, forwarded through ``around`` (the first is the outermost)."""

    def __init__(self, inner: Cloud, around: Sequence[Around]) -> None:
        self.name = inner.name
        self.inner = inner
        self._around = around

    async def call(self, call: Call, act: Callable[[], Awaitable[T]]) -> T:
        """Do ``act`` inside everything that surrounds this cloud."""
        for around in reversed(self._around):
            act = _inside(around, call, act)
        return await act()

    def _on(self, name: str, nodes: Sequence[NodeRef], *more: Any) -> Call:
        """A call about nodes."""
        regions = {node.region for node in nodes}
        region = regions.pop() if len(regions) == 1 else ANYWHERE
        ids = {"ids": [node.id for node in nodes]}
        return Call(self.name, name, ids, region, (nodes, *more))

    async def check(self) -> Identity:
        return await self.call(Call(self.name, "check"), self.inner.check)

    async def offers(self) -> Sequence[Offer]:
        """Those of the adapter, with what its nodes cannot have."""
        found = await self.call(Call(self.name, "offers"), self.inner.offers)
        lacks = lacks_of(type(self.inner))
        return [replace(offer, lacks=lacks) for offer in found] if lacks else found

    async def create(self, request: CreateRequest) -> list[Node]:
        details = {
            "token": request.token,
            "nodes": request.count,
            "infra": request.offer.infra,
            "instance_type": request.offer.instance_type,
        }
        call = Call(self.name, "create", details, request.offer.region, (request,))
        return await self.call(call, lambda: self.inner.create(request))

    async def list(self, selector: Selector) -> list[Node]:
        call = Call(self.name, "list", args=(selector,))
        return await self.call(call, lambda: self.inner.list(selector))

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        await self.call(self._on("terminate", nodes), lambda: self.inner.terminate(nodes))

    async def runner(self, node: Node) -> Runner:
        call = Call(self.name, "runner", region=node.ref.region, args=(node,))
        return await self.call(call, lambda: self.inner.runner(node))

    async def close(self) -> None:
        await self.inner.close()


def _inside(
    around: Around, call: Call, act: Callable[[], Awaitable[T]]
) -> Callable[[], Awaitable[T]]:
    return lambda: around(call, act)


class _WrappedStop(WrappedCloud):
    async def stop(self, nodes: Sequence[NodeRef]) -> None:
        inner = cast(CanStop, self.inner)
        await self.call(self._on("stop", nodes), lambda: inner.stop(nodes))

    async def start(self, nodes: Sequence[NodeRef]) -> None:
        inner = cast(CanStop, self.inner)
        await self.call(self._on("start", nodes), lambda: inner.start(nodes))


class _WrappedChaos(WrappedCloud):
    async def preempt(self, node: NodeRef) -> None:
        inner = cast(CanChaos, self.inner)
        await self.call(self._on("preempt", [node]), lambda: inner.preempt(node))

    async def kill(self, node: NodeRef) -> None:
        inner = cast(CanChaos, self.inner)
        await self.call(self._on("kill", [node]), lambda: inner.kill(node))


class _WrappedDescribe(WrappedCloud):
    async def describe(self, node: NodeRef) -> NodeState | None:
        inner = cast(CanDescribe, self.inner)
        return await self.call(self._on("describe", [node]), lambda: inner.describe(node))


class _WrappedPrepare(WrappedCloud):
    async def prepare(self, node: Node) -> Node:
        inner = cast(CanPrepare, self.inner)
        call = Call(self.name, "prepare", {"ids": [node.ref.id]}, node.ref.region, (node,))
        return await self.call(call, lambda: inner.prepare(node))


class _WrappedPorts(WrappedCloud):
    async def open_ports(self, nodes: Sequence[NodeRef], ports: Sequence[str]) -> None:
        inner = cast(CanOpenPorts, self.inner)
        call = self._on("open_ports", nodes, ports)
        await self.call(call, lambda: inner.open_ports(nodes, ports))


class _WrappedSpot(WrappedCloud):
    async def preemption(self, node: NodeRef) -> str | None:
        inner = cast(CanSpot, self.inner)
        return await self.call(self._on("preemption", [node]), lambda: inner.preemption(node))


class _WrappedResources(WrappedCloud):
    async def resources(self) -> list[Resource]:
        inner = cast(CanListResources, self.inner)
        return await self.call(Call(self.name, "resources"), inner.resources)

    async def remove(self, resources: Sequence[Resource]) -> None:
        inner = cast(CanListResources, self.inner)
        regions = {resource.region for resource in resources}
        region = regions.pop() if len(regions) == 1 else ANYWHERE
        ids = {"ids": [f"{resource.kind} {resource.id}" for resource in resources]}
        call = Call(self.name, "remove", ids, region, (resources,))
        await self.call(call, lambda: inner.remove(resources))


class _WrappedVolumes(WrappedCloud):
    def volume_kinds(self) -> Mapping[str, VolumeKind]:
        """Asks no provider, so nothing surrounds it."""
        return cast(HasVolumes, self.inner).volume_kinds()

    async def create_volume(self, wish: VolumeWish) -> Volume:
        inner = cast(HasVolumes, self.inner)
        return await self.call(
            self._about("create_volume", wish), lambda: inner.create_volume(wish)
        )

    async def volumes(self) -> list[Volume]:
        inner = cast(HasVolumes, self.inner)
        return await self.call(Call(self.name, "volumes"), inner.volumes)

    async def delete_volume(self, wish: VolumeWish) -> None:
        inner = cast(HasVolumes, self.inner)
        await self.call(self._about("delete_volume", wish), lambda: inner.delete_volume(wish))

    def _about(self, name: str, wish: VolumeWish) -> Call:
        return Call(self.name, name, {"volume": wish.name}, wish.region, (wish,))


class _WrappedMount(WrappedCloud):
    async def attach(self, node: Node, volumes: Sequence[Attachment]) -> None:
        inner = cast(CanMount, self.inner)
        call = self._on("attach", [node.ref], volumes)
        await self.call(call, lambda: inner.attach(node, volumes))

    async def mount(self, node: Node, volumes: Sequence[Attachment]) -> None:
        inner = cast(CanMount, self.inner)
        call = self._on("mount", [node.ref], volumes)
        await self.call(call, lambda: inner.mount(node, volumes))


class _WrappedQuotas(WrappedCloud):
    async def quotas(self, region: str) -> list[Quota]:
        inner = cast(CanTellQuotas, self.inner)
        call = Call(self.name, "quotas", {"region": region}, region, (region,))
        return await self.call(call, lambda: inner.quotas(region))


class _WrappedCredentials(WrappedCloud):
    def credentials(self) -> str:
        """Asks no provider, so nothing surrounds it."""
        return cast(HasCredentials, self.inner).credentials()


ABILITIES: Mapping[Any, type[WrappedCloud]] = {
    CanStop: _WrappedStop,
    CanChaos: _WrappedChaos,
    CanDescribe: _WrappedDescribe,
    CanPrepare: _WrappedPrepare,
    CanOpenPorts: _WrappedPorts,
    CanSpot: _WrappedSpot,
    CanListResources: _WrappedResources,
    CanTellQuotas: _WrappedQuotas,
    HasVolumes: _WrappedVolumes,
    CanMount: _WrappedMount,
    HasCredentials: _WrappedCredentials,
}
"""Each optional ability with the class that forwards it."""


def standard(cloud: Cloud, breakers: BreakerStore | None = None) -> tuple[Around, ...]:
    """What surrounds an adapter in use: audit line outside, then retry, breaker and rate limit.

    So each try of a call passes the breaker, and only what passes it takes from the rate.

    An adapter may say, as attributes of its class: ``rates``, calls per second by call name (``*``
    for all together), and ``breaker = False`` where one part failing says nothing of the others
    (a pool of hosts).

    Args:
        breakers: Where circuits are kept; in memory where not given.
    """
    around: list[Around] = [Audit(), Retry()]
    if getattr(cloud, "breaker", True):
        around.append(Breaker(breakers if breakers is not None else MemoryBreakers()))
    if rates := getattr(cloud, "rates", None):
        around.append(RateLimit(rates))
    return tuple(around)


def wrap(cloud: Cloud, around: Sequence[Around] | None = None) -> Cloud:
    """``cloud`` inside ``around``; ``standard`` where not given."""
    bases = [mixin for ability, mixin in ABILITIES.items() if isinstance(cloud, ability)]
    wrapped = type("WrappedCloud", (*bases, WrappedCloud), {})
    return cast(Cloud, wrapped(cloud, around if around is not None else standard(cloud)))
