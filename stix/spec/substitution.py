"""``$VAR`` and ``${VAR}`` in ``workdir`` and ``file_mounts``, as in SkyPilot.

SkyPilot replaces inside the JSON text of a field, so that a value with a quotation mark or a
backslash breaks it. Here each text is replaced on its own. Unknown names stay as they are.
"""

from __future__ import annotations

import re
from typing import Any

from stix.spec.stage import StageSpec

_NAME = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def substitute(stage: StageSpec) -> StageSpec:
    """A copy of the stage with its variables in its ``workdir`` and ``file_mounts``.

    Raises:
        pydantic.ValidationError: a replaced field no longer has a valid value.
    """
    known = {name: value for name, value in stage.envs.items() if value is not None}
    data: dict[str, Any] = {}
    if isinstance(stage.workdir, str):
        data["workdir"] = _replace(stage.workdir, known)
    if stage.file_mounts:
        mounts = {k: m.model_dump(exclude_unset=True) for k, m in stage.file_mounts.items()}
        data["file_mounts"] = _replace(mounts, known)
    if not data:
        return stage
    changed = StageSpec.model_validate(data)
    return stage.model_copy(update={k: getattr(changed, k) for k in data})


def _replace(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, str):
        return _NAME.sub(lambda m: known.get(m[1] or m[2], m[0]), value)
    if isinstance(value, dict):
        return {_replace(k, known): _replace(v, known) for k, v in value.items()}
    if isinstance(value, list):
        return [_replace(v, known) for v in value]
    return value
