"""A cloud of simulated machines: their nodes are real agents of this machine, their fate is not.

Stock, prices, boots, faults and preemptions come from the scenario in ``config.yaml``, by a clock
that may run fast; commands run here, in the time they take. Stages can so be run, interrupted and
recovered for real without a provider. Nothing is offered without a block ``sim:``.
"""

from __future__ import annotations

import asyncio
import getpass
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from stix.clouds.agents import agrees
from stix.clouds.base import CreateRequest, Identity, Node, NodeRef, NodeState, Selector
from stix.clouds.config import TOKEN_TAG, CloudConfig
from stix.clouds.errors import AuthError, CapacityError, CloudError, InvalidRequest, NodeGone
from stix.clouds.hosts import HostFacts
from stix.clouds.local import LocalCloud
from stix.clouds.sim.climate import Climate, pool_of
from stix.clouds.sim.settings import read_settings
from stix.files import write_private
from stix.plan.offers import Demand, Offer
from stix.remote.base import Runner

OFFER, SINCE = "stix-sim-offer", "stix-sim-since"
"""Tags of our own: the offer of a node, and the virtual time at which it was ordered."""
MOST = 100_000
LOOK_S = 1.0
"""Seconds at most between two looks at the clock while spot nodes live."""
PREEMPTED = "the simulated provider took it back"
log = logging.getLogger("stix.clouds")


