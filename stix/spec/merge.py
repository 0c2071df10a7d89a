"""Defaults beneath stages: maps merge, lists and everything else replace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stix.spec.stage import StageSpec

_WHOLE = {"accelerators", "image_id", "matrix"}
"""Maps that say one thing as a whole: half of a default's accelerators helps nobody."""
_CHOICES = ("any_of", "ordered")


def beneath(defaults: StageSpec | None, stage: StageSpec) -> StageSpec:
    """The stage with every field it does not give taken from the defaults."""
    if defaults is None:
        return stage
    base = defaults.model_dump(exclude_unset=True)
    return StageSpec.model_validate(_merge(base, stage.model_dump(exclude_unset=True)))


def _merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**base, **own}
    for key in base.keys() & own.keys():
        both = isinstance(base[key], dict) and isinstance(own[key], dict)
        if both and key == "resources":
            merged[key] = _resources(base[key], own[key])
        elif both and key not in _WHOLE:
            merged[key] = _merge(base[key], own[key])
    return merged


def _resources(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Alternatives of the defaults give way to alternatives, and to single fields, of the stage."""
    merged = _merge(base, own)
    replaced = any(own.get(word) for word in _CHOICES)
    for word in _CHOICES:
        if word in own or word not in base:
            continue
        if replaced:
            del merged[word]
            continue
        left: list[dict[str, Any]] = []
        for entry in base[word]:
            rest = {k: v for k, v in entry.items() if k not in own or k == "labels"}
            if rest not in left:
                left.append(rest)
        merged[word] = left if left != [{}] else []
    return merged
