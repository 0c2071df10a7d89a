"""What Slurm says when it refuses or waits, and what it means here.

Words of Slurm 22.05 (``slurm_errno.c``), most of them seen in tests against real daemons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stix.clouds.base import NodeState
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    QuotaError,
    TransientError,
)

Kind = Literal["invalid", "quota", "auth", "again", "full"]


@dataclass(frozen=True)
class Row:
    """A pattern of Slurm's words, and what they mean."""

    pattern: str
    kind: Kind
    fix: str = ""


REFUSALS = (
    Row(r"unable to contact slurm controller|communication connection failure", "again"),
    Row(r"socket timed out|connection refused|connection timed out", "again"),
    Row(r"temporarily unable to accept job|not available right now", "again"),
    Row(r"invalid partition", "invalid", "see `sinfo` for the partitions"),
    Row(r"required partition not available|partition.*(down|inactive)", "full"),
    Row(r"invalid account or account/partition", "invalid", "set `slurm.account`"),
    Row(r"invalid qos", "invalid", "set `slurm.qos`"),
    Row(
        r"violates accounting/qos policy|job (submit|size) limit",
        "quota",
        "see `sacctmgr show qos`",
    ),
    Row(r"group not permitted|access/permission denied|authentication", "auth"),
    Row(r"requested node configuration is not available", "invalid", "ask for less per node"),
    Row(r"node count specification invalid", "invalid", "ask for fewer nodes"),
    Row(r"invalid generic resource|invalid feature|invalid --", "invalid"),
    Row(r"time limit .*(invalid|exceed)|requested time limit", "invalid", "set `slurm.time`"),
    Row(r"nodes? .*not available|nodes required for job are down", "full"),
    Row(r"directory or other parameter too long", "invalid", "use fewer or shorter labels"),
)
"""Words of commands that failed."""

WAITING = (
    "None", "Resources", "Priority", "Prolog", "NodeDown", "BeginTime", "Licenses", "Cleaning",
    "ReqNodeNotAvail", "Reservation", "BurstBufferResources", "BurstBufferStageIn", "Dependency",
    "SchedDefer", "QOSNotReady", "WaitingForScheduling", "JobArrayTaskLimit",
)  # fmt: skip
"""Reasons of pending jobs that pass by themselves; the others are in ``REASONS``."""

REASONS = (
    Row(r"^(QOS|Assoc).*(NotAllowed|Invalid)|^InvalidQOS|^InvalidAccount", "invalid"),
    Row(r"^(QOS|Assoc|Max).*", "quota", "wait for your other jobs, or use another partition"),
    Row(r"^PartitionTimeLimit|^DeadLine", "invalid", "set `slurm.time` to less"),
    Row(r"^Partition(NodeLimit|Config)|^BadConstraints|^FedJobLock", "invalid"),
    Row(r"^Partition(Down|Inactive)|^NodeDown", "full"),
    Row(r"^JobHeld|^DependencyNeverSatisfied|^.*[Hh]eld", "invalid", "see `scontrol show job`"),
    Row(r"^SystemFailure|^JobLaunchFailure|^NonZeroExitCode", "full"),
    Row(r"^AccountNotAllowed|^PartitionNotAllowed|^AccountingPolicy", "auth"),
)
"""Reasons of pending jobs for which it makes no sense to wait."""

STATES: Mapping[str, NodeState] = {
    "PENDING": NodeState.STARTING,
    "CONFIGURING": NodeState.STARTING,
    "POWER_UP_NODE": NodeState.STARTING,
    "REQUEUED": NodeState.STARTING,
    "REQUEUE_HOLD": NodeState.STARTING,
    "REQUEUE_FED": NodeState.STARTING,
    "RESV_DEL_HOLD": NodeState.STARTING,
    "SPECIAL_EXIT": NodeState.FAILED,
    "RUNNING": NodeState.RUNNING,
    "RESIZING": NodeState.RUNNING,
    "SIGNALING": NodeState.RUNNING,
    "STAGE_OUT": NodeState.RUNNING,
    # It ends, and only its last state says why: until then it still holds its nodes.
    "COMPLETING": NodeState.RUNNING,
    "SUSPENDED": NodeState.STOPPED,
    "STOPPED": NodeState.STOPPED,
    "PREEMPTED": NodeState.PREEMPTED,
    # Our jobs end by themselves only when their agents are dead.
    "COMPLETED": NodeState.FAILED,
    "FAILED": NodeState.FAILED,
    "NODE_FAIL": NodeState.FAILED,
    "BOOT_FAIL": NodeState.FAILED,
    "OUT_OF_MEMORY": NodeState.FAILED,
    "TIMEOUT": NodeState.FAILED,
    "DEADLINE": NodeState.FAILED,
    # By somebody else: ours are forgotten when they are ended.
    "CANCELLED": NodeState.TERMINATED,
    "REVOKED": NodeState.TERMINATED,
}
"""State of a job (``%T`` of squeue) to that of its nodes."""


def refused(words: str) -> CloudError:
    """The error that Slurm's words mean."""
    for row in REFUSALS:
        if re.search(row.pattern, words, re.IGNORECASE):
            return _error(row, f"slurm: {words}")
    return CloudError(f"slurm: {words}")


def hopeless(reason: str) -> CloudError | None:
    """The error of a pending job that will not start; None where it may."""
    word = reason.split(",")[0].strip("()")
    if word in WAITING:
        return None
    for row in REASONS:
        if re.search(row.pattern, word):
            return _error(row, f"slurm: the job does not start: {reason}")
    return None


def _error(row: Row, message: str) -> CloudError:
    if row.kind == "quota":
        return QuotaError(message, scope="region", fix=row.fix)
    if row.kind == "full":
        return CapacityError(message, scope="region", fix=row.fix)
    if row.kind == "auth":
        return AuthError(message, fix=row.fix or "ask who runs the cluster")
    if row.kind == "again":
        return TransientError(message)
    return InvalidRequest(message, fix=row.fix)
