"""The ledger in PostgreSQL: runs, stages, attempts, intents, leases, money, artifacts, events."""

from __future__ import annotations

from stix.ledger.breakers import CircuitRow
from stix.ledger.buckets import BucketRow
from stix.ledger.errors import Fenced, LedgerUnavailable, NotFound, WrongState
from stix.ledger.events import Listener
from stix.ledger.ledger import Ledger
from stix.ledger.migrate import migrate
from stix.ledger.rows import (
    ArtifactRow,
    AttemptRow,
    CacheHit,
    Claim,
    ClusterRow,
    EventRow,
    Fence,
    Intent,
    IntentRow,
    NewRun,
    NewStage,
    NodeRow,
    ReceiptRow,
    RunRow,
    RunSummary,
    StageRow,
)
from stix.ledger.volumes import NewVolume, VolumeRow

__all__ = [
    "ArtifactRow",
    "AttemptRow",
    "BucketRow",
    "CacheHit",
    "CircuitRow",
    "Claim",
    "ClusterRow",
    "EventRow",
    "Fence",
    "Fenced",
    "Intent",
    "IntentRow",
    "Ledger",
    "LedgerUnavailable",
    "Listener",
    "NewRun",
    "NewStage",
    "NewVolume",
    "NodeRow",
    "NotFound",
    "ReceiptRow",
    "RunRow",
    "RunSummary",
    "StageRow",
    "VolumeRow",
    "WrongState",
    "migrate",
]
