"""Who owns what at the clouds: the judgement, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stix.clouds.base import Node, NodeRef, NodeState, Resource
from stix.clouds.rented.tags import WISH_TAG, wish_of
from stix.server.estate import Books, Thing, judge, judge_alone, thing_of

HOME, NOW = "home1", 1_000_000.0
OLD, YOUNG = NOW - 7200, NOW - 10


def node(
    name: str = "n1", tags: Mapping[str, str] | None = None, created: float | None = OLD
) -> Thing:
    marks = {"stix-home": HOME, **(tags or {})}
    state = NodeState.RUNNING
    return thing_of(Node(NodeRef("c", name), state, "", tags=marks, created=created), NOW)


def disk(name: str = "d1", *, created: float | None = OLD, **more: Any) -> Thing:
    marks = {"stix-home": HOME, **more.pop("tags", {})}
    return thing_of(Resource("c", "disk", name, tags=marks, created=created, **more), NOW)


def books(**more: Any) -> Books:
    return Books(home=HOME, **more)


LIVING = books(over={"r": False}, members={"t": frozenset({"n1"})})
OWNED = {"stix-run": "r", "stix-token": "t"}

ROWS: list[tuple[str, list[Thing], Books, bool, str]] = [
    ("of a living run", [node("n1", OWNED)], LIVING, False, "owns it"),
    ("made twice", [node("n2", OWNED)], LIVING, True, "other nodes"),
    ("made twice just now", [node("n2", OWNED, YOUNG)], LIVING, False, "owns it"),
    (
        "not recorded yet",
        [node("n1", {"stix-run": "r", "stix-token": "u"})],
        LIVING,
        False,
        "owns it",
    ),
    ("of a run that ended", [node("n1", OWNED)], books(over={"r": True}), True, "is over"),
    ("of a lost engine", [node("n1", OWNED)], books(given_up=frozenset("t")), True, "left it"),
    ("of an unknown run", [node("n1", {"stix-run": "x"})], books(), True, "no run knows it"),
    ("of an unknown run, new", [node(created=YOUNG)], books(), False, "just made"),
    ("without an age", [node(created=None)], books(), True, "no run knows it"),
    ("of another home", [node("n1", {"stix-home": "other"})], books(), False, "another home"),
    ("a disk in use", [disk(used_by=("n1",)), node("n1", OWNED)], LIVING, False, "nodes use it"),
    ("a disk of nobody", [disk()], books(), True, "nothing uses it"),
    ("a new disk", [disk(created=YOUNG)], books(), False, "0 min old"),
    ("a disk first seen now", [disk(created=None)], books(), False, "0 min old"),
    ("of a living wish", [disk(tags={WISH_TAG: wish_of("t")})], LIVING, False, "owns it"),
    (
        "of a lost wish",
        [disk(tags={WISH_TAG: wish_of("t")})],
        books(given_up=frozenset("t")),
        True,
        "left it",
    ),
    ("shared, nodes there", [disk(shared=True), node("n1", OWNED)], LIVING, False, "of this cloud"),
    ("shared, nodes to come", [disk(shared=True)], books(asked=frozenset("c")), False, "of this"),
    ("shared, idle", [disk(shared=True)], books(), True, "nothing uses it"),
    ("a volume", [disk(tags={"stix-volume": "v"})], books(), False, "it is the volume v"),
    (
        "a volume that says it is of a run",
        [disk(tags={"stix-volume": "v", "stix-run": "r"})],
        books(over={"r": True}),
        False,
        "it is the volume v",
    ),
    ("a disk of another home", [disk(tags={"stix-home": "o"})], books(), False, "another home"),
]


@pytest.mark.parametrize(
    ("things", "known", "orphan", "why"), [pytest.param(*row[1:], id=row[0]) for row in ROWS]
)
def test_the_verdict_on_a_thing(things: list[Thing], known: Books, orphan: bool, why: str) -> None:
    judged = judge(things, known, NOW)[0]
    assert (judged.orphan, why in judged.why) == (orphan, True), judged.why


def test_alone_it_goes_by_age_and_home() -> None:
    things = [
        node("a"),
        node("b", created=YOUNG),
        node("c", {"stix-home": "other"}),
        disk(shared=True),
    ]
    assert [j.orphan for j in judge_alone(things, HOME, 3600, NOW)] == [True, False, False, False]
    assert [j.orphan for j in judge_alone([disk(shared=True)], HOME, 3600, NOW)] == [True]
    assert [j.orphan for j in judge_alone([node("a")], HOME, 8000, NOW)] == [False]


def test_a_volume_with_a_name_is_kept_without_a_ledger_too() -> None:
    [judged] = judge_alone([disk(tags={"stix-volume": "v"})], HOME, 60.0, NOW)
    assert (judged.orphan, judged.why) == (False, "it is the volume v")
