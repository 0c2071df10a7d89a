"""The canonical form of variables and secrets."""

from __future__ import annotations

from typing import Any

from stix.spec.stage import StageSpec


def envs(stage: StageSpec) -> dict[str, str | None] | None:
    """``envs`` of a task; None where it has none."""
    return dict(stage.envs) or None


def secrets(stage: StageSpec) -> dict[str, Any]:
    """``secrets`` and ``managed_secrets`` of a task.

    Values stand in a map; references beside them move to ``managed_secrets``.
    """
    own = stage.secrets
    managed = stage.managed_secrets
    if not own and not managed:
        return {}
    values = {name: v.get_secret_value() for name, v in own.items() if v is not None}
    names = list(stage.secret_references) or [name for name, value in own.items() if value is None]
    names += [entry.name for entry in managed if entry.mount_path is None]
    references: list[Any] = [f"secrets:{name}" for name in names]
    files: list[Any] = [entry.written() for entry in managed if entry.mount_path is not None]
    out: dict[str, Any] = {}
    if values:
        out["secrets"] = values
        files += references
    elif references:
        out["secrets"] = references
    if files:
        out["managed_secrets"] = files
    return out
