"""What the doubles of rented clouds share: machines with a life, stock, faults and routes.

A double is a class with a method per route of the provider's API. It speaks the documented wire
format; how it breaks is the same for all (``stix.clouds.testing.faults.Faults``).
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

from stix.clouds.base import NodeState
from stix.clouds.testing.faults import Refusal, Wire
from stix.clouds.testing.wire import Answer, Asked, WireServer

Handler = Callable[..., Any]
T = TypeVar("T")
PAGE = 2
"""Entries per page where the provider has pages: few, so that there are several."""


class Refused(Exception):
    """The provider says no, in its own words."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.answer = Answer(status, body, headers or {})


@dataclass
class Box:
    """A machine at the double.

    Attributes:
        state: In the provider's words.
        hidden: Listings that still miss it.
        looks: How often it was looked at since it was made or started.
        held: A test has put it in its state, and it stays there.
        foreign: Somebody else's; it takes none of the stock.
        more: What the provider keeps of it besides, such as tags in its own form.
    """

    id: str
    name: str
    region: str
    type: str
    state: str
    spot: bool = False
    zone: str | None = None
    born: float = field(default_factory=time.time)
    hidden: int = 0
    looks: int = 0
    held: bool = False
    foreign: bool = False
    number: int = 1
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def private_ip(self) -> str:
        return f"10.0.{self.number // 250}.{self.number % 250 + 2}"

    @property
    def public_ip(self) -> str:
        return f"198.51.100.{self.number % 250 + 2}"


@dataclass
class Thing:
    """What is no machine: a disk, an address, a key, a firewall.

    Attributes:
        owner: The machine that holds it; empty where it is shared or left over.
        single: Whether it serves single machines, so that it must go with them.
    """

    id: str
    kind: str
    owner: str = ""
    single: bool = True
    more: dict[str, Any] = field(default_factory=dict)


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """A method that answers requests: ``path`` is a regular expression of the whole path, whose
    named groups are its arguments after the request."""

    def mark(handler: Handler) -> Handler:
        handler.routes = [*getattr(handler, "routes", []), (method, path)]  # type: ignore[attr-defined]
        return handler

    return mark


