"""What we have at the clouds, and whether anybody owns it; the judgement is pure.

The ledger is trusted for what should exist, and the clouds for what does. Where there is no ledger
(``Books`` is None) the age of a thing has to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stix.clouds.base import Node, NodeState, Resource
from stix.clouds.config import HOME_TAG, TOKEN_TAG
from stix.clouds.rented.tags import WISH_TAG, wish_of
from stix.clouds.volumes import VOLUME_TAG

NEW_S = 120.0
"""What was made so recently may not be in the ledger yet."""
IDLE_S = 600.0
"""How long a thing that serves nobody is kept: the next stage may want it."""


@dataclass(frozen=True)
class Thing:
    """A node or another resource.

    Attributes:
        kind: ``node``, or what the adapter calls it.
        since: When it was made, or first seen; Unix time in seconds.
        item: As the adapter gave it.
    """

    cloud: str
    kind: str
    id: str
    region: str
    tags: Mapping[str, str]
    since: float
    billed: bool
    item: Node | Resource

    @property
    def key(self) -> str:
        return f"{self.cloud}/{self.region}/{self.kind}/{self.id}"

    @property
    def is_node(self) -> bool:
        return isinstance(self.item, Node)

    def to_dict(self) -> dict[str, Any]:
        return {
            "cloud": self.cloud,
            "kind": self.kind,
            "id": self.id,
            "region": self.region,
            "run": self.tags.get("stix-run", ""),
            "stage": self.tags.get("stix-stage", ""),
            "token": self.tags.get(TOKEN_TAG, ""),
            "since": self.since,
            "billed": self.billed,
            "state": str(self.item.state) if isinstance(self.item, Node) else "",
        }


@dataclass(frozen=True)
class Judged:
    """A thing and its verdict.

    Attributes:
        orphan: Nobody owns it, and its time of grace is over.
        why: In words for people.
    """

    thing: Thing
    orphan: bool
    why: str

    def to_dict(self) -> dict[str, Any]:
        return {**self.thing.to_dict(), "orphan": self.orphan, "why": self.why}


@dataclass(frozen=True)
class Books:
    """What the ledger says.

    Attributes:
        home: Id of the home whose things these are.
        over: Run to whether it has ended, for runs that the ledger knows.
        given_up: Tokens for which nobody will come back.
        members: Token to the ids of the nodes that were recorded under it.
        asked: Clouds of which nodes are being asked for now.
    """

    home: str
    over: Mapping[str, bool] = field(default_factory=dict)
    given_up: frozenset[str] = frozenset()
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()


def judge(things: Sequence[Thing], books: Books, now: float) -> list[Judged]:
    """The verdict on each thing, with the ledger's help."""
    wishes = {wish_of(token): token for token in books.members}
    wishes |= {wish_of(token): token for token in books.given_up}
    there = _used(things)
    return [_judged(thing, books, wishes, there, now) for thing in things]


def judge_alone(things: Sequence[Thing], home: str, older_s: float, now: float) -> list[Judged]:
    """The verdict by age alone: what is older than ``older_s`` is nobody's."""
    there = _used(things)
    judged = []
    for thing in things:
        age = now - thing.since
        if thing.tags.get(HOME_TAG) != home:
            judged.append(Judged(thing, False, "it is of another home"))
        elif name := _volume(thing):
            judged.append(Judged(thing, False, f"it is the volume {name}"))
        elif age < older_s:
            judged.append(Judged(thing, False, f"it is {age / 60:.0f} min old"))
        elif _shared(thing) and thing.cloud in there.clouds:
            judged.append(Judged(thing, False, "nodes are left that use it"))
        else:
            judged.append(Judged(thing, True, f"it is {age / 3600:.1f} h old"))
    young = {j.thing.cloud for j in judged if j.thing.is_node and not j.orphan}
    return [_kept(j) if _shared(j.thing) and j.thing.cloud in young else j for j in judged]


@dataclass(frozen=True)
class _Used:
    nodes: frozenset[str]
    clouds: frozenset[str]


def _used(things: Sequence[Thing]) -> _Used:
    alive = [
        t for t in things if isinstance(t.item, Node) and t.item.state is not NodeState.TERMINATED
    ]
    return _Used(frozenset(t.id for t in alive), frozenset(t.cloud for t in alive))


def _judged(
    thing: Thing, books: Books, wishes: Mapping[str, str], there: _Used, now: float
) -> Judged:
    if thing.tags.get(HOME_TAG) != books.home:
        return Judged(thing, False, "it is of another home")
    if name := _volume(thing):
        return Judged(thing, False, f"it is the volume {name}")
    age = now - thing.since
    run = thing.tags.get("stix-run", "")
    token = thing.tags.get(TOKEN_TAG) or wishes.get(thing.tags.get(WISH_TAG, ""), "")
    if token in books.given_up:
        return Judged(thing, True, f"run {run or token} left it behind")
    if books.over.get(run):
        return Judged(thing, True, f"run {run} is over")
    if run in books.over or token in books.members:
        return _of_a_living_run(thing, run or token, books.members.get(token), age)
    if thing.is_node:
        known = age >= NEW_S or thing.item.created is None
        return Judged(thing, known, "no run knows it" if known else "it was just made")
    return _resource(thing, books, there, age)


def _of_a_living_run(
    thing: Thing, owner: str, members: frozenset[str] | None, age: float
) -> Judged:
    """A machine can be made twice, where an answer was lost and a listing lagged behind."""
    twice = thing.is_node and members and thing.id not in members
    if twice and age >= NEW_S:
        return Judged(thing, True, f"run {owner} has other nodes under this token")
    return Judged(thing, False, f"run {owner} owns it")


def _resource(thing: Thing, books: Books, there: _Used, age: float) -> Judged:
    item = thing.item
    assert isinstance(item, Resource)
    if set(item.used_by) & there.nodes:
        return Judged(thing, False, "nodes use it")
    if item.shared and (thing.cloud in there.clouds or thing.cloud in books.asked):
        return Judged(thing, False, "nodes of this cloud use it")
    if age < IDLE_S:
        return Judged(thing, False, f"it is {age / 60:.0f} min old")
    return Judged(thing, True, "nothing uses it")


def _volume(thing: Thing) -> str:
    """Name of the volume that it is: that goes by `stix volumes delete` alone."""
    return "" if thing.is_node else thing.tags.get(VOLUME_TAG, "")


def _shared(thing: Thing) -> bool:
    return isinstance(thing.item, Resource) and thing.item.shared


def _kept(judged: Judged) -> Judged:
    return Judged(judged.thing, False, "nodes are left that use it")


def thing_of(item: Node | Resource, seen: float) -> Thing:
    """``seen``: when it was first seen, for what does not say when it was made."""
    since = item.created if item.created is not None else seen
    if isinstance(item, Node):
        ref = item.ref
        return Thing(ref.cloud, "node", ref.id, ref.region, item.tags, since, item.billed, item)
    return Thing(item.cloud, item.kind, item.id, item.region, item.tags, since, item.billed, item)
