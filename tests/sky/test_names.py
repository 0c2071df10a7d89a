"""Which names of SkyPilot's modules work, and what the others say."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

import stix
import stix.sky as sky
from stix.errors import StixError
from stix.sky import clouds
from stix.sky.arguments import AREAS, Missing

# The names that SkyPilot 0.14.1 exports, and those of its client functions.
SKY = [
    "__version__",
    "AWS",
    "Azure",
    "Cudo",
    "GCP",
    "IBM",
    "Kubernetes",
    "K8s",
    "SSH",
    "Lambda",
    "OCI",
    "Paperspace",
    "PrimeIntellect",
    "RunPod",
    "Vast",
    "SCP",
    "Slurm",
    "Vsphere",
    "Fluidstack",
    "Nebius",
    "Hyperbolic",
    "Mithril",
    "Shadeform",
    "Seeweb",
    "Yotta",
    "Optimizer",
    "OptimizeTarget",
    "backends",
    "list_accelerators",
    "__root_dir__",
    "FileMountType",
    "Storage",
    "StorageMode",
    "StoreType",
    "ClusterStatus",
    "JobStatus",
    "ManagedJobStatus",
    "StatusRefreshMode",
    "Dag",
    "DagExecution",
    "Task",
    "Resources",
    "optimize",
    "launch",
    "exec",
    "reload_config",
    "status",
    "start",
    "stop",
    "down",
    "autostop",
    "cost_report",
    "endpoints",
    "queue",
    "cancel",
    "tail_logs",
    "download_logs",
    "job_status",
    "storage_ls",
    "storage_delete",
    "get",
    "stream_and_get",
    "api_status",
    "api_cancel",
    "api_info",
    "set_preferred_workspace",
    "get_user_workspace",
    "api_login",
    "api_start",
    "api_stop",
    "api_server_logs",
    "create_debug_dump",
    "download_debug_dump",
    "UserRequest",
    "MutatedUserRequest",
    "AdminPolicy",
    "Config",
    "AdminPolicyRequestName",
    "CLOUD_REGISTRY",
    "JOBS_RECOVERY_STRATEGY_REGISTRY",
    "batch",
]
CLIENT = [
    "api_logout",
    "check",
    "dashboard",
    "enabled_clouds",
    "kubernetes_label_gpus",
    "kubernetes_node_info",
    "list_accelerator_counts",
    "local_down",
    "local_up",
    "realtime_kubernetes_gpu_availability",
    "realtime_slurm_gpu_availability",
    "slurm_node_info",
    "ssh_down",
    "ssh_up",
    "status_kubernetes",
    "stream_response",
    "tail_autostop_logs",
    "tail_hook_logs",
    "tail_provision_logs",
    "validate",
    "workspaces",
    "jobs",
    "serve",
    "volumes",
]
MODULES = {
    "jobs": [
        "JOBS_CONTROLLER_TEMPLATE",
        "JOBS_CONTROLLER_YAML_PREFIX",
        "JOBS_TASK_YAML_PREFIX",
        "JOBS_CONTROLLER_LOGS_DIR",
        "ManagedJobStatus",
        "cancel",
        "launch",
        "AUTO_JOB_GROUP",
        "queue",
        "queue_v2",
        "tail_logs",
        "wait",
        "dashboard",
        "download_logs",
        "download_logs_streaming",
        "ManagedJobCodeGen",
        "format_job_table",
        "dump_managed_job_queue",
        "load_managed_job_queue",
        "StrategyExecutor",
        "pool_apply",
        "pool_down",
        "pool_status",
        "pool_tail_logs",
        "pool_sync_down_logs",
    ],
    "serve": [
        "down",
        "format_service_table",
        "generate_replica_cluster_name",
        "generate_service_name",
        "INITIAL_VERSION",
        "LB_CONTROLLER_SYNC_INTERVAL_SECONDS",
        "LB_POLICIES",
        "ReplicaStatus",
        "ServiceComponent",
        "sync_down_logs",
        "ServiceStatus",
        "ServeCodeGen",
        "SkyServiceSpec",
        "SKYSERVE_METADATA_DIR",
        "status",
        "terminate_replica",
        "tail_logs",
        "up",
        "update",
        "UpdateMode",
        "DEFAULT_UPDATE_MODE",
    ],
    "volumes": ["apply", "delete", "ls", "Volume", "validate"],
    "batch": [
        "Dataset",
        "remote_function",
        "load",
        "save_results",
        "InputReader",
        "OutputWriter",
        "JsonReader",
        "JsonWriter",
        "ImageWriter",
    ],
}

# What does not act yet, by area. A name that gets its room leaves this list, and nothing else does.
NOT_YET = {
    "sky": {
        "backends": "backends",
        "catalog": "list_accelerator_counts list_accelerators",
        "clusters": "autostop exec start stop tail_autostop_logs tail_hook_logs",
        "configuration": "Config reload_config",
        "dashboard": "dashboard",
        "debug dumps": "create_debug_dump download_debug_dump",
        "kubernetes": "kubernetes_label_gpus kubernetes_node_info local_down local_up "
        "realtime_kubernetes_gpu_availability status_kubernetes",
        "log files": "api_server_logs tail_provision_logs",
        "login": "api_login api_logout",
        "policies": "AdminPolicy AdminPolicyRequestName MutatedUserRequest UserRequest",
        "ports": "endpoints",
        "recovery strategies": "JOBS_RECOVERY_STRATEGY_REGISTRY",
        "requests": "api_cancel api_status stream_response",
        "slurm": "realtime_slurm_gpu_availability slurm_node_info",
        "ssh pools": "ssh_down ssh_up",
        "storage": "storage_delete storage_ls",
        "workspaces": "get_user_workspace set_preferred_workspace workspaces",
    },
    "jobs": {
        "controllers": "JOBS_CONTROLLER_LOGS_DIR JOBS_CONTROLLER_TEMPLATE "
        "JOBS_CONTROLLER_YAML_PREFIX JOBS_TASK_YAML_PREFIX ManagedJobCodeGen "
        "dump_managed_job_queue format_job_table load_managed_job_queue",
        "dashboard": "dashboard",
        "pools": "pool_apply pool_down pool_status pool_sync_down_logs pool_tail_logs",
        "recovery strategies": "StrategyExecutor",
    },
    "serve": {
        "services": " ".join(sorted(set(MODULES["serve"]) - {"SkyServiceSpec"})),
    },
    "volumes": {"volumes": "validate"},
    "batch": {"batch": " ".join(sorted(MODULES["batch"]))},
}


def found(module: Any, names: list[str]) -> dict[str, str]:
    """The names that do not act, by area."""
    out: dict[str, list[str]] = {}
    for name in sorted(names):
        what = getattr(module, name)
        if isinstance(what, Missing):
            out.setdefault(what.area, []).append(name)
    return {area: " ".join(each) for area, each in sorted(out.items())}


def test_every_name_is_there_and_has_its_status() -> None:
    assert found(sky, [*SKY, *CLIENT]) == NOT_YET["sky"]


@pytest.mark.parametrize("module", MODULES)
def test_every_name_of_a_module_is_there(module: str) -> None:
    assert getattr(sky, module) is importlib.import_module(f"stix.sky.{module}")
    assert found(getattr(sky, module), MODULES[module]) == NOT_YET[module]


def test_there_are_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lanch'"):
        _ = sky.lanch
    with pytest.raises(ImportError):
        from stix.sky import lanch  # noqa: F401


def test_the_classes_are_those_of_stix() -> None:
    assert (sky.Task, sky.Resources, sky.Storage, sky.Dag) == (
        stix.Task,
        stix.Resources,
        stix.Storage,
        stix.Dag,
    )
    assert sky.serve.SkyServiceSpec is stix.Service
    assert sky.__version__ == stix.__version__


@pytest.mark.parametrize(
    "use",
    [
        lambda: sky.exec(sky.Task(run="x"), "c"),
        lambda: sky.backends.CloudVmRayBackend,
        lambda: sky.backends.CloudVmRayBackend(),
        lambda: sky.serve.up(sky.Task(run="x"), "s"),
        lambda: type("Mine", (), {}) and sky.AdminPolicy(),
    ],
)
def test_any_use_says_what_to_do_instead(use: Any) -> None:
    with pytest.raises(sky.NotYet) as caught:
        use()
    assert isinstance(caught.value, NotImplementedError)
    assert isinstance(caught.value, StixError)
    assert caught.value.fix in AREAS.values()


def test_a_class_cannot_be_made_of_what_is_missing() -> None:
    with pytest.raises(sky.NotYet, match="AdminPolicy"):

        class Mine(sky.AdminPolicy):  # type: ignore[misc]
            pass


def test_every_area_is_said_in_one_sentence() -> None:
    assert [area for area, fix in AREAS.items() if not fix.endswith(".")] == []


# -- clouds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", clouds.CLASSES)
def test_a_cloud_is_its_name(name: str) -> None:
    cloud = getattr(clouds, name)()
    resources = sky.Resources(cloud=cloud)
    assert resources == sky.Resources(infra=name.lower())
    assert (str(cloud), cloud) == (name, name.lower())
    assert sky.CLOUD_REGISTRY.from_str(name) == cloud


def test_the_registry_knows_aliases_and_refuses_others() -> None:
    assert sky.CLOUD_REGISTRY.from_str("k8s") == sky.Kubernetes() == sky.K8s()
    assert sky.CLOUD_REGISTRY.from_str(None) is None
    with pytest.raises(ValueError, match="no cloud 'asw'"):
        sky.CLOUD_REGISTRY.from_str("asw")
