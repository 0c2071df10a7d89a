"""The canonical form of service."""

from __future__ import annotations

from typing import Any

from stix.spec.stage import StageSpec


def service(stage: StageSpec) -> dict[str, Any] | None:
    """``service`` of a task (a pool lies in it); None where it has neither."""
    return None