class SimCloud:
    """Nodes below ``STIX_HOME/sim``. A node lives on when its adapter ends, and its clock too.

    A subclass with another ``name`` is another cloud.
    """

    name = "sim"
    host_ports = True

    def __init__(self, config: CloudConfig) -> None:
        self._settings = read_settings(config.settings, self.name)
        self._climate = Climate(self._settings.scenario)
        self._offers = {_name(offer): offer for offer in self._settings.offers}
        self._home = config.home / self.name
        self._inside = replace(config, home=self._home, settings={})
        self._host = LocalCloud(self._inside)
        self._watch: asyncio.Task[None] | None = None

    def credentials(self) -> str:
        return "config.yaml" if self._offers else ""

    async def check(self) -> Identity:
        if not self._offers:
            raise AuthError(
                "there are no simulated machines", fix="add a block `sim:` to config.yaml"
            )
        scenario = self._settings.scenario
        detail = f"{len(self._offers)} offers, seed {scenario.seed}, x{self._settings.speed:g}"
        return Identity(f"{getpass.getuser()} (simulated)", detail)

    async def offers(self) -> Sequence[Offer]:
        now = self._now() if self._offers else 0.0
        return [replace(o, price=self._climate.price(o, now)) for o in self._offers.values()]

    async def create(self, request: CreateRequest) -> list[Node]:
        offer = self._known(request)
        now = self._now()
        if not await self._of(request.token):
            refusal = self._climate.refusal(offer, now)
            if refusal is not None:
                raise refusal
        room = _Room(self._inside, offer, self._climate.level(offer, now))
        made = await room.create(self._as_local(request, offer, now))
        self._look_after()
        return [self._node(node) for node in made]

    async def list(self, selector: Selector) -> list[Node]:
        if not self._home.exists():  # nothing was ever made here
            return []
        await self._take_what_is_due()
        nodes = [self._node(node) for node in await self._host.list(Selector())]
        if any(node.state.alive and node.spot for node in nodes):
            self._look_after()
        return [node for node in nodes if agrees(node.tags, selector)]

    async def terminate(self, nodes: Sequence[NodeRef]) -> None:
        await self._host.terminate(nodes)

    async def runner(self, node: Node) -> Runner:
        return await self._host.runner(node)

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def prepare(self, node: Node) -> Node:
        """Wait until its boot is over."""
        while True:
            there = [n for n in await self.list(Selector()) if n.ref.id == node.ref.id]
            if not there or not there[0].state.alive:
                preempted = bool(there) and there[0].state is NodeState.PREEMPTED
                raise NodeGone(f"node {node.ref.id} is gone", preempted=preempted)
            if there[0].state is NodeState.RUNNING:
                return there[0]
            left = (self._ready(there[0]) - self._now()) / self._settings.speed
            await asyncio.sleep(min(max(left, 0.001), LOOK_S))

    async def preempt(self, node: NodeRef) -> None:
        await self._host.preempt(node)

    async def kill(self, node: NodeRef) -> None:
        await self._host.kill(node)

    async def preemption(self, node: NodeRef) -> str | None:
        for there in await self.list(Selector()):
            if there.ref.id == node.id and there.state is NodeState.PREEMPTED:
                return PREEMPTED
        return None

    # -- the clock -------------------------------------------------------------------------------

    def _now(self) -> float:
        """Virtual seconds since the cloud was used first, the same in every process."""
        epoch = self._home / "epoch"
        if not epoch.exists():
            self._home.mkdir(parents=True, exist_ok=True)
            write_private(epoch, repr(time.time()), replace=False)  # the first one counts
        return (time.time() - float(epoch.read_text())) * self._settings.speed

    def _look_after(self) -> None:
        """Take nodes when their time has come, also where nobody asks for a list."""
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._looking(), name="simulated preemptions")

    async def _looking(self) -> None:
        while True:
            try:
                due = await self._take_what_is_due()
            except CloudError as error:
                log.warning("sim: %s", error)
                due = LOOK_S
            if math.isinf(due):
                return
            await asyncio.sleep(min(max(due, 0.001), LOOK_S))

    async def _take_what_is_due(self) -> float:
        """Take the spot nodes whose time has come; seconds until the next, infinity for none."""
        now, soonest = self._now(), math.inf
        for node in await self._host.list(Selector()):
            offer = self._offer(node.tags)
            if node.state is not NodeState.RUNNING or not offer.spot:
                continue
            since = float(node.tags[SINCE])
            end = since + self._climate.lifetime(offer, node.ref.id, since)
            if end <= now:
                await self._host.preempt(node.ref)
            soonest = min(soonest, end) if end > now else soonest
        return (soonest - now) / self._settings.speed

    # -- nodes -----------------------------------------------------------------------------------

    def _known(self, request: CreateRequest) -> Offer:
        offer = self._offers.get(_name(request.offer))
        if offer is None:
            where = f"{request.offer.infra} {request.offer.instance_type}"
            raise InvalidRequest(f"there is no simulated {where}", fix="see `sim:` in config.yaml")
        wanted = request.demand
        if wanted.cpus > offer.cpus or wanted.memory_gib > offer.memory_gib:
            raise InvalidRequest(f"a simulated {offer.instance_type} is smaller than what is asked")
        return offer

    def _as_local(self, request: CreateRequest, offer: Offer, now: float) -> CreateRequest:
        own = {OFFER: _name(offer), SINCE: repr(now)}
        return replace(
            request,
            offer=replace(offer, cloud="local", region="-", zone=None),
            demand=Demand(accelerators={pool_of(offer): 1.0}),
            tags={**request.tags, **own},
        )

    async def _of(self, token: str) -> bool:
        nodes = await self._host.list(Selector({TOKEN_TAG: token}))
        return bool(nodes)

    def _offer(self, tags: Mapping[str, str]) -> Offer:
        """The offer of a node; one that the settings no longer have keeps its name."""
        name = tags.get(OFFER, "")
        if name in self._offers:
            return self._offers[name]
        region, zone, kind, market = (name.split("|") + ["-"] * 4)[:4]
        return Offer(self.name, region, zone, kind, 1, 1, spot=market == "spot")

    def _ready(self, node: Node) -> float:
        """When its boot is over, virtual seconds."""
        boot = self._climate.boot(self._offer(node.tags), node.ref.id)
        return float(node.tags.get(SINCE, 0.0)) + boot

    def _node(self, node: Node) -> Node:
        offer = self._offer(node.tags)
        booting = node.state is NodeState.RUNNING and self._now() < self._ready(node)
        return replace(
            node,
            ref=NodeRef(self.name, node.ref.id, offer.region, offer.zone),
            state=NodeState.STARTING if booting else node.state,
            accelerators={n: list(range(int(c))) for n, c in offer.accelerators.items()},
            spot=offer.spot,
            billed=node.state.alive,
            reason=PREEMPTED if node.state is NodeState.PREEMPTED else node.reason,
        )


class _Room(LocalCloud):
    """This machine with as much room as a stock has: each node takes one of its pool.

    Counting and taking are one step of the agent's, for all processes at once.
    """

    def __init__(self, config: CloudConfig, offer: Offer, level: int | None) -> None:
        super().__init__(config)
        self._pool = offer
        self._facts = HostFacts(0, 0, {pool_of(offer): float(MOST if level is None else level)})

    async def create(self, request: CreateRequest) -> list[Node]:
        try:
            return await super().create(request)
        except CapacityError as error:
            short = f"{self._pool.infra} has no {self._pool.instance_type} left"
            raise CapacityError(short, scope="zone") from error


def _name(offer: Offer) -> str:
    market = "spot" if offer.spot else "on-demand"
    return f"{offer.region}|{offer.zone}|{offer.instance_type}|{market}"
