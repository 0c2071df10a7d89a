"""What a stage leaves behind while it runs, so that its next attempt goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from stix.spec import forms, values
from stix.spec.base import Accepts, Spec

EVERY_S = 600.0


class CheckpointSpec(Spec):
    """A directory that is kept on an interval and is there again in the next attempt.

    Attributes:
        path: The directory, relative to the working directory; of the first node.
        every: Seconds between two copies, or a duration such as ``10m``. Default 10 min.
        keep: How many copies to keep. Default 2.
    """

    short: ClassVar[tuple[dict[str, Any], ...]] = ({"type": "string", "minLength": 1},)

    path: str
    every: Annotated[
        float, BeforeValidator(values.positive_duration), Accepts(forms.POSITIVE_DURATION)
    ] = EVERY_S
    keep: Annotated[int, Field(ge=1, strict=True)] = 2

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"path": data} if isinstance(data, str) else data

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return values.relative_path(value, "a checkpoint")
