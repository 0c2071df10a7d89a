"""The block ``kubernetes:`` of ``config.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stix.clouds.errors import InvalidRequest

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Size(BaseModel):
    """A node that is not there yet, and that an autoscaler makes when a pod asks for it.

    ``selector``: labels that such nodes will have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    cpus: float = Field(gt=0)
    memory: float = Field(gt=0)  # GiB
    accelerators: dict[str, float] = {}
    spot: bool = False
    arch: str = ""
    selector: dict[str, str] = {}


class Settings(BaseModel):
    """What users may say. Times are in seconds.

    Attributes:
        contexts: Each is a region; by default the current one.
        kubeconfig: File to read instead of ``$KUBECONFIG`` and ``~/.kube/config``.
        namespace: By default that of the context.
        image: For stages that name none. It needs a shell, tar and Python 3.8.
        price: USD per hour and node; or by size, accelerator or ``*``.
        run_as_user: User id of the containers; 0 is root, for images that install programs.
        service_type: How ports are opened.
        patience: How long a pod may find no place before the next region is tried.
        scale_seconds: How long an autoscaler may take to make a node.
        start_seconds: How long image and container may take on a node.
        stop_seconds: How long a pod's node may take to end it, before it is removed by force.
        timeout: For one answer of an API server.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    enabled: bool = True
    contexts: tuple[str, ...] = ()
    kubeconfig: Path | None = None
    namespace: str = ""
    image: str = "python:3.12-slim"
    price: float | dict[str, float] = 0.0
    priority_class: str = ""
    node_selector: dict[str, str] = {}
    tolerations: tuple[dict[str, Any], ...] = ()
    sizes: tuple[Size, ...] = ()
    run_as_user: int = Field(default=1000, ge=0)
    read_only_root: bool = False
    service_account: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    service_type: Literal["LoadBalancer", "NodePort", "ClusterIP"] = "LoadBalancer"
    patience: float = Field(default=30.0, gt=0)
    scale_seconds: float = Field(default=900.0, gt=0)
    start_seconds: float = Field(default=900.0, gt=0)
    stop_seconds: float = Field(default=40.0, gt=0)
    timeout: float = Field(default=30.0, gt=0)
    service_account_folder: Path = SERVICE_ACCOUNT

    def price_of(self, size: str, accelerators: Mapping[str, float]) -> float:
        """USD per hour of a node."""
        if not isinstance(self.price, dict):
            return self.price
        for name in (size, *accelerators, "*"):
            if name in self.price:
                return self.price[name]
        return 0.0


def read_settings(block: Mapping[str, Any]) -> Settings:
    """The settings of the block.

    Raises:
        InvalidRequest: a field is unknown or makes no sense.
    """
    try:
        return Settings.model_validate(dict(block))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Settings.model_fields)
        raise InvalidRequest(
            f"config.yaml: kubernetes.{place}: {first['msg']}", fix=f"known are: {known}"
        ) from None
