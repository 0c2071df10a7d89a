"""Fields that earlier releases of SkyPilot had: what they became, or what to write instead."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from stix.spec.problems import Path, Problem, warning

_HEADER = "it belongs to a header: a first document with name: and {} alone, then --- and the tasks"
_GROUP = (
    "it belongs to the header of a job group: a first document with name: and "
    "execution: parallel, then --- and one document for each job"
)
_RATE = (
    "write target_qps_per_replica: 2 (queries per second that one replica takes) and max_replicas"
)
_ALWAYS = "remove it: a replica that fails is always replaced"
_IMAGE = "write image_id: docker:IMAGE"

INSTEAD: dict[tuple[str, str], str] = {
    ("", "execution"): _HEADER.format("execution: serial or parallel"),
    ("", "primary_tasks"): _GROUP,
    ("", "termination_delay"): _GROUP,
    ("", "inter_connection"): _GROUP,
    ("", "experimental"): "write what config_overrides held as config: {docker: ...}, and no more",
    ("", "spot_recovery"): "write job_recovery: {strategy: NAME} below resources",
    ("", "storage_mounts"): "write file_mounts: {/path: {source: URL, mode: MOUNT}}",
    ("", "storage"): "write file_mounts: {/path: {source: URL, mode: MOUNT}}",
    ("", "min_nodes"): "write num_nodes: 2; the number of nodes is fixed",
    ("", "max_nodes"): "write num_nodes: 2; the number of nodes is fixed",
    ("", "docker_image"): f"{_IMAGE} below resources",
    ("", "image"): f"{_IMAGE} below resources",
    ("", "hooks"): "write hooks below config",
    ("", "replicas"): "write replicas below service",
    ("", "readiness_probe"): "write readiness_probe below service",
    ("resources", "hooks"): "write hooks below config, at the top of the task",
    ("resources", "spot_recovery"): "remove it; job_recovery says the same",
    ("resources", "spot"): "write use_spot: true",
    ("resources", "instance_tags"): "write labels: {name: text}",
    ("resources", "tags"): "write labels: {name: text}",
    ("resources", "docker_image"): _IMAGE,
    ("resources", "container"): _IMAGE,
    ("resources", "num_nodes"): "write num_nodes at the top of the task",
    ("service", "port"): "remove it; ports says the same",
    ("service", "app_port"): "write ports: 8080",
    ("service", "replica_port"): "write ports: 8080",
    ("service", "readiness_suffix"): "write readiness_probe: /health",
    ("service", "readiness_path"): "write readiness_probe: /health",
    ("service", "initial_delay_seconds"): "write it below readiness_probe, beside path",
    ("service", "post_data"): "write it below readiness_probe, beside path",
    ("service", "auto_restart"): _ALWAYS,
    ("service", "controller"): "set serve.controller in the configuration of the server",
    ("service", "controller_resources"): (
        "set serve.controller.resources in the configuration of the server"
    ),
    ("service", "min_replicas"): "write replica_policy: {min_replicas: 1}",
    ("service", "max_replicas"): "write replica_policy: {min_replicas: 1, max_replicas: 4}",
    ("service", "target_qps_per_replica"): "write it below replica_policy",
    ("service", "qps_upper_threshold"): f"below replica_policy, {_RATE}",
    ("service", "qps_lower_threshold"): f"below replica_policy, {_RATE}",
    ("service", "spot_placer"): "write it below replica_policy",
    ("replica_policy", "qps_upper_threshold"): _RATE,
    ("replica_policy", "qps_lower_threshold"): (
        "remove it: replicas are removed when the load falls below target_qps_per_replica each"
    ),
    ("replica_policy", "auto_restart"): _ALWAYS,
    ("replica_policy", "use_ondemand_fallback"): "write dynamic_ondemand_fallback: true",
    ("replica_policy", "use_spot_fallback"): "write dynamic_ondemand_fallback: true",
    ("replica_policy", "spot_fallback"): "write dynamic_ondemand_fallback: true",
    ("replica_policy", "ondemand_fallback"): "write dynamic_ondemand_fallback: true",
    ("replica_policy", "spot_mixer"): "write dynamic_ondemand_fallback: true",
    ("replica_policy", "upscale_delay"): "write upscale_delay_seconds: 300",
    ("replica_policy", "downscale_delay"): "write downscale_delay_seconds: 1200",
    ("replica_policy", "replicas"): "write min_replicas, or service.replicas alone",
}
"""Name of what a field lies in (empty for a task) and the field, to what to write instead."""
STRATEGIES = {"AGGRESSIVE_FAILOVER": "EAGER_NEXT_REGION"}
"""Old name of a strategy of recovery to its name."""
_KINDS = ("any_of", "ordered")
_RESOURCES = frozenset({"spot_recovery", *_KINDS})
_SERVICE = frozenset({"port", "auto_restart", "replica_policy"})
"""A field among these may hold, or be, a removed one."""


def instead(path: Path) -> str:
    """What to write instead of a field that is not known; empty where nothing is known of it."""
    words = [part for part in path if isinstance(part, str) and part not in _KINDS]
    if not words:
        return ""
    return INSTEAD.get((words[-2] if len(words) > 1 else "", words[-1]), "")


def mapped(task: Any, at: Path = ()) -> tuple[Any, list[Problem]]:
    """A task as plain data with removed fields as what they became, and a warning for each.

    A task without such fields is returned as it is, and none is changed. A field that cannot be
    mapped stays, and is refused as unknown.
    """
    if not isinstance(task, dict):
        return task, []
    changed: dict[str, Any] = {}
    told: list[Problem] = []
    resources, service = task.get("resources"), task.get("service")
    if isinstance(resources, dict) and not _RESOURCES.isdisjoint(resources):
        changed["resources"] = _resources(resources, (*at, "resources"), told)
    if isinstance(service, dict) and not _SERVICE.isdisjoint(service):
        changed["service"] = _service(service, (*at, "service"), told)
    if "experimental" in task:
        return _experimental({**task, **changed}, at, told), told
    return ({**task, **changed}, told) if told else (task, told)


def renewed(task: Any) -> Any:
    """As `mapped`, for Python, which warns by itself."""
    out, told = mapped(task)
    for problem in told:
        warnings.warn(f"{problem.path}: {problem.message}", FutureWarning, stacklevel=3)
    return out


def _resources(resources: dict[str, Any], at: Path, told: list[Problem]) -> dict[str, Any]:
    out: dict[str, Any] = _recovery(resources, at, told)
    for kind in _KINDS:
        entries = resources.get(kind)
        if isinstance(entries, list) and any(_old(entry) for entry in entries):
            new = [_recovery(entry, (*at, kind, i), told) for i, entry in enumerate(entries)]
            out = {**out, kind: new}
    return out


def _warning(at: Path, said: str, fix: str) -> Problem:
    return replace(warning(at, said, fix), on_key=True)


def _old(entry: Any) -> bool:
    return isinstance(entry, dict) and "spot_recovery" in entry


def _recovery(resources: Any, at: Path, told: list[Problem]) -> Any:
    """With ``spot_recovery`` as ``job_recovery``."""
    if not _old(resources) or resources.get("job_recovery") is not None:
        return resources
    out = {k: v for k, v in resources.items() if k != "spot_recovery"}
    strategy = resources["spot_recovery"]
    renamed = STRATEGIES.get(strategy.upper()) if isinstance(strategy, str) else None
    out["job_recovery"] = renamed or strategy
    said = "spot_recovery is an old name; it is read as job_recovery"
    if renamed:
        said = f"{said}, and its strategy as {renamed}"
    told.append(_warning((*at, "spot_recovery"), said, "write job_recovery"))
    return out


def _experimental(task: dict[str, Any], at: Path, told: list[Problem]) -> dict[str, Any]:
    old = task["experimental"]
    only = old is None or (isinstance(old, dict) and old.keys() <= {"config_overrides"})
    if not only or (task.get("config") is not None and old):
        return task
    out = {k: v for k, v in task.items() if k != "experimental"}
    if old and old["config_overrides"] is not None:
        out["config"] = old["config_overrides"]
    said = "experimental.config_overrides is an old name; it is read as config"
    told.append(_warning((*at, "experimental"), said, "write config"))
    return out


def _service(service: dict[str, Any], at: Path, told: list[Problem]) -> dict[str, Any]:
    out = service
    if "port" in service and service.get("ports") is None:
        out = {k: v for k, v in service.items() if k != "port"}
        out["ports"] = service["port"]
        said = "port is an old name; it is read as ports"
        told.append(_warning((*at, "port"), said, "write ports"))
    policy = service.get("replica_policy")
    for name, part in (("", out), ("replica_policy", policy)):
        if isinstance(part, dict) and part.get("auto_restart") is True:
            kept = {k: v for k, v in part.items() if k != "auto_restart"}
            out = {**out, name: kept} if name else kept
            place: Path = (*at, name, "auto_restart") if name else (*at, "auto_restart")
            said = "auto_restart is no longer a choice: a replica that fails is always replaced"
            told.append(_warning(place, said, "remove auto_restart"))
    return out
