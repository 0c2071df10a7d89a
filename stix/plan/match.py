"""Does an offer serve a need, and if not, why not; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from stix.plan.extras import WANTS
from stix.plan.offers import Demand, Offer
from stix.plan.where import Where
from stix.spec.words.accelerators import spelled


@dataclass(frozen=True)
class Need:
    """One alternative of a stage's resources, in numbers. None means that any will do.

    Attributes:
        cpus, memory_gib: This much per node; 0 asks for nothing.
        cpus_exact, memory_exact: More will not do (``4`` rather than ``4+``). On a shared
            machine a part of that size is reserved, so that more will do there.
        accelerators: Name (any spelling) to the count per node; exact like ``4``.
        max_hourly_cost: USD per hour and node.
        num_nodes: Nodes of the stage, of which all or none are wanted.
        local_disk_gib, local_disk_exact: Disk inside the machine, likewise.
        arch: ``x86_64`` or ``arm64``; empty for any. An offer that does not say serves both.
        wants: What not every cloud has, by the words of ``stix.plan.extras.WANTS``.
        volumes: Where its volumes lie: nowhere else it can run.
    """

    cloud: str | None = None
    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None
    cpus: float = 0.0
    cpus_exact: bool = False
    memory_gib: float = 0.0
    memory_exact: bool = False
    accelerators: dict[str, float] = field(default_factory=dict)
    use_spot: bool = False
    max_hourly_cost: float | None = None
    num_nodes: int = 1
    local_disk_gib: float = 0.0
    local_disk_exact: bool = False
    arch: str = ""
    wants: tuple[str, ...] = ()
    volumes: tuple[Where, ...] = ()

    @property
    def infra(self) -> str:
        parts = [self.cloud or "*", self.region or "*", self.zone or "*"]
        while parts and parts[-1] == "*":
            parts.pop()
        return "/".join(parts) or "any infra"


@dataclass(frozen=True)
class Reason:
    """Why an offer does not serve.

    Attributes:
        code: ``infra``, ``instance_type``, ``spot``, ``accelerators``, ``cpus``, ``memory``,
            ``local_disk``, ``arch``, ``price``, ``capacity``, ``volume``, ``blocked`` or one of
            ``WANTS``.
        message: What was wanted and what is there.
        gap: How far off, from 0 (hardly) to 1 (nothing of it is there).
    """

    code: str
    message: str
    gap: float = 1.0


def matches(need: Need, offer: Offer) -> Reason | None:
    """None where ``offer`` serves ``need``, else the first reason why not."""
    return next(reasons(need, offer), None)


def reasons(need: Need, offer: Offer) -> Iterator[Reason]:
    """All reasons why ``offer`` does not serve ``need``, the most basic first."""
    yield from _place(need, offer)
    for where in need.volumes:
        if where.off(offer):
            yield Reason("volume", f"its volume {where.name} is in {where.infra}")
    if need.use_spot != offer.spot:
        wanted, there = ("spot", "on demand") if need.use_spot else ("on demand", "spot")
        yield Reason("spot", f"wants {wanted}, this is {there}")
    for word in need.wants:
        if word in offer.lacks:
            yield Reason(word, f"wants {WANTS[word]}, which {offer.cloud} does not have")
    yield from _accelerators(need, offer)
    if need.arch and offer.arch and need.arch != offer.arch:
        yield Reason("arch", f"wants {need.arch}, this is {offer.arch}")
    yield from _amount("cpus", "CPUs", (need.cpus, need.cpus_exact), offer.cpus, offer)
    memory = (need.memory_gib, need.memory_exact)
    yield from _amount("memory", "GiB of memory", memory, offer.memory_gib, offer)
    if need.local_disk_gib:
        disk = (need.local_disk_gib, need.local_disk_exact)
        yield from _amount(
            "local_disk", "GiB of local disk", disk, offer.local_disk_gib or 0.0, offer
        )
    if need.max_hourly_cost is not None and offer.price > need.max_hourly_cost:
        yield Reason(
            "price",
            f"costs {offer.price:g} USD/h, the limit is {need.max_hourly_cost:g}",
            1 - need.max_hourly_cost / offer.price,
        )
    yield from _capacity(need, offer)


def _place(need: Need, offer: Offer) -> Iterator[Reason]:
    pairs = (
        ("cloud", need.cloud, offer.cloud),
        ("region", need.region, offer.region),
        ("zone", need.zone, offer.zone),
    )
    for what, wanted, there in pairs:
        if wanted is not None and wanted != there:
            yield Reason("infra", f"wants the {what} {wanted}, this is {there or 'any'}")
            return
    if need.instance_type is not None and need.instance_type != offer.instance_type:
        yield Reason(
            "instance_type",
            f"wants the instance type {need.instance_type}, this is {offer.instance_type}",
        )


def _amount(
    code: str, unit: str, wanted: tuple[float, bool], have: float, offer: Offer
) -> Iterator[Reason]:
    wants, exact = wanted
    exact = exact and not offer.shared
    if wants > have:
        yield Reason(code, f"needs {wants:g} {unit}, has {have:g}", 1 - have / wants)
    elif exact and 0 < wants < have:
        yield Reason(code, f"wants exactly {wants:g} {unit}, has {have:g}", 1 - wants / have)


def _accelerators(need: Need, offer: Offer) -> Iterator[Reason]:
    if not need.accelerators:
        return
    there = {_key(name): count for name, count in offer.accelerators.items()}
    for name, count in need.accelerators.items():
        have = there.get(_key(name), 0)
        yield from _amount("accelerators", f"x {name}", (count, True), have, offer)


def _capacity(need: Need, offer: Offer) -> Iterator[Reason]:
    room = slots(need, offer)
    if need.num_nodes > room and (room or not offer.shared):  # else its size was named already
        yield Reason(
            "capacity",
            f"needs {need.num_nodes} nodes, has room for {room:g}",
            1 - room / need.num_nodes,
        )


def slots(need: Need, offer: Offer) -> float:
    """How many nodes of ``need`` the offer holds when it is empty; infinite where unknown."""
    if offer.capacity is None:
        return math.inf
    if not offer.shared:
        return offer.capacity
    there = {_key(name): count for name, count in offer.accelerators.items()}
    limits = [(offer.cpus, need.cpus), (offer.memory_gib, need.memory_gib)]
    limits += [(there.get(_key(name), 0), n) for name, n in need.accelerators.items()]
    per_machine = min((has // wants for has, wants in limits if wants > 0), default=math.inf)
    return offer.capacity * per_machine


def demand(need: Need, offer: Offer) -> Demand:
    """What to reserve on ``offer``: only what was asked for, under the offer's own names."""
    names = {_key(name): name for name in offer.accelerators}
    return Demand(
        cpus=need.cpus,
        memory_gib=need.memory_gib,
        accelerators={names.get(_key(k), k): n for k, n in need.accelerators.items() if n},
    )


@lru_cache(maxsize=4096)
def _key(name: str) -> str:
    """One word for all spellings of an accelerator: ``A100:80GB`` is ``A100-80GB``."""
    return spelled(name).lower()


def leftover(need: Need, offer: Offer) -> tuple[float, float, float]:
    """What the offer has beyond the need: (accelerators, vCPUs, GiB)."""
    return (
        sum(offer.accelerators.values()) - sum(need.accelerators.values()),
        offer.cpus - need.cpus,
        offer.memory_gib - need.memory_gib,
    )
