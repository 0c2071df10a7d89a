"""What the user expects of a stage: time, sizes, checkpoints. Plans are made with it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from stix.spec import forms, values
from stix.spec.base import Accepts, Spec, bad
from stix.spec.words.accelforms import counts

_FIX = 'write a size such as "10GB" or "500MB", or a number of GB'
_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgtp])b)?\Z")
_SIZE: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\d+(\.\d+)?\s*([kmgtpKMGTP][bB])?$"},
    ],
    "examples": ["10GB", "500MB", 2.5],
}
_SIZES: dict[str, Any] = {"type": "object", "additionalProperties": _SIZE}
_ONE: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "number"}},
    ],
    "examples": ["A100", "A100:8"],
}


def gigabytes(value: Any) -> float:
    """GB (2^30 bytes) of ``10``, ``"10GB"``, ``"500MB"``, ``"1.5TB"``.

    Raises:
        PydanticCustomError: it is no size, or below zero.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise bad(f"{values.kind(value)} is not a size", _FIX)
    if isinstance(value, int | float):
        if not math.isfinite(value) or value < 0:
            raise bad(f"a size cannot be {value}", _FIX)
        return float(value)
    found = _TEXT.match(value.strip().lower())
    if found is None:
        raise bad(f"{value!r} is not a size", _FIX)
    return float(found[1]) * 1024.0 ** ("kmgtp".index(found[2] or "g") - 2)


def _sizes(value: Any) -> Any:
    if not isinstance(value, dict):
        raise bad(f"sizes must be a map, not {values.kind(value)}", "write {name: 10GB}")
    return {str(name): gigabytes(size) for name, size in value.items()}


def _one(value: Any) -> dict[str, float]:
    fix = "write the name of an accelerator, such as A100 or A100:8"
    if not isinstance(value, str | dict):
        raise bad(f"{values.kind(value)} is not an accelerator", fix)
    found = counts(value) if value else {}
    if len(found) != 1 and value != {}:
        raise bad(f"{value!r} does not name one accelerator", fix)
    return found


Seconds = Annotated[
    float, BeforeValidator(values.positive_duration), Accepts(forms.POSITIVE_DURATION)
]
Sizes = Annotated[dict[str, float], PlainValidator(_sizes), Accepts(_SIZES)]


class EstimateSpec(Spec):
    """What the user expects of one run of a stage (of one point of a matrix).

    A time alone will do for the map. Nothing is held to it: earlier runs of the stage count more.

    Attributes:
        time: Seconds that ``run`` takes.
        accelerators: What this time holds for, such as ``A100:8``; others are thought faster or
            slower by what they can do. Without it the time holds everywhere.
        outputs: Name of an output to its size: GB, or such as ``500MB``.
        inputs: URL that is read, as in ``file_mounts``, to its size, likewise.
        checkpoint: Seconds between two checkpoints from which ``run`` goes on after it was
            interrupted; without it, it begins anew.
    """

    short: ClassVar[tuple[dict[str, Any], ...]] = (forms.POSITIVE_DURATION,)

    time: Seconds | None = None
    accelerators: Annotated[dict[str, float], PlainValidator(_one), Accepts(_ONE)] = Field(
        default_factory=dict
    )
    outputs: Sizes = Field(default_factory=dict)
    inputs: Sizes = Field(default_factory=dict)
    checkpoint: Seconds | None = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _time_alone(cls, data: Any) -> Any:
        return {"time": data} if isinstance(data, int | float | str) else data
