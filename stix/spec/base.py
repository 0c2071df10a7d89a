"""The base of all models of a pipeline file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

Accepts = WithJsonSchema
"""Marks a field with the JSON Schema of every form that a file may hold there."""


@dataclass(frozen=True, eq=False)
class Also:
    """Marks a field with the JSON Schema of a form that it takes besides those of its type."""

    schema: dict[str, Any]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(core), self.schema]}


class Spec(BaseModel):
    """A model that refuses unknown fields and never prints its input (it may hold a secret).

    A field written as null takes its default, and counts as given when defaults are merged.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    also: ClassVar[dict[str, dict[str, Any]]] = {}
    """Keys accepted on top of the fields, such as ``gpus``, each with its JSON Schema."""

    short: ClassVar[tuple[dict[str, Any], ...]] = ()
    """JSON Schemas of what may stand here instead of a map."""

    rules: ClassVar[tuple[dict[str, Any], ...]] = ()
    """JSON Schemas of what holds between the keys of the map."""

    internal: ClassVar[frozenset[str]] = frozenset()
    """Keys that SkyPilot writes itself: read, but never suggested."""

    null_means: ClassVar[tuple[str, ...]] = ()
    """Fields where null is a value of its own."""

    @classmethod
    def accepted(cls) -> list[str]:
        """Every key that people write here."""
        names = [f.alias or n for n, f in cls.model_fields.items()]
        return [n for n in names if n not in cls.internal] + list(cls.also)

    @classmethod
    def may_be_null(cls, name: str) -> bool:
        """Whether a field that is not required may be written without a value."""
        return True

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        whole = handler.resolve_ref_schema(schema)
        given = whole.get("properties", {})
        required = whole.get("required", ())
        whole["properties"] = {
            name: _null(entry, allowed=cls.may_be_null(name)) if name not in required else entry
            for name, entry in given.items()
            if name not in cls.internal
        } | {name: _or_null(entry) for name, entry in cls.also.items()}
        hidden = sorted(name for name in given if name in cls.internal)
        if hidden:
            whole["patternProperties"] = {f"^({'|'.join(hidden)})$": {}}
        if cls.rules:
            whole["allOf"] = list(cls.rules)
        if cls.short:
            as_map = dict(whole)
            whole.clear()
            whole["anyOf"] = [as_map, *cls.short]
        return schema

    @model_validator(mode="before")
    @classmethod
    def _nulls_take_the_default(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if None not in data.values():
            return data
        out = {}
        for key, value in data.items():
            if value is None:
                name = key if key in cls.model_fields else cls._aliases().get(key)
                if name is not None and name not in cls.null_means:
                    value = cls.model_fields[name].get_default(call_default_factory=True)
            out[key] = value
        return out

    @classmethod
    def _aliases(cls) -> dict[str, str]:
        return {f.alias: n for n, f in cls.model_fields.items() if f.alias}


def _null(schema: dict[str, Any], *, allowed: bool) -> dict[str, Any]:
    """The schema of a field with null, or without."""
    if allowed:
        return _or_null(schema)
    schema = {k: v for k, v in schema.items() if k != "default" or v is not None}
    choices = schema.get("anyOf", ())
    if {"type": "null"} not in choices:
        return schema
    left = [choice for choice in choices if choice != {"type": "null"}]
    rest = {k: v for k, v in schema.items() if k != "anyOf"}
    return {**rest, **left[0]} if len(left) == 1 else {**rest, "anyOf": left}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field that may be written without a value."""
    if not schema or {"type": "null"} in schema.get("anyOf", ()):
        return schema
    notes: dict[str, Any] = {k: schema[k] for k in ("default", "examples") if k in schema}
    rest = {k: v for k, v in schema.items() if k not in (*notes, "title")}
    choices = rest["anyOf"] if rest.keys() == {"anyOf"} else [rest]
    return {"anyOf": [*choices, {"type": "null"}], **notes}


def bad(message: str, fix: str = "", field: str = "") -> PydanticCustomError:
    """An error for a validator to raise: what is wrong, the fix, and the field below this place."""
    safe = message.replace("{", "(").replace("}", ")")
    return PydanticCustomError("stix", safe, {"fix": fix, "field": field})
