"""The canonical form of variables and secrets."""

from __future__ import annotations

from typing import Any

from stix.spec.stage import StageSpec

DOCKER = (
    "SKYPILOT_DOCKER_USERNAME",
    "SKYPILOT_DOCKER_PASSWORD",
    "SKYPILOT_DOCKER_SERVER",
)
"""The login for a registry of images: name, password and address."""
_RUNPOD = "SKYPILOT_RUNPOD_DOCKER_USERNAME"


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


def docker_login(stage: StageSpec) -> dict[str, str] | None:
    """``_docker_login_config`` of resources with an image; None without a whole login."""
    known = _plain(stage)
    if not all(name in known for name in DOCKER):
        return None
    return dict(zip(("username", "password", "server"), (known[n] for n in DOCKER), strict=True))


def runpod_username(stage: StageSpec) -> str | None:
    """``_docker_username_for_runpod`` of resources."""
    return _plain(stage).get(_RUNPOD)


def _plain(stage: StageSpec) -> dict[str, str]:
    found = {name: value for name, value in stage.envs.items() if value is not None}
    for name, secret in stage.secrets.items():
        if secret is not None:
            found[name] = secret.get_secret_value()
    return found
