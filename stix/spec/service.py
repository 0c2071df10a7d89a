"""A service of replicas behind a load balancer, and a pool of workers."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from stix.spec.base import Spec


class ServiceSpec(Spec):
    """SkyPilot's ``service``."""

    model_config = ConfigDict(extra="allow")


class PoolSpec(Spec):
    """SkyPilot's ``pool``: workers that take jobs."""

    model_config = ConfigDict(extra="allow")


def pool_of_service(data: dict[str, Any]) -> dict[str, Any]:
    """A stage as plain data with ``service: {pool: ...}`` written as ``pool``."""
    return data
