"""The canonical form of config."""

from __future__ import annotations

from typing import Any

from stix.spec.stage import StageSpec


def config(stage: StageSpec, more: list[dict[str, Any]] | None = None) -> dict[str, Any] | None:
    """``config`` of a task: its lifecycle hooks; None where it has none.

    Args:
        stage: The task.
        more: Complete hooks that the file wrote elsewhere, in ``resources.autostop``; they follow.
    """
    own = stage.config.hooks if stage.config is not None else ()
    hooks = [{"run": h.run, "events": list(h.events), "timeout": h.timeout} for h in own]
    hooks += more or []
    return {"hooks": hooks} if hooks else None


def cluster_overrides(stage: StageSpec) -> dict[str, Any]:
    """``resources._cluster_config_overrides``: everything else of ``config``."""
    return {} if stage.config is None else stage.config.overrides()
