"""From pods back to nodes: states, and the cluster's words for them; pure.

Conditions and reasons of disruptions: KEP-3329; waiting reasons: ``k8s.io/kubernetes/pkg/kubelet``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from stix.clouds.base import Node, NodeRef, NodeState, Quota
from stix.clouds.errors import CapacityError, CloudError, InvalidRequest
from stix.clouds.kubernetes.api import Object
from stix.clouds.kubernetes.pods import ASKED, RANK_LABEL, TAGS
from stix.clouds.kubernetes.sizes import quantity

FATAL = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CrashLoopBackOff",
    "RunContainerError",
}
TAKEN = {"Evicted", "Preempted", "Preempting", "NodeShutdown", "Terminated", "Shutdown", "NodeLost"}
DISRUPTIONS = {
    "PreemptionByScheduler",
    "DeletionByTaintManager",
    "EvictionByEvictionAPI",
    "DeletionByPodGC",
    "TerminationByKubelet",
}
TAKING_EVENTS = {"Preempted", "Evicted", "TaintManagerEviction", "NodeShutdown", "Preempting"}
# An eviction for what the pod itself used up: its user's failure.
_OWN_FAULT = re.compile(r"exceed(s|ed) (the|its) ([a-z-]+ )*limit", re.I)
_NOT_TAKEN_IN = {"NodeAffinity", "UnexpectedAdmissionError", "NodeSelectorMismatching"}
Verdict = Literal["waiting", "queued"] | CloudError
"""Wait; wait for long, since a node is being made; or give up."""


def node_of(made: Object, context: str) -> Node:
    """The node that a pod is."""
    meta, status = made["metadata"], made.get("status") or {}
    state, reason = state_of(made)
    notes = meta.get("annotations") or {}
    asked = json.loads(notes.get(ASKED, "{}"))
    gpus = asked.get("accelerators", {})
    phase = status.get("phase")
    return Node(
        ref=NodeRef("kubernetes", f"{meta['namespace']}/{meta['name']}", context),
        state=state,
        address=status.get("podIP") or "",
        rank=int(meta["labels"].get(RANK_LABEL, "0")),
        tags=tags_of(made),
        accelerators={name: list(range(int(count))) for name, count in gpus.items()},
        created=created_of(made),
        spot=bool(asked.get("spot")),
        billed=phase not in ("Succeeded", "Failed"),
        reason=reason,
    )


def tags_of(made: Object) -> dict[str, str]:
    """The tags that a pod or a service was made with."""
    found = json.loads((made["metadata"].get("annotations") or {}).get(TAGS, "{}"))
    return {str(key): str(value) for key, value in found.items()}


def created_of(made: Object) -> float | None:
    """Unix time in seconds."""
    text = made["metadata"].get("creationTimestamp")
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None


def quotas_of(made: Object, region: str) -> list[Quota]:
    """The limits of one ResourceQuota, in its own units: CPUs, bytes, objects."""
    status, name = made.get("status") or {}, made["metadata"]["name"]
    hard = status.get("hard") or made["spec"].get("hard") or {}
    used = status.get("used") or {}
    return [
        Quota(
            f"{name}: {key}",
            region,
            quantity(limit),
            quantity(used[key]) if key in used else None,
            "bytes" if "memory" in key or "storage" in key else "",
        )
        for key, limit in hard.items()
    ]


def state_of(made: Object) -> tuple[NodeState, str]:
    """State and the cluster's words for it."""
    status = made.get("status") or {}
    phase = status.get("phase", "Pending")
    if words := taken_away(made):
        return NodeState.PREEMPTED, words
    if made["metadata"].get("deletionTimestamp"):
        return NodeState.TERMINATED, "being removed"
    if phase in ("Succeeded", "Failed", "Unknown"):
        return NodeState.FAILED, end_words(made) or phase
    reason, words = waiting(made)
    if reason in FATAL:
        return NodeState.FAILED, f"{reason}: {words}"
    if phase == "Running":
        return NodeState.RUNNING, ""
    return NodeState.STARTING, words or unschedulable(made)[1]


