"""What a cluster says of pods, and what it means: one row each."""

from __future__ import annotations

from typing import Any

import pytest

from stix.clouds.base import NodeState
from stix.clouds.errors import CapacityError, InvalidRequest
from stix.clouds.kubernetes.pods import label_value
from stix.clouds.kubernetes.reading import (
    end_words,
    never_starts,
    no_place,
    state_of,
    taking_event,
    turned_away,
)
from stix.clouds.kubernetes.sizes import accelerator_name, quantity

Object = dict[str, Any]


def pod(**status: Any) -> Object:
    return {"metadata": {"name": "p", "namespace": "n"}, "spec": {}, "status": status}


def container(**state: Any) -> Object:
    return pod(phase="Pending", containerStatuses=[{"state": state}])


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "CrashLoopBackOff",
        "RunContainerError",
    ],
)
def test_a_container_that_never_starts_is_the_users_to_correct(reason: str) -> None:
    made = container(waiting={"reason": reason, "message": "manifest unknown"})
    error = never_starts(made)
    assert isinstance(error, InvalidRequest)
    assert reason in error.message
    assert "manifest unknown" in error.message
    assert error.fix
    assert state_of(made)[0] is NodeState.FAILED


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", ""])
def test_a_container_that_is_on_its_way_starts(reason: str) -> None:
    made = container(waiting={"reason": reason})
    assert never_starts(made) is None
    assert state_of(made)[0] is NodeState.STARTING


@pytest.mark.parametrize("reason", ["Evicted", "Preempted", "NodeShutdown", "Terminated"])
def test_a_pod_that_was_taken_is_preempted(reason: str) -> None:
    made = pod(phase="Failed", reason=reason, message="the node was low on memory")
    assert state_of(made) == (NodeState.PREEMPTED, f"{reason}: the node was low on memory")


@pytest.mark.parametrize(
    "reason",
    [
        "PreemptionByScheduler",
        "DeletionByTaintManager",
        "EvictionByEvictionAPI",
        "DeletionByPodGC",
        "TerminationByKubelet",
    ],
)
@pytest.mark.parametrize("phase", ["Pending", "Running", "Failed"])
def test_a_target_of_a_disruption_is_preempted(reason: str, phase: str) -> None:
    target = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "w"}
    made = pod(phase=phase, conditions=[target])
    made["metadata"]["deletionTimestamp"] = "2026-11-20T12:00:00Z"
    assert state_of(made) == (NodeState.PREEMPTED, f"{reason}: w")


@pytest.mark.parametrize(
    "message",
    [
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.",
        'Usage of EmptyDir volume "stix" exceeds the limit "1Gi".',
        "Container main exceeded its local ephemeral storage limit",
    ],
)
def test_an_eviction_for_what_the_pod_used_up_is_no_preemption(message: str) -> None:
    state, words = state_of(pod(phase="Failed", reason="Evicted", message=message))
    assert state is NodeState.FAILED
    assert message in words


@pytest.mark.parametrize(
    ("reason", "code"), [("OOMKilled", 137), ("Error", 1), ("ContainerCannotRun", 128)]
)
def test_a_container_that_ended_is_a_failure_with_its_reason(reason: str, code: int) -> None:
    made = pod(
        phase="Failed",
        containerStatuses=[{"state": {"terminated": {"reason": reason, "exitCode": code}}}],
    )
    assert state_of(made) == (NodeState.FAILED, f"{reason}, exit code {code}")


NO_ROOM = [
    "0/3 nodes are available: 3 Insufficient cpu.",
    "0/3 nodes are available: 3 Insufficient memory.",
    "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 Insufficient cpu.",
    "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
    "0/3 nodes are available: 3 node(s) had untolerated taint {nvidia.com/gpu: present}.",
]


def unplaced(words: str, reason: str = "Unschedulable") -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": words}
    return pod(phase="Pending", conditions=[condition])


def event(reason: str, message: str = "") -> Object:
    return {"reason": reason, "message": message}


@pytest.mark.parametrize("words", NO_ROOM)
def test_no_room_is_waited_for_and_then_sought_elsewhere(words: str) -> None:
    failed = event("FailedScheduling", words)
    assert no_place(unplaced(words), [failed], 1.0, 30.0) == "waiting"
    verdict = no_place(unplaced(words), [failed], 31.0, 30.0)
    assert isinstance(verdict, CapacityError)
    assert verdict.scope == "region"
    assert words in verdict.message


