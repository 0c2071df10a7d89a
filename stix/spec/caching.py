"""Whether, and on what condition, outputs of an earlier run may serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator

from stix.spec.base import Spec


class CacheSpec(Spec):
    """How a stage uses outputs of earlier runs; ``true`` and ``false`` are short for ``enabled``.

    Attributes:
        enabled: Whether such outputs may serve at all.
        resources: Whether they must come from the same resources. By default a machine of another
            size or place is no reason to run again; the image always is.
    """

    short: ClassVar[tuple[dict[str, Any], ...]] = ({"type": "boolean"},)

    enabled: Annotated[bool, Field(strict=True)] = True
    resources: Annotated[bool, Field(strict=True)] = False

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _flag(cls, data: Any) -> Any:
        return {"enabled": data} if isinstance(data, bool) else data
