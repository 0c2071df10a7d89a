"""What goes into the ledger and comes out of it: frozen rows, times in UTC, money as Decimal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Self, TypedDict

from stix.spec.states import AttemptState, RunState, StageState

Json = dict[str, Any]


@dataclass(frozen=True)
class Fence:
    """The right to act for a run, as long as no newer token was given out."""

    run_id: str
    token: int


@dataclass(frozen=True)
class Claim:
    """A run this engine owns now.

    Attributes:
        takeover: True when somebody began with the run already: another engine held it, or it was
            started and released. The flow run, if there is one, is to be re-entered.
    """

    run_id: str
    token: int
    takeover: bool
    flow_run_id: str | None

    @property
    def fence(self) -> Fence:
        return Fence(self.run_id, self.token)


@dataclass(frozen=True)
class NewStage:
    """One stage run (one matrix point) of a new run."""

    key: str
    stage: str
    params: Json = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class NewRun:
    """A run as submitted. ``uploads`` is source path to digest; secrets are names only."""

    id: str
    name: str
    spec: Json
    points: list[NewStage]
    source: Json = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    secret_names: list[str] = field(default_factory=list)
    flow_run_id: str | None = None
    deadline_s: float | None = None


@dataclass(frozen=True)
class Intent:
    """What is about to be asked of a cloud. ``token`` is the cloud call's idempotency token."""

    token: str
    key: str
    attempt: int
    cloud: str
    request: Json


class ArtifactFields(TypedDict):
    """``kind`` is ``output``, ``log``, ``result`` or ``upload``; key ``""`` for the whole run."""

    digest: str
    key: str
    attempt: int
    name: str
    kind: str
    bytes: int
    files: int
    url: str


class AttemptOutcome(TypedDict, total=False):
    """What ended an attempt: the typed event, what recovery answered, the command's code."""

    event: Any
    action: Any
    exit_code: int | None


@dataclass(frozen=True)
class _Row:
    _states: ClassVar[type[StrEnum] | None] = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        values = dict(record)
        if cls._states is not None:
            values["state"] = cls._states(values["state"])
        return cls(**values)

    @classmethod
    def all(cls, records: Iterable[Mapping[str, Any]]) -> list[Self]:
        return [cls.of(record) for record in records]


@dataclass(frozen=True)
class RunRow(_Row):
    """A run. ``cost_usd`` is the sum of its receipts; ``resumes`` counts ``resume_run``."""

    _states: ClassVar[type[StrEnum] | None] = RunState

    id: str
    name: str
    state: RunState
    spec: Json
    source: Json
    uploads: dict[str, str]
    options: Json
    secret_names: list[str]
    flow_run_id: str | None
    deadline_s: float | None
    reason: str | None
    error: Json | None
    cost_usd: Decimal
    resumes: int
    created: datetime
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True)
class RunSummary(_Row):
    """A run in a list. ``stages`` is state to count; ``cost_usd`` includes open clusters so far."""

    _states: ClassVar[type[StrEnum] | None] = RunState

    id: str
    name: str
    state: RunState
    reason: str | None
    error: Json | None
    resumes: int
    created: datetime
    started: datetime | None
    ended: datetime | None
    stages: dict[str, int]
    cost_usd: Decimal


@dataclass(frozen=True)
class StageRow(_Row):
    """One stage run; rows come in the order of the pipeline (``position``)."""

    _states: ClassVar[type[StrEnum] | None] = StageState

    run_id: str
    key: str
    position: int
    stage: str
    params: Json
    needs: list[str]
    state: StageState
    reason: str | None
    placement: Any
    cache_key: str | None
    cache_parts: Any
    result: Any
    outputs: Any
    error: Any
    flow_run_id: str | None
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True)
class AttemptRow(_Row):
    """One attempt. ``steps``: step to ``{"result", "ended"}``; ``resume``: the run's count then."""

    _states: ClassVar[type[StrEnum] | None] = AttemptState

    run_id: str
    key: str
    number: int
    resume: int
    state: AttemptState
    offer: Any
    steps: Json
    event: Any
    action: Any
    exit_code: int | None
    started: datetime
    ended: datetime | None


@dataclass(frozen=True)
class IntentRow(_Row):
    """An intent; ``lease_live``: an engine that is alive owns its run now."""

    token: str
    run_id: str
    key: str
    attempt: int
    cloud: str
    request: Json
    outcome: str | None
    detail: Any
    opened: datetime
    settled: datetime | None
    run_state: str
    lease_live: bool


@dataclass(frozen=True)
class ClusterRow(_Row):
    """A cluster; ``price_usd_h`` is USD per hour of one of its nodes, at launch."""

    token: str
    run_id: str
    key: str
    attempt: int
    cloud: str
    offer: Json
    price_usd_h: Decimal
    created: datetime
    closed: datetime | None
    reason: str | None


@dataclass(frozen=True)
class NodeRow(_Row):
    """A node; ``data`` is what the cloud said of it, ``Node.to_dict()``."""

    token: str
    rank: int
    id: str
    cloud: str
    data: Json
    closed: datetime | None
    run_id: str
    key: str
    attempt: int
    created: datetime


@dataclass(frozen=True)
class ReceiptRow(_Row):
    """One line of a receipt: ``usd`` is ``quantity`` times ``unit_price_usd``, six decimals."""

    token: str
    rank: int
    run_id: str
    key: str
    attempt: int
    kind: str
    description: str
    quantity: Decimal
    unit: str
    unit_price_usd: Decimal
    usd: Decimal
    created: datetime


@dataclass(frozen=True)
class ArtifactRow(_Row):
    """A named, content-addressed output, log, result or upload of a run."""

    run_id: str
    key: str
    attempt: int
    kind: str
    name: str
    digest: str
    bytes: int
    files: int
    url: str
    created: datetime


@dataclass(frozen=True)
class CacheHit(_Row):
    """The outputs an earlier run left for the same cache key."""

    cache_key: str
    run_id: str
    key: str
    outputs: Any
    result: Any
    created: datetime


@dataclass(frozen=True)
class EventRow(_Row):
    """Something that happened in a run; ``number`` rises from 1 in the order of commits."""

    run_id: str
    number: int
    kind: str
    key: str | None
    data: Json
    at: datetime
