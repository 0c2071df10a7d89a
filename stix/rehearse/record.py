"""What a rehearsal says afterwards, as data."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stix.clouds.sim.world import Lease
from stix.plan.offers import Offer
from stix.recovery.events import Event
from stix.spec.states import AttemptState, RunState, StageState

TRIES_KEPT = 100


@dataclass(frozen=True)
class Try:
    """An offer that was asked for and could not be had.

    Attributes:
        at: Virtual seconds.
        offer: What was asked for.
        event: What the answer meant.
        decision: What recovery made of it, in its words.
    """

    at: float
    offer: Offer
    event: Event
    decision: str

    def to_dict(self) -> dict[str, Any]:
        event = self.event.to_dict()
        return {"at": self.at, **_place(self.offer), "event": event, "decision": self.decision}


@dataclass
class AttemptRecord:
    """One attempt of a stage.

    Attributes:
        offer: Where it ran, or what it asked for last.
        start, ready, end: Virtual seconds; ``ready`` is when its nodes could be used.
        lease: Its nodes; None where it got none.
        state: How it ended.
        event: What ended it; None where it succeeded.
        decision: What recovery made of that.
        kept_s: Seconds of work that the stage has behind it when it ends, by its checkpoints.
        tries: What could not be had before, the first ``TRIES_KEPT``.
        tried: How many they were.
    """

    number: int
    offer: Offer
    start: float
    ready: float | None = None
    end: float | None = None
    lease: Lease | None = None
    state: AttemptState = AttemptState.RUNNING
    event: Event | None = None
    decision: str = ""
    kept_s: float = 0.0
    tries: list[Try] = field(default_factory=list)
    tried: int = 0

    def add(self, one: Try) -> None:
        self.tried += 1
        if len(self.tries) < TRIES_KEPT:
            self.tries.append(one)

    def usd(self, now: float) -> float:
        return 0.0 if self.lease is None else self.lease.usd(now)

    def to_dict(self, now: float) -> dict[str, Any]:
        lease = self.lease
        return {
            "number": self.number,
            **_place(self.offer),
            "nodes": lease.count if lease else 0,
            "usd_per_node_hour": lease.rate if lease else None,
            "start": self.start,
            "ordered": lease.since if lease else None,
            "ready": self.ready,
            "end": self.end,
            "billed_node_s": lease.billed(now) if lease else 0.0,
            "usd": self.usd(now),
            "state": str(self.state),
            "event": self.event.to_dict() if self.event else None,
            "decision": self.decision,
            "kept_s": self.kept_s,
            "tries": [one.to_dict() for one in self.tries],
            "tried": self.tried,
        }


@dataclass
class StageRecord:
    """One stage run (a point of a matrix). ``seconds``: what its command takes where it is planned.

    It serves as a row for ``stix.engine.verdicts``; a rehearsal knows no results.
    """

    key: str
    stage: str
    seconds: float
    basis: str
    state: StageState = StageState.PENDING
    reason: str = ""
    attempts: list[AttemptRecord] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    def to_dict(self, now: float) -> dict[str, Any]:
        return {
            "key": self.key,
            "stage": self.stage,
            "state": str(self.state),
            "reason": self.reason,
            "estimate_s": self.seconds,
            "estimate_basis": self.basis,
            "usd": sum(attempt.usd(now) for attempt in self.attempts),
            "attempts": [attempt.to_dict(now) for attempt in self.attempts],
        }


@dataclass
class Rehearsed:
    """One rehearsal of the whole pipeline.

    Attributes:
        seed: Of its world.
        state: SUCCEEDED, FAILED, or RUNNING where the days were over before.
        reason: Why it did not finish; empty where it did.
        seconds: Until its end.
        usd: For all machines.
        preemptions: How often nodes were taken away.
        digest: Names the course of its events.
        stages: By key.
        notes: What people should know of it.
    """

    seed: int
    state: RunState
    reason: str
    seconds: float
    usd: float
    preemptions: int
    digest: str
    stages: list[StageRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.state is RunState.SUCCEEDED

    def summary(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "state": str(self.state),
            "finished": self.finished,
            "reason": self.reason,
            "seconds": self.seconds,
            "usd": self.usd,
            "preemptions": self.preemptions,
            "attempts": sum(len(stage.attempts) for stage in self.stages),
            "digest": self.digest,
        }

    def to_dict(self) -> dict[str, Any]:
        stages = [stage.to_dict(self.seconds) for stage in self.stages]
        return {**self.summary(), "stages": stages}


def spread(runs: Sequence[Rehearsed]) -> dict[str, Any]:
    """Over several rehearsals: how many finish, and what those cost and take."""
    done = [run for run in runs if run.finished]
    return {
        "runs": len(runs),
        "finished": len(done),
        "usd": _quantiles([run.usd for run in done]),
        "seconds": _quantiles([run.seconds for run in done]),
        "preemptions": _quantiles([float(run.preemptions) for run in done]),
    }


def _quantiles(numbers: Sequence[float]) -> dict[str, float] | None:
    """Least, median, 95th percentile (the nearest rank) and most; None of nothing."""
    if not numbers:
        return None
    ordered = sorted(numbers)
    return {
        "min": ordered[0],
        "median": statistics.median(ordered),
        "p95": ordered[math.ceil(0.95 * len(ordered)) - 1],
        "max": ordered[-1],
    }


def _place(offer: Offer) -> dict[str, Any]:
    return {"infra": offer.infra, "instance_type": offer.instance_type, "spot": offer.spot}
