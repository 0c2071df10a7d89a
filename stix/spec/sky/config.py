"""The canonical form of config."""

from __future__ import annotations

from typing import Any

from stix.spec.stage import StageSpec


def config(stage: StageSpec) -> dict[str, Any] | None:
    """``config`` of a task: its lifecycle hooks; None where it has none."""
    return None


def cluster_overrides(stage: StageSpec) -> dict[str, Any]:
    """``resources._cluster_config_overrides``: everything else of ``config``."""
    return {}
