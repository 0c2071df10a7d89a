"""The base of all models of a pipeline file."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Spec(BaseModel):
    """A model that refuses unknown fields and never prints its input (it may hold a secret).

    A field written as null takes its default, and counts as given when defaults are merged.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    also: ClassVar[tuple[str, ...]] = ()
    """Names accepted on top of the fields, such as ``gpus`` for ``accelerators``."""

    null_means: ClassVar[tuple[str, ...]] = ()
    """Fields where null is a value of its own."""

    @classmethod
    def accepted(cls) -> list[str]:
        """Every key that a file may hold here."""
        names = [f.alias or n for n, f in cls.model_fields.items()]
        return [n for n in names if not n.startswith("egress_")] + list(cls.also)

    @model_validator(mode="before")
    @classmethod
    def _nulls_take_the_default(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        out = dict(data)
        for name, field in cls.model_fields.items():
            for key in (name, field.alias):
                if key in out and out[key] is None and name not in cls.null_means:
                    out[key] = field.get_default(call_default_factory=True)
        return out


def bad(message: str, fix: str = "", field: str = "") -> PydanticCustomError:
    """An error for a validator to raise: what is wrong, the fix, and the field below this place."""
    safe = message.replace("{", "(").replace("}", ")")
    return PydanticCustomError("stix", safe, {"fix": fix, "field": field})
