"""JSON Schemas of the small languages of `stix.spec.values`, for `Accepts` and ``short``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
VARIABLE: Schema = {"type": "string", "pattern": r"\$"}
"""Text that holds a variable, whose value is not known to an editor."""
_TIME = r"^\s*(\d+(\.\d+)?\s*[smhdwSMHDW]?\s*)+$"
DURATION: Schema = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _TIME}],
    "examples": ["90s", "10m", "2h", "1d"],
}
POSITIVE_DURATION: Schema = {
    "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": _TIME}],
    "examples": ["30m", "2h", "1d"],
}
_ENV_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"
_SECRET = r"^(secrets:([A-Za-z0-9_-]+\.)?)?[A-Za-z_][A-Za-z0-9_]*$"
STAGE_NAMES: Schema = {
    "propertyNames": {"pattern": r"^(?=.{1,100}$)[A-Za-z0-9]+([_-]{1,2}[A-Za-z0-9]+)*$"}
}
NAME: Schema = {"type": "string", "pattern": "^[a-zA-Z0-9]+([._-]{1,2}[a-zA-Z0-9]+)*$"}
SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
ENVS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": _ENV_NAME},
    "additionalProperties": SCALAR,
    "examples": [{"EPOCHS": 10}],
}
SECRETS: Schema = {
    "anyOf": [
        {"type": "array", "items": {"type": "string", "pattern": _SECRET}},
        {
            "type": "object",
            "propertyNames": {"pattern": _SECRET},
            "patternProperties": {"^secrets:": {"type": "null"}},
            "additionalProperties": SCALAR,
        },
    ],
    "examples": [["HF_TOKEN"]],
}
TEXTS: Schema = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
MATRIX: Schema = {
    "type": "object",
    "propertyNames": {"pattern": _ENV_NAME},
    "additionalProperties": {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"type": ["string", "number", "boolean"]},
    },
    "examples": [{"model": ["svm", "forest"], "seed": [1, 2]}],
}
SHARE: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?%\s*$"},
    ],
    "examples": [1, "20%"],
}
SIZES: Schema = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": {"type": "number"},
    "description": "SkyPilot's size of a transfer in GB, by URI.",
}
_CODE: Schema = {"type": "integer", "minimum": 0, "maximum": 255}
EXIT_CODES: Schema = {"anyOf": [_CODE, {"type": "array", "items": _CODE, "uniqueItems": True}]}
RETRIES: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"enum": ["unlimited", None]}]}


PATHS: Schema = {"propertyNames": {"not": {"pattern": "^[A-Za-z][A-Za-z0-9+.-]*://"}}}
"""Paths on a node."""


def word(known: Iterable[str]) -> Schema:
    """One of several words, in any case; editors offer them as they are written here."""
    words = list(known)
    return {"anyOf": [{"enum": words}, {"type": "string", "pattern": f"^(?:{any_case(words)})$"}]}


def any_case(words: Iterable[str]) -> str:
    """A pattern of words in any case."""
    return "|".join("".join(map(_any_case, entry)) for entry in words)


def _any_case(letter: str) -> str:
    if letter.lower() != letter.upper():
        return f"[{letter.upper()}{letter.lower()}]"
    return letter if letter.isalnum() or letter in "_-" else f"[{letter}]"


def not_both(first: str, second: str) -> Schema:
    """Two keys that exclude each other, unless one has no value."""
    given = {"not": {"type": "null"}}
    return {"not": {"required": [first, second], "properties": {first: given, second: given}}}


def needs(keys: Iterable[str], other: str) -> Schema:
    """Keys that need another key."""
    return {"dependentRequired": {key: [other] for key in keys}}


def together(names: Iterable[str]) -> Schema:
    """Variables that are all in ``envs`` or all in ``secrets``."""
    some = {"type": "object", "anyOf": [{"required": [name]} for name in names]}
    apart = {"required": ["envs", "secrets"], "properties": {"envs": some, "secrets": some}}
    return {"not": apart}
