"""What a task changes in the configuration of clouds, and its lifecycle hooks."""

from __future__ import annotations

from pydantic import ConfigDict

from stix.spec.base import Spec


class TaskConfig(Spec):
    """SkyPilot's ``config`` of a task."""

    model_config = ConfigDict(extra="allow")
