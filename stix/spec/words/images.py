"""The forms of ``image_id``: one image, one per region, a container."""

from __future__ import annotations

from typing import Any

from stix.spec.base import bad
from stix.spec.values import kind

ANYWHERE = "null"
"""The key of the image for all regions: SkyPilot writes a null there."""
CONTAINER = "docker"
_FIX = "write an image, {region: image}, or {docker: image}"


def image(value: Any) -> str | dict[str, str] | None:
    """One image for all regions as text, else a map; a container has the key ``docker``."""
    if value is None:
        return None
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, dict):
        raise bad(f"image_id cannot be {kind(value)}", _FIX)
    given: dict[str, str] = {}
    for region, name in value.items():
        key = ANYWHERE if region is None else region
        if not isinstance(key, str) or not isinstance(name, str):
            raise bad("image_id must hold regions and images as text", _FIX)
        given[key.strip()] = _text(name)
    container = given.pop(CONTAINER, None)
    if ANYWHERE in given:
        given = {ANYWHERE: given[ANYWHERE]}
    if container is None:
        return given.get(ANYWHERE) or given or None
    if any(name.startswith("docker:") for name in given.values()):
        fix = "keep the container below docker, and name images of machines for the regions"
        raise bad("image_id names a container twice", fix)
    return {**given, CONTAINER: _text(container.removeprefix("docker:"))}


def _text(value: str) -> str:
    if not value.strip():
        raise bad("the image is empty", _FIX)
    return value.strip()