def test_an_autoscaler_that_makes_a_node_is_waited_for() -> None:
    triggered = event("TriggeredScaleUp", "pod triggered scale-up: [{pool 0->1 (max: 3)}]")
    assert no_place(unplaced(NO_ROOM[0]), [triggered], 1000.0, 30.0) == "queued"


def test_an_autoscaler_that_refuses_is_believed_at_once() -> None:
    refused = event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max limit reached")
    verdict = no_place(unplaced(NO_ROOM[0]), [refused], 0.0, 30.0)
    assert isinstance(verdict, CapacityError)
    assert "max limit reached" in verdict.message
    assert NO_ROOM[0] in verdict.message


def test_a_gate_of_a_queue_is_waited_for() -> None:
    assert no_place(unplaced("", "SchedulingGated"), [], 1000.0, 30.0) == "queued"


@pytest.mark.parametrize(
    "reason", ["OutOfcpu", "OutOfmemory", "OutOfnvidia.com/gpu", "UnexpectedAdmissionError"]
)
def test_a_node_that_does_not_take_a_pod_in_has_no_room(reason: str) -> None:
    error = turned_away(pod(phase="Failed", reason=reason, message="Node didn't have enough"))
    assert isinstance(error, CapacityError)
    assert error.scope == "region"
    assert reason in error.message


def test_other_ends_are_no_shortage() -> None:
    assert turned_away(pod(phase="Failed", reason="Evicted")) is None
    assert turned_away(pod(phase="Running")) is None


@pytest.mark.parametrize(
    ("reason", "taken"),
    [("Preempted", True), ("Evicted", True), ("TaintManagerEviction", True), ("Killing", False)],
)
def test_events_tell_of_a_preemption_when_the_pod_is_gone(reason: str, taken: bool) -> None:
    assert bool(taking_event([event("Scheduled"), event(reason, "words")])) is taken


def test_the_end_is_told_in_all_words_there_are() -> None:
    assert end_words(pod(phase="Failed", reason="DeadlineExceeded", message="was active")) == (
        "DeadlineExceeded, was active"
    )


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("NVIDIA-A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA-A100-SXM4-40GB", "A100"),
        ("nvidia-tesla-a100", "A100"),
        ("nvidia-a100-80gb", "A100-80GB"),
        ("A100_NVLINK_80GB", "A100-80GB"),
        ("NVIDIA-H100-80GB-HBM3", "H100"),
        ("nvidia-h100-80gb", "H100"),
        ("H100_NVLINK_80GB", "H100"),
        ("NVIDIA-H200", "H200"),
        ("NVIDIA-GB200", "GB200"),
        ("Tesla-T4", "T4"),
        ("nvidia-tesla-t4", "T4"),
        ("t4", "T4"),
        ("Tesla-V100-SXM2-32GB", "V100-32GB"),
        ("Tesla-V100-SXM2-16GB", "V100"),
        ("nvidia-l4", "L4"),
        ("l40s", "L40S"),
        ("NVIDIA-A10G", "A10G"),
        ("NVIDIA-GeForce-RTX-4090", "RTX4090"),
        ("NVIDIA-RTX-A6000", "A6000"),
        ("RTX_A6000", "A6000"),
        ("NVIDIA-RTX-6000-Ada-Generation", "RTX6000-Ada"),
        ("tpu-v5-lite-podslice", "tpu-v5-lite-podslice"),
    ],
)
def test_labels_name_accelerators(label: str, name: str) -> None:
    assert accelerator_name(label) == name


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("4", 4), ("1Gi", 2**30), ("16Ki", 2**14), ("2k", 2000), ("1e3", 1000)],
)
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == value


def test_label_values_fit_and_stay_apart() -> None:
    assert label_value("plain-1.2_3") == "plain-1.2_3"
    texts = ["a" * 64, "a" * 65, "train[x=1]", "train[x=2]", "試験", "-lead", "", "a b", "a_b"]
    made = [label_value(text) for text in texts]
    assert len(set(made)) == len(texts)
    assert all(len(value) <= 63 for value in made)
