"""The states of a run, a stage and an attempt, shared by ledger, engine and client."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}


class StageState(StrEnum):
    """Where one stage (one matrix point) of a run stands.

    ``CACHED``: outputs of an earlier run serve. ``SKIPPED``: its ``when`` was false.
    ``UPSTREAM_FAILED``: a stage it needs did not succeed.
    """

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CACHED = "cached"
    SKIPPED = "skipped"
    FAILED = "failed"
    UPSTREAM_FAILED = "upstream_failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self not in {StageState.PENDING, StageState.RUNNING}

    @property
    def good(self) -> bool:
        """True when stages downstream may use its outputs."""
        return self in {StageState.SUCCEEDED, StageState.CACHED}


class AttemptState(StrEnum):
    """Where one attempt of a stage stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


STEPS = ("place", "provision", "sync", "setup", "run", "collect", "release")
"""The steps of an attempt, in order; each is one Prefect task."""
