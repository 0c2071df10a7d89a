"""Which node a pod fits on, and the scheduler's words where there is none; pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Object = dict[str, Any]
_SUFFIX = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1.0}
_AFFINITY = "node(s) didn't match Pod's node affinity/selector"


def quantity(text: str | float) -> float:
    number, suffix = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()  # type: ignore[union-attr]
    return float(number) * _SUFFIX[suffix]


def requests(pod: Mapping[str, Any]) -> Counter[str]:
    """What the pod reserves; a limit without a request is a request."""
    total: Counter[str] = Counter({"pods": 1})
    for container in pod["spec"]["containers"]:
        named = container.get("resources") or {}
        for key, value in {**named.get("limits", {}), **named.get("requests", {})}.items():
            total[key] += quantity(value)  # type: ignore[assignment]
    return total


def live(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def place(
    pod: Mapping[str, Any], nodes: Iterable[Object], pods: Sequence[Object]
) -> tuple[str, str]:
    """A node's name, or the words of ``FailedScheduling``."""
    wanted = requests(pod)
    reasons: Counter[str] = Counter()
    count = 0
    for node in nodes:
        count += 1
        refusals = list(_refusals(pod, wanted, node, pods))
        if not refusals:
            return node["metadata"]["name"], ""
        reasons.update(refusals)
    words = ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
    return "", f"0/{count} nodes are available: {words or 'no nodes available to schedule pods'}."


def _refusals(
    pod: Mapping[str, Any], wanted: Counter[str], node: Object, pods: Sequence[Object]
) -> Iterable[str]:
    spec = node.get("spec", {})
    for taint in spec.get("taints", ()):
        if taint["effect"] != "PreferNoSchedule" and not _tolerated(pod, taint):
            yield f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
            return
    if spec.get("unschedulable"):
        yield "node(s) were unschedulable"
        return
    if not _selected(pod, node):
        yield _AFFINITY
        return
    taken: Counter[str] = Counter()
    for other in pods:
        if other["spec"].get("nodeName") == node["metadata"]["name"] and live(other):
            taken.update(requests(other))
    room = {key: quantity(value) for key, value in node["status"]["allocatable"].items()}
    for key, value in wanted.items():
        if taken[key] + value > room.get(key, 0) + 1e-9:
            yield "Too many pods" if key == "pods" else f"Insufficient {key}"


def _tolerated(pod: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    for toleration in pod["spec"].get("tolerations") or ():
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("operator") == "Exists":
            if toleration.get("key") in (None, "", taint["key"]):
                return True
        elif (toleration.get("key"), toleration.get("value", "")) == (
            taint["key"],
            taint.get("value", ""),
        ):
            return True
    return False


def _selected(pod: Mapping[str, Any], node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    plain = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in plain.items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(
        all(_matches(labels, rule) for rule in term.get("matchExpressions", ()))
        for term in required["nodeSelectorTerms"]
    )


def _matches(labels: Mapping[str, str], rule: Mapping[str, Any]) -> bool:
    key, values = rule["key"], rule.get("values", ())
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[rule["operator"]]
