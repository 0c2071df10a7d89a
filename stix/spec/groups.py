"""The header of SkyPilot's job groups: tasks that run side by side."""

from __future__ import annotations

from typing import Any

from stix.spec.problems import Problem


def check_group(header: dict[str, Any], tasks: list[tuple[str, dict[str, Any]]]) -> list[Problem]:
    """What is wrong with a job group.

    Args:
        header: Its first document.
        tasks: Key of each task among the stages, and the task as the file has it.
    """
    return []
