"""The canonical form of a task, out of those of its parts."""

from __future__ import annotations

from typing import Any

from stix.spec.sky.config import config
from stix.spec.sky.resources import resources
from stix.spec.sky.service import service
from stix.spec.sky.storage import file_mounts, volumes
from stix.spec.stage import StageSpec


def task(stage: StageSpec) -> dict[str, Any]:
    """What SkyPilot's ``Task.to_yaml_config()`` gives for a stage that is one of its tasks."""
    out: dict[str, Any] = {
        "name": stage.name,
        "resources": resources(stage),
        "num_nodes": stage.num_nodes,
        "setup": stage.setup,
        "run": stage.run,
        "event_callback": stage.event_callback,
        "service": service(stage),
        "config": config(stage),
    }
    return {key: value for key, value in out.items() if value is not None} | {
        "file_mounts": file_mounts(stage),
        "volumes": volumes(stage),
    }
