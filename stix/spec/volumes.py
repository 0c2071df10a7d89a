"""One entry of ``volumes``."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ConfigDict, model_validator

from stix.spec.base import Spec


class VolumeMount(Spec):
    """A volume at a path of the node."""

    model_config = ConfigDict(extra="allow")
    short: ClassVar[tuple[dict[str, Any], ...]] = ({"type": "string"},)

    name: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data
