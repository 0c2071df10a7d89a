"""What a task changes in the configuration of clouds, and its lifecycle hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo

from stix.spec import serverkeys
from stix.spec.base import bad
from stix.spec.clouds import (
    GIVEN,
    Azure,
    Docker,
    Gcp,
    Kubernetes,
    Lenient,
    NvidiaGpus,
    Slurm,
    Ssh,
    Vast,
)
from stix.spec.exact import Text, given
from stix.spec.hooks import Hook, listed

__all__ = ["Hook", "TaskConfig"]


class TaskConfig(Lenient):
    """Configuration of clouds for one task, and commands for the end of its nodes (``config``).

    Attributes:
        docker: Options of Docker.
        nvidia_gpus: Settings of GPUs.
        ssh: Pools of own machines.
        kubernetes: Kubernetes.
        azure: Azure.
        gcp: Google Cloud.
        vast: Vast.ai.
        slurm: Slurm.
        active_workspace: Workspace of SkyPilot's server that the task runs in.
        hooks: Scripts for the end of a node, at most 32.
    """

    elsewhere = serverkeys.TOP

    docker: Annotated[Docker | None, GIVEN] = None
    nvidia_gpus: Annotated[NvidiaGpus | None, GIVEN] = None
    ssh: Annotated[Ssh | None, GIVEN] = None
    kubernetes: Annotated[Kubernetes | None, GIVEN] = None
    azure: Annotated[Azure | None, GIVEN] = None
    gcp: Annotated[Gcp | None, GIVEN] = None
    vast: Annotated[Vast | None, GIVEN] = None
    slurm: Annotated[Slurm | None, GIVEN] = None
    active_workspace: Annotated[str | None, Text()] = None
    hooks: Annotated[list[Hook], BeforeValidator(listed)] = Field(default_factory=list)

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    def overrides(self) -> dict[str, Any]:
        """Everything but the hooks, as plain data that SkyPilot's configuration would hold."""
        out = given(self)
        out.pop("hooks", None)
        return out


def once(config: TaskConfig | None, info: ValidationInfo) -> TaskConfig | None:
    """A stage's config, whose overrides may not be written in its resources as well."""
    resources = info.data.get("resources")
    if config is None or resources is None or resources.cluster_config_overrides is None:
        return config
    if config.model_fields_set - {"hooks"}:
        fix = "keep config, and remove _cluster_config_overrides from resources"
        raise bad("config and resources._cluster_config_overrides say the same", fix)
    return config