def taken_away(made: Object) -> str:
    """Why the cluster took the pod away; empty where it did not."""
    status = made.get("status") or {}
    reason, message = status.get("reason") or "", status.get("message") or ""
    target = _condition(made, "DisruptionTarget")
    if target.get("status") == "True":
        words = target.get("message") or message
        return f"{target.get('reason', 'DisruptionTarget')}: {words}".rstrip(": ")
    if reason in TAKEN and not _OWN_FAULT.search(message):
        return f"{reason}: {message}".rstrip(": ")
    return ""


def end_words(made: Object) -> str:
    """Why a pod ended: its status, and how its container did (``OOMKilled`` ...)."""
    status = made.get("status") or {}
    words = [status.get("reason"), status.get("message")]
    for container in status.get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated")
        if ended:
            words += [ended.get("reason"), f"exit code {ended.get('exitCode')}"]
    return ", ".join(str(word) for word in words if word)


def waiting(made: Object) -> tuple[str, str]:
    """Reason and message for which the container does not start yet."""
    for container in (made.get("status") or {}).get("containerStatuses") or ():
        state = (container.get("state") or {}).get("waiting")
        if state:
            return state.get("reason") or "", state.get("message") or ""
    return "", ""


def unschedulable(made: Object) -> tuple[str, str]:
    """Reason and message of the scheduler; empty where it has found a node or not looked yet."""
    found = _condition(made, "PodScheduled")
    if found.get("status") != "False":
        return "", ""
    return found.get("reason") or "Unschedulable", found.get("message") or ""


def never_starts(made: Object) -> CloudError | None:
    """The error of a pod whose container will not start as it was asked for."""
    reason, words = waiting(made)
    if reason not in FATAL:
        return None
    about = "the image" if "mage" in reason else "the container"
    return InvalidRequest(
        f"kubernetes: {about} of {made['metadata']['name']} cannot start: {reason}: {words}",
        fix="correct `image_id`, or what it needs (pull secrets, a shell, the user's rights)",
    )


def _condition(made: Object, kind: str) -> Mapping[str, Any]:
    for condition in (made.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind:
            return dict(condition)
    return {}


def no_place(made: Object, events: Iterable[Object], waited_s: float, patience_s: float) -> Verdict:
    """What to make of a pod without a node, by the scheduler and the autoscaler."""
    reason, words = unschedulable(made)
    if reason == "SchedulingGated":
        return "queued"
    said = [(event.get("reason"), event.get("message") or "") for event in events]
    if any(what == "TriggeredScaleUp" for what, _ in said):
        return "queued"
    refused = [words for what, words in said if what == "NotTriggerScaleUp"]
    if not refused and (reason != "Unschedulable" or waited_s < patience_s):
        return "waiting"
    told = "; ".join(text for text in (words, *refused[:1]) if text)
    return CapacityError(
        f"kubernetes: no node has room for {made['metadata']['name']}: {told}", scope="region"
    )


def turned_away(made: Object) -> CloudError | None:
    """The error of a pod that its node did not take in (``OutOfcpu``, ``NodeAffinity`` ...)."""
    status = made.get("status") or {}
    reason = status.get("reason") or ""
    refused = reason.lower().startswith("outof") or reason in _NOT_TAKEN_IN
    if status.get("phase") != "Failed" or not refused:
        return None
    return CapacityError(f"kubernetes: {end_words(made)}", scope="region")


def taking_event(events: Iterable[Object]) -> str:
    """Words of an event that says that a pod was taken away; empty where none does."""
    for event in events:
        if event.get("reason") in TAKING_EVENTS:
            return f"{event['reason']}: {event.get('message') or ''}".rstrip(": ")
    return ""
