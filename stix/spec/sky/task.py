"""The canonical form of a task, out of those of its parts."""

from __future__ import annotations

from typing import Any

from stix.spec.exact import given
from stix.spec.sky.config import config
from stix.spec.sky.resources import autostop_hooks, resources
from stix.spec.sky.service import service
from stix.spec.sky.storage import file_mounts, volume_mounts, volumes
from stix.spec.sky.variables import envs, secrets
from stix.spec.stage import StageSpec
from stix.spec.workdir import GitSource


def task(stage: StageSpec) -> dict[str, Any]:
    """What SkyPilot's ``Task.to_yaml_config()`` gives for a stage that is one of its tasks."""
    out: dict[str, Any] = {
        "name": stage.name,
        "resources": resources(stage),
        "num_nodes": stage.num_nodes,
        "setup": stage.setup,
        "workdir": workdir(stage),
        "run": stage.run,
        "event_callback": stage.event_callback,
        "envs": envs(stage),
        "service": service(stage),
        "config": config(stage, autostop_hooks(stage)),
        "inputs": stage.egress_inputs or None,
        "outputs": stage.egress_outputs or None,
        "file_mounts_mapping": stage.file_mounts_mapping,
        "volume_mounts": volume_mounts(stage),
        "api_server_access": None if server_access(stage) else False,
        "_metadata": stage.sky_metadata or None,
    }
    return {key: value for key, value in out.items() if value is not None} | {
        "file_mounts": file_mounts(stage),
        "volumes": volumes(stage),
        **secrets(stage),
    }


def workdir(stage: StageSpec) -> str | dict[str, Any] | None:
    """A local folder as it was written, or the map of a repository."""
    own = stage.workdir
    return given(own) if isinstance(own, GitSource) else own


def server_access(stage: StageSpec) -> bool:
    """Whether commands reach the server: yes by default, but a null in a file means no."""
    if stage.api_server_access is not None:
        return stage.api_server_access
    return "api_server_access" not in stage.model_fields_set
