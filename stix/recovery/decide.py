"""From a policy, what happened, and what happened before, to what to do next; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from stix.recovery.actions import Action, Decision, GiveUp, NextOffer, RetryHere
from stix.recovery.events import (
    Cancelled,
    Capacity,
    Denied,
    Event,
    OutOfMemory,
    Refused,
    SetupFailed,
    UserError,
)
from stix.spec.recovery import Next, RecoveryPolicy, Rule

_FINAL = {
    Cancelled.kind: "cancelled: nothing is tried again",
    Refused.kind: "refused: it would be refused again",
}
"""Events that no policy speaks of."""

_JUDGED = {OutOfMemory.kind: UserError.kind, Denied.kind: Capacity.kind}
"""Events that the rule of another kind answers."""


@dataclass(frozen=True)
class Market:
    """What the plan still holds when there was no room.

    Attributes:
        untried: Offers that nothing rules out yet in this round.
        rounds: How often all offers of the plan have been tried, this time included.
        open: Offers that are not ruled out for good.
        asked: Offers that were asked for in vain before, beside those of the history.
    """

    untried: int = 0
    rounds: int = 1
    open: int = 0
    asked: int = 0


def decide(
    policy: RecoveryPolicy,
    event: Event,
    history: Sequence[Event],
    *,
    market: Market | None = None,
    seed: str = "",
) -> Decision:
    """What to do about ``event``.

    Each kind of event has its own budget, counted over ``history``. Pauses double with each use
    of a rule up to its cap. A shortage of capacity moves on at once while ``market`` has offers
    that were not tried, and pauses only between rounds. A refused login is answered by the rule of
    capacity, but ends the stage where no other cloud is left.

    Args:
        policy: The rules of the stage.
        event: What happened now.
        history: What happened to the earlier attempts of the stage, oldest first, without
            ``event``.
        market: For ``Capacity`` and ``Denied``; without it each shortage counts as a round of its
            own, and no other cloud is left.
        seed: Where given, pauses are shortened by up to a half, always by the same share for
            the same seed and count, so that many stages do not come back at one moment.
    """
    if event.kind in _FINAL:
        return Decision(GiveUp(event.kind), "none", 0, 0, _FINAL[event.kind])
    if isinstance(event, Denied) and not (market and market.open):
        return _no_cloud(event)
    rule = policy.rule(_judged_as(event))
    if _free(rule, event):
        return _free_retry(rule, event, history, seed)
    used = _used(rule, event, history)
    if isinstance(event, Capacity | Denied) and market is not None:
        used += market.asked
    refusal = _refusal(rule, event, used)
    if refusal is not None:
        return refusal
    if isinstance(event, Capacity | Denied):
        pause = _shortage_pause(rule, event, history, market, seed)
    else:
        pause = _pause(rule, used + 1, seed)
    return _retry(rule, event, used + 1, pause)


def _no_cloud(event: Event) -> Decision:
    reason = f"{_words(event)}, and no other cloud is left"
    return Decision(GiveUp(reason), "none", 0, 0, reason)


def _retry(rule: Rule, event: Event, used: int, pause: float) -> Decision:
    action = _again(rule, event, pause)
    reason = f"{_words(event)}: {_next_words(action)}, {_of(used, rule.retries)}"
    return Decision(action, _judged_as(event), used, rule.retries, reason)


def _free_retry(rule: Rule, event: Event, history: Sequence[Event], seed: str) -> Decision:
    number = sum(_free(rule, earlier) for earlier in history) + 1
    action = _again(rule, event, _pause(rule, number, seed))
    reason = f"{_words(event)}: {_next_words(action)}, always tried again"
    return Decision(action, f"{_judged_as(event)}.free_exit_codes", number, None, reason)


def _refusal(rule: Rule, event: Event, used: int) -> Decision | None:
    """The decision to give up, where the rule grants no further attempt."""
    kind = _judged_as(event)
    if rule.exit_codes and _exit_code(event) not in rule.exit_codes:
        reason = f"{_words(event)}: not among the exit codes {rule.exit_codes} that are retried"
        return Decision(GiveUp(reason), f"{kind}.exit_codes", used, rule.retries, reason)
    if rule.retries is not None and used >= rule.retries:
        reason = f"{_words(event)}: {_budget_words(used, rule.retries)}"
        return Decision(GiveUp(reason), kind, used, rule.retries, reason)
    return None


def _used(rule: Rule, event: Event, history: Sequence[Event]) -> int:
    """Attempts of the rule's budget that earlier events of the same kind have used up."""
    kind = _judged_as(event)
    alike = [earlier for earlier in history if _JUDGED.get(earlier.kind, earlier.kind) == kind]
    if not rule.free_exit_codes:
        return len(alike)
    return sum(not _free(rule, earlier) for earlier in alike)


def _judged_as(event: Event) -> str:
    return _JUDGED.get(event.kind, event.kind)


def _exit_code(event: Event) -> int | None:
    return event.exit_code if isinstance(event, UserError | SetupFailed | OutOfMemory) else None


def _free(rule: Rule, event: Event) -> bool:
    return _judged_as(event) == UserError.kind and _exit_code(event) in rule.free_exit_codes


def _pause(rule: Rule, number: int, seed: str) -> float:
    delay = rule.delay(number)
    if not seed:
        return delay
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return delay * (1 - share / 2)


def _shortage_pause(
    rule: Rule, event: Event, history: Sequence[Event], market: Market | None, seed: str
) -> float:
    if market is not None and rule.next is Next.SAME and isinstance(event, Capacity):
        return _pause(rule, market.asked + 1, seed)  # no other offer is tried meanwhile
    if market is not None:
        return 0.0 if market.untried else _pause(rule, market.rounds, seed)
    in_a_row = 1
    for earlier in reversed(history):
        if not isinstance(earlier, Capacity | Denied):
            break
        in_a_row += 1
    return _pause(rule, in_a_row, seed)


def _again(rule: Rule, event: Event, pause: float) -> Action:
    if isinstance(event, Denied):
        return NextOffer(after_s=pause, skip_scope=event.scope, for_good=True)
    if rule.next is Next.SAME:
        return RetryHere(after_s=pause)
    scope = event.scope if isinstance(event, Capacity) else "type"
    return NextOffer(after_s=pause, skip_scope=scope)


def _words(event: Event) -> str:
    words = {
        "capacity": "no room",
        "denied": "the cloud refused the login",
        "preempted": "the node was preempted",
        "node_lost": "the node was lost",
        "setup_failed": "setup failed",
        "user_error": "the command failed",
        "out_of_memory": "out of memory",
        "timeout": "the deadline passed",
    }[event.kind]
    code = _exit_code(event)
    return words if code is None else f"{words} with exit code {code}"


def _next_words(action: Action) -> str:
    place = "the next offer" if isinstance(action, NextOffer) else "again in the same place"
    after = getattr(action, "after_s", 0.0)
    return f"{place} after {after:.3g} s" if after else f"{place} at once"


def _of(used: int, allowed: int | None) -> str:
    return f"retry {used}" if allowed is None else f"retry {used} of {allowed}"


def _budget_words(used: int, allowed: int) -> str:
    return f"all {allowed} retries are used" if used else "the policy allows no retry"