class Double:
    """One provider. Subclasses set the class attributes and write the routes.

    Args:
        stock: Machines that it has in all.

    Attributes:
        STATES: Every state in the provider's words, and what it means.
        UNBILLED: Those in which a machine costs nothing.
        BOOT: The states of a new machine, one per look, the last one stays.
        STOPPED: Its word for a machine that somebody stopped; empty where it cannot.
        PREEMPTED: Its word for one that was taken away; empty where there is no spot.
        REFUSALS: Status, body and meant scope of its refusals of an order.
        LOCKED: Status and body where the credentials are refused.
        UNKNOWN: Status and body for an address that it does not know.
    """

    STATES: ClassVar[Mapping[str, NodeState]]
    UNBILLED: ClassVar[frozenset[str]] = frozenset()
    BOOT: ClassVar[Sequence[str]]
    STOPPED: ClassVar[str] = ""
    PREEMPTED: ClassVar[str] = ""
    REFUSALS: ClassVar[Mapping[Refusal, tuple[int, Any, str]]]
    LOCKED: ClassVar[tuple[int, Any]]
    UNKNOWN: ClassVar[tuple[int, Any]] = (404, {"message": "not found"})

    def __init__(self, stock: int = 4) -> None:
        self.stock = stock
        self.boxes: dict[str, Box] = {}
        self.things: dict[str, Thing] = {}
        self.server = WireServer(self._handle)
        self._refusing: list[Refusal] = []
        self._out = False
        self._lag = 0
        self._made = 0
        self._routes = [
            (method, re.compile(path), name)
            for name in dir(type(self))
            for method, path in getattr(getattr(type(self), name), "routes", [])
        ]

    @contextmanager
    def running(self) -> Iterator[Self]:
        with self.server.running():
            yield self

    @property
    def url(self) -> str:
        return self.server.url

    # What subclasses write and use.

    def authorised(self, asked: Asked) -> bool:
        """Whether the request proves who we are."""
        raise NotImplementedError

    def make(self, name: str, region: str, kind: str, **more: Any) -> Box:
        """A new machine, unless the next order is to be refused or the stock is at its end.

        ``more`` are fields of ``Box``; unknown ones go into its ``more``.
        """
        if self._refusing:
            raise self.refusal(self._refusing.pop(0))
        if sum(not self.boxes[box_id].foreign for box_id in self.alive()) >= self.stock:
            raise self.refusal("capacity")
        return self.add(name, region, kind, **more)

    def add(self, name: str, region: str, kind: str, **more: Any) -> Box:
        self._made += 1
        known = {k: more.pop(k) for k in ("zone", "spot", "id") if k in more}
        made = known.pop("id", None) or self.new_id()
        box = Box(made, name, region, kind, self.BOOT[0], number=self._made, **known)
        box.hidden, box.more = self._lag, more
        self.boxes[box.id] = box
        return box

    def new_id(self) -> str:
        """In the provider's form."""
        return uuid.uuid4().hex

    def refusal(self, why: Refusal) -> Refused:
        status, body, _ = self.REFUSALS[why]
        return Refused(status, body)

    def look(self, box: Box) -> Box:
        """It is shown to somebody: time goes on."""
        if box.state in self.BOOT[:-1] and not box.held:
            box.looks += 1
            box.state = self.BOOT[min(box.looks, len(self.BOOT) - 1)]
        return box

    def listed(self, boxes: Sequence[Box] | None = None) -> list[Box]:
        """What a listing shows now, in the order of making."""
        shown = []
        for box in sorted(boxes if boxes is not None else self.boxes.values(), key=_number):
            if box.hidden:
                box.hidden -= 1
            else:
                shown.append(self.look(box))
        return shown

    def the(self, box_id: str) -> Box:
        """The machine; the provider's 404 where there is none."""
        if box_id not in self.boxes:
            raise Refused(*self.UNKNOWN)
        return self.boxes[box_id]

    def drop(self, box: Box) -> None:
        """It is gone, with what it holds."""
        self.boxes.pop(box.id, None)
        for thing in [t for t in self.things.values() if t.owner == box.id]:
            del self.things[thing.id]

    def keep(self, kind: str, **more: Any) -> Thing:
        """A new thing; ``more`` are fields of ``Thing``, and others, which go into its ``more``."""
        known = {k: more.pop(k) for k in ("owner", "single", "id") if k in more}
        thing = Thing(known.pop("id", None) or self.new_id(), kind, **known, more=more)
        self.things[thing.id] = thing
        return thing

    @staticmethod
    def page(entries: Sequence[T], number: int, size: int = PAGE) -> Sequence[T]:
        """Page ``number`` from 1."""
        return entries[(number - 1) * size : number * size]

    # What a suite does: ``Faults``.

    @property
    def refusals(self) -> Mapping[Refusal, str]:
        return {why: scope for why, (_, _, scope) in self.REFUSALS.items()}

    def watch(self) -> None:
        self.server.watch()
        self._refusing, self._out, self._lag = [], False, 0

    def asked(self) -> int:
        return self.server.asked()

    def wire(self, kind: Wire, at: int, times: int = 1) -> None:
        self.server.wire(kind, at, times)

    def kill(self, pid: int, at: int, *, after: bool) -> None:
        self.server.kill(pid, at, after=after)

    def refuse(self, why: Refusal, times: int = 1) -> None:
        self._refusing += [why] * times

    def lock_out(self, out: bool) -> None:
        self._out = out

    def lag(self, listings: int) -> None:
        self._lag = listings

    def states(self) -> Mapping[str, NodeState]:
        return self.STATES

    def billed(self, state: str) -> bool:
        return state not in self.UNBILLED

    def put(self, node_id: str, state: str) -> None:
        self.boxes[node_id].state = state
        self.boxes[node_id].held = True

    def take_away(self, node_id: str) -> None:
        self.put(node_id, self.PREEMPTED)

    def stranger(self, name: str) -> str:
        box = self.add(name, "elsewhere", "any")
        box.foreign = True
        return box.id

    def alive(self) -> Sequence[str]:
        return [box.id for box in self.boxes.values() if self.billed(box.state)]

    def leftovers(self) -> Sequence[str]:
        return [f"{t.kind} {t.id}" for t in self.things.values() if t.single]

    # The wire.

    def _handle(self, asked: Asked) -> Answer:
        if self._out or not self.authorised(asked):
            return Answer(*self.LOCKED)
        for method, path, name in self._routes:
            found = path.fullmatch(asked.path)
            if method == asked.method and found:
                return self._answered(getattr(self, name), asked, found.groupdict())
        return Answer(*self.UNKNOWN)

    def _answered(self, handler: Handler, asked: Asked, parts: Mapping[str, str]) -> Answer:
        try:
            said = handler(asked, **parts)
        except Refused as refused:
            return refused.answer
        return said if isinstance(said, Answer) else Answer(200, said)


def _number(box: Box) -> int:
    return box.number
