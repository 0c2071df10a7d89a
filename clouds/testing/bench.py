"""What a cloud gives to the conformance suite, and what the checks are written with."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from stix.clouds.base import Cloud, CreateRequest, Node, NodeRef, Selector
from stix.clouds.config import TOKEN_TAG
from stix.clouds.testing.faults import Faults
from stix.clouds.volumes import VolumeWish
from stix.plan.offers import Demand, Offer


async def nothing_remains() -> Sequence[str]:
    """For clouds of which nothing can be seen but by their own listing."""
    return ()


@dataclass(frozen=True)
class Bench:
    """An account at a cloud that a suite may use alone.

    Attributes:
        open: A new, bare adapter object on the account, as another engine would make it.
        offer: What the checks rent.
        demand: What each node reserves of it.
        room: How many nodes of ``demand`` the offer holds when it is empty, at least 3.
        remains: What is left of nodes outside of the listing, such as directories and processes;
            empty when all nodes are terminated.
        patience: Seconds in which a provider says that a node was taken away or died.
        hasty: As ``open``, but it waits for an answer only for a moment: for a provider that says
            nothing. The others shall wait long, so that a busy machine is no fault.
        faults: What the suite may do to the provider; None where nothing can be broken on
            purpose, such as a real one.
        reachable: Whether there is a machine behind a node, on which commands run.
        spot_offer: What is rented to be taken away; None where nothing is.
        secrets: Values that no error, listing or representation may show.
        gangs: Whether one wish may be for several nodes; where not, each is a wish of its own.
        volume: A volume that can be made; None where the cloud has none.
        reasons: Name of a check, or ``faults`` and ``reachable``, to why it does not apply.
    """

    open: Callable[[], Cloud]
    offer: Offer
    demand: Demand
    room: int
    remains: Callable[[], Awaitable[Sequence[str]]] = nothing_remains
    patience: float = 30.0
    hasty: Callable[[], Cloud] | None = None
    faults: Faults | None = None
    reachable: bool = True
    spot_offer: Offer | None = None
    secrets: Sequence[str] = ()
    gangs: bool = True
    volume: VolumeWish | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


class Broken(AssertionError):
    """The adapter does not do what the interface says."""


def demand_that(condition: bool, claim: str, seen: object = "") -> None:
    """Raise ``Broken`` with the claim and what was seen, unless ``condition`` holds."""
    if not condition:
        raise Broken(f"{claim}; seen: {seen!r}" if seen != "" else claim)


@dataclass
class Desk:
    """One check's place of work: its own tag, so that checks do not see each other's nodes."""

    bench: Bench
    cloud: Cloud
    other: Cloud
    run: str = field(default_factory=lambda: f"run-{uuid.uuid4().hex[:12]}")
    _tokens: int = 0

    def request(self, count: int = 1, **changes: Any) -> CreateRequest:
        """A wish for ``count`` nodes under a new token; for one where the cloud has no gangs."""
        self._tokens += 1
        count = count if self.bench.gangs else 1
        token = f"{self.run}-{self._tokens}"
        plain = CreateRequest(
            token=token,
            offer=self.bench.offer,
            demand=self.bench.demand,
            count=count,
            name=f"stix-{token}",
            tags={
                "stix-run": self.run,
                "stix-stage": "train",
                "stix-attempt": "1",
                TOKEN_TAG: token,
            },
        )
        return replace(plain, **changes)

    async def some(self, count: int, **changes: Any) -> list[Node]:
        """``count`` new nodes: of one wish, or of one each where the cloud has no gangs."""
        wishes = 1 if self.bench.gangs else count
        made = [
            await self.cloud.create(self.request(count // wishes, **changes)) for _ in range(wishes)
        ]
        return [node for nodes in made for node in nodes]

    async def listed(
        self, tags: Mapping[str, str] | None = None, *, by: Cloud | None = None
    ) -> list[Node]:
        """Nodes of this check, in the order of their ids."""
        nodes = await (by or self.cloud).list(Selector({"stix-run": self.run, **(tags or {})}))
        return sorted(nodes, key=lambda node: node.ref.id)

    async def of(self, request: CreateRequest) -> list[Node]:
        """Nodes of one wish, as another engine sees them."""
        return await self.listed({TOKEN_TAG: request.token}, by=self.other)

    @property
    def faults(self) -> Faults:
        """What the bench has; checks that need it do not run without."""
        assert self.bench.faults is not None
        return self.bench.faults

    def holds_secrets(self, *texts: object) -> None:
        """Raise ``Broken`` where a text, an error or any representation shows a secret."""
        for text in texts:
            shown = [f"{text!s} {text!r}", *_chain(text)]
            for secret in self.bench.secrets:
                demand_that(not any(secret in s for s in shown), "a secret is shown", type(text))

    async def clean(self) -> None:
        if self.bench.faults is not None:
            self.bench.faults.watch()
        await self.other.terminate([node.ref for node in await self.listed(by=self.other)])


@asynccontextmanager
async def desk(bench: Bench) -> AsyncIterator[Desk]:
    """A desk whose nodes are gone at the end."""
    at = Desk(bench, bench.open(), bench.open())
    try:
        yield at
    finally:
        try:
            await at.clean()
        finally:
            await at.cloud.close()
            await at.other.close()


def _chain(text: object) -> list[str]:
    shown = []
    while isinstance(text, BaseException):
        shown.append(f"{text!s} {text!r} {getattr(text, 'fix', '')}")
        text = text.__cause__
    return shown


def ids(nodes: Sequence[Node]) -> list[str]:
    return sorted(node.ref.id for node in nodes)


def refs(nodes: Sequence[Node]) -> list[NodeRef]:
    return [node.ref for node in nodes]


def as_json(value: dict[str, Any]) -> dict[str, Any]:
    """``value`` after a journey through JSON."""
    back: dict[str, Any] = json.loads(json.dumps(value))
    return back
