"""SkyPilot's module ``sky``, for programs written for it: ``import stix.sky as sky``.

Names with a room behind them work. Any use of the others raises `NotYet`, which names the area
and what to use meanwhile. An argument that would not act raises too: nothing is ignored silently.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stix import __version__ as __version__
from stix.errors import NotYet as NotYet
from stix.sky.arguments import lookup
from stix.sky.clouds import CLASSES

__root_dir__ = str(Path(__file__).resolve().parent.parent)

_CORE = (
    "Optimizer",
    "api_info",
    "api_start",
    "api_stop",
    "cancel",
    "check",
    "cost_report",
    "download_logs",
    "down",
    "enabled_clouds",
    "job_status",
    "launch",
    "optimize",
    "queue",
    "status",
    "tail_logs",
    "validate",
)
_ENUMS = (
    "ClusterStatus",
    "FileMountType",
    "JobStatus",
    "ManagedJobStatus",
    "OptimizeTarget",
    "StatusRefreshMode",
    "StoreType",
)
# SkyPilot does not give these two at its top.
_CLOUDS = (*sorted({*CLASSES} - {"DO", "Verda"}), "CLOUD_REGISTRY", "K8s")
WORKS = {
    "Dag": "stix.spec.python.dag:Dag",
    "DagExecution": "stix.spec.python.dag:DagExecution",
    "Resources": "stix.spec.resources:Resources",
    "Storage": "stix.spec.storage:StorageMount",
    "StorageMode": "stix.spec.python.objects:StorageMode",
    "Task": "stix.spec.stage:StageSpec",
    "clouds": "stix.sky.clouds",
    "get": "stix.sky.requests:get",
    "jobs": "stix.sky.jobs",
    "stream_and_get": "stix.sky.requests:stream_and_get",
    **{name: f"stix.sky.core:{name}" for name in _CORE},
    **{name: f"stix.sky.enums:{name}" for name in _ENUMS},
    **{name: f"stix.sky.clouds:{name}" for name in _CLOUDS},
}
"""Name to what does it."""
NOT_YET = {
    "AdminPolicy": "policies",
    "AdminPolicyRequestName": "policies",
    "Config": "configuration",
    "JOBS_RECOVERY_STRATEGY_REGISTRY": "recovery strategies",
    "MutatedUserRequest": "policies",
    "UserRequest": "policies",
    "api_cancel": "requests",
    "api_login": "login",
    "api_logout": "login",
    "api_server_logs": "log files",
    "api_status": "requests",
    "autostop": "clusters",
    "backends": "backends",
    "create_debug_dump": "debug dumps",
    "dashboard": "dashboard",
    "download_debug_dump": "debug dumps",
    "endpoints": "ports",
    "exec": "clusters",
    "get_user_workspace": "workspaces",
    "kubernetes_label_gpus": "kubernetes",
    "kubernetes_node_info": "kubernetes",
    "list_accelerator_counts": "catalog",
    "list_accelerators": "catalog",
    "local_down": "kubernetes",
    "local_up": "kubernetes",
    "realtime_kubernetes_gpu_availability": "kubernetes",
    "realtime_slurm_gpu_availability": "slurm",
    "reload_config": "configuration",
    "set_preferred_workspace": "workspaces",
    "slurm_node_info": "slurm",
    "ssh_down": "ssh pools",
    "ssh_up": "ssh pools",
    "start": "clusters",
    "status_kubernetes": "kubernetes",
    "stop": "clusters",
    "storage_delete": "storage",
    "storage_ls": "storage",
    "stream_response": "requests",
    "tail_autostop_logs": "clusters",
    "tail_hook_logs": "clusters",
    "tail_provision_logs": "log files",
    "workspaces": "workspaces",
}
"""Name to area."""
_MODULES = ("batch", "serve", "volumes")
"""Modules that are there, with nothing, or only specs, that works in them."""


def __getattr__(name: str) -> Any:
    modules = {module: f"stix.sky.{module}" for module in _MODULES}
    return lookup("sky", {**WORKS, **modules}, NOT_YET, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *WORKS, *NOT_YET, *_MODULES])
