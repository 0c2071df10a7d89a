"""The decision table, row by row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stix.recovery import (
    Cancelled,
    Capacity,
    Decision,
    Event,
    GiveUp,
    Market,
    NextOffer,
    NodeLost,
    OutOfMemory,
    Preempted,
    Refused,
    RetryHere,
    SetupFailed,
    TimedOut,
    UserError,
    decide,
    event_from_dict,
)
from stix.spec.recovery import JobRecovery, RecoveryPolicy

DEFAULT = RecoveryPolicy()
NONE = RecoveryPolicy.none()
RETRY_75 = RecoveryPolicy(user_error={"retries": 2, "exit_codes": [75], "backoff": 3})
FREE_75 = RecoveryPolicy(user_error={"retries": 1, "free_exit_codes": [75]})
MEMORY = RecoveryPolicy(user_error={"retries": 1, "exit_codes": [137]})
ALL = [
    Capacity(),
    Preempted(),
    NodeLost(),
    SetupFailed(1),
    UserError(1),
    OutOfMemory(),
    TimedOut(),
    Refused(),
    Cancelled(),
]

Row = tuple[RecoveryPolicy, Event, list[Event], type[Any], tuple[str, int, int | None]]
TABLE: dict[str, Row] = {
    "capacity waits": (DEFAULT, Capacity("zone"), [], NextOffer, ("capacity", 1, None)),
    "capacity waits for ever": (
        DEFAULT,
        Capacity(),
        [Capacity()] * 5000,
        NextOffer,
        ("capacity", 5001, None),
    ),
    "preempted moves on": (DEFAULT, Preempted(), [], NextOffer, ("preempted", 1, 10)),
    "preempted ten times": (
        DEFAULT,
        Preempted(),
        [Preempted()] * 10,
        GiveUp,
        ("preempted", 10, 10),
    ),
    "budgets are apart": (
        DEFAULT,
        NodeLost(),
        [Preempted()] * 10,
        NextOffer,
        ("node_lost", 1, 3),
    ),
    "node lost too often": (DEFAULT, NodeLost(), [NodeLost()] * 3, GiveUp, ("node_lost", 3, 3)),
    "setup again": (DEFAULT, SetupFailed(2), [], RetryHere, ("setup_failed", 1, 1)),
    "setup twice": (DEFAULT, SetupFailed(2), [SetupFailed(9)], GiveUp, ("setup_failed", 1, 1)),
    "user error": (DEFAULT, UserError(1), [], GiveUp, ("user_error", 0, 0)),
    "timeout": (DEFAULT, TimedOut(), [], GiveUp, ("timeout", 0, 0)),
    "cancelled": (DEFAULT, Cancelled(), [], GiveUp, ("none", 0, 0)),
    "refused": (DEFAULT, Refused(), [], GiveUp, ("none", 0, 0)),
    "code 75": (RETRY_75, UserError(75), [], RetryHere, ("user_error", 1, 2)),
    "code 75 again": (RETRY_75, UserError(75), [UserError(75)], RetryHere, ("user_error", 2, 2)),
    "code 75 too often": (
        RETRY_75,
        UserError(75),
        [UserError(75)] * 2,
        GiveUp,
        ("user_error", 2, 2),
    ),
    "another code": (RETRY_75, UserError(1), [], GiveUp, ("user_error.exit_codes", 0, 2)),
    "free code": (
        FREE_75,
        UserError(75),
        [UserError(75)] * 40,
        RetryHere,
        ("user_error.free_exit_codes", 41, None),
    ),
    "free codes use no budget": (
        FREE_75,
        UserError(1),
        [UserError(75)] * 40,
        RetryHere,
        ("user_error", 1, 1),
    ),
    "counted code ends": (FREE_75, UserError(1), [UserError(1)], GiveUp, ("user_error", 1, 1)),
    "memory is a user error": (DEFAULT, OutOfMemory(), [], GiveUp, ("user_error", 0, 0)),
    "memory shares its budget": (
        FREE_75,
        OutOfMemory(),
        [UserError(1)],
        GiveUp,
        ("user_error", 1, 1),
    ),
    "a rule about memory": (MEMORY, OutOfMemory(), [], RetryHere, ("user_error", 1, 1)),
    "a rule about memory only": (
        MEMORY,
        UserError(1),
        [],
        GiveUp,
        ("user_error.exit_codes", 0, 1),
    ),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_the_table(row: Row) -> None:
    policy, event, history, action, (rule, used, allowed) = row
    decision = decide(policy, event, history)
    assert type(decision.action) is action
    assert (decision.rule, decision.used, decision.allowed) == (rule, used, allowed)
    assert decision.reason


@pytest.mark.parametrize("event", ALL, ids=lambda e: e.kind)
@pytest.mark.parametrize("history", [[], ALL], ids=["first", "later"])
def test_none_means_none(event: Event, history: list[Event]) -> None:
    assert isinstance(decide(NONE, event, history).action, GiveUp)


@pytest.mark.parametrize(
    ("earlier", "seconds"), [(0, 2.0), (1, 4.0), (2, 8.0), (4, 32.0), (5, 60.0), (9, 60.0)]
)
def test_the_pause_doubles_up_to_its_cap(earlier: int, seconds: float) -> None:
    action = decide(DEFAULT, Preempted(), [Preempted()] * earlier).action
    assert action == NextOffer(after_s=seconds, skip_scope="type")


def test_capacity_moves_on_at_once_while_offers_are_untried() -> None:
    decision = decide(
        DEFAULT, Capacity("region"), [Capacity()] * 7, market=Market(untried=3, rounds=0)
    )
    assert decision.action == NextOffer(after_s=0.0, skip_scope="region")


@pytest.mark.parametrize(("rounds", "seconds"), [(1, 2.0), (2, 4.0), (9, 60.0)])
def test_capacity_pauses_between_rounds(rounds: int, seconds: float) -> None:
    market = Market(untried=0, rounds=rounds)
    action = decide(DEFAULT, Capacity("type"), [Capacity()] * 30, market=market).action
    assert action == NextOffer(after_s=seconds, skip_scope="type")


def test_without_a_market_the_pause_starts_anew_after_something_else() -> None:
    history = [Capacity(), Capacity(), Capacity(), Preempted(), Capacity()]
    assert decide(DEFAULT, Capacity(), history).action == NextOffer(4.0, "zone")


def test_a_seed_shortens_the_pause_always_in_the_same_way() -> None:
    pauses = {
        seed: decide(DEFAULT, Preempted(), [Preempted()] * 3, seed=seed).action
        for seed in map(str, range(100))
    }
    again = decide(DEFAULT, Preempted(), [Preempted()] * 3, seed="7").action
    seconds = [action.after_s for action in pauses.values() if isinstance(action, NextOffer)]
    assert again == pauses["7"]
    assert len(seconds) == 100 == len(set(seconds))
    assert all(8.0 <= pause <= 16.0 for pause in seconds)


def test_skypilot_failover_stays_in_place() -> None:
    policy = JobRecovery(strategy="failover").policy()
    assert isinstance(decide(policy, Preempted(), [Preempted()] * 50).action, RetryHere)


def test_skypilot_restarts_count_and_listed_codes_do_not() -> None:
    policy = JobRecovery(max_restarts_on_errors=1, recover_on_exit_codes=[33]).policy()
    assert isinstance(decide(policy, UserError(33), [UserError(1)]).action, RetryHere)
    assert isinstance(decide(policy, UserError(2), [UserError(33)]).action, RetryHere)
    assert isinstance(decide(policy, UserError(2), [UserError(2)]).action, GiveUp)


@pytest.mark.parametrize("event", [*ALL, Capacity("cloud", detail="sold out"), UserError(137)])
def test_events_survive_json(event: Event) -> None:
    back = event_from_dict(json.loads(json.dumps(event.to_dict())))
    assert back == event
    assert type(back) is type(event)
    assert back.detail == event.detail


@pytest.mark.parametrize("event", ALL, ids=lambda e: e.kind)
def test_decisions_survive_json(event: Event) -> None:
    decision = decide(DEFAULT, event, [])
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision
