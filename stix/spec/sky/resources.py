"""The canonical form of resources."""

from __future__ import annotations

from typing import Any

from stix.spec.stage import StageSpec


def resources(stage: StageSpec) -> dict[str, Any]:
    """``resources`` of a task: one map, or ``any_of`` or ``ordered`` with complete maps."""
    return {}
