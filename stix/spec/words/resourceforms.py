"""JSON Schemas of the forms of resources, for editors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from stix.spec import forms
from stix.spec.forms import Schema
from stix.spec.words.disks import DISK_TIERS
from stix.spec.words.places import SKY_CLOUDS

_ABOVE_ZERO = r"(?=[0-9.]*[1-9])[0-9]+(\.[0-9]+)?"
_UNIT = "([kmgtp][bi]|[KMGTP][biBI])"
_MEMORY = r"[0-9]+[gGmMtT][bB]\+?"
_CLOUD = r"[A-Za-z0-9_.-]+"
_PORT = "[0-9]{1,5}(-[0-9]{1,5})?"

NETWORK_TIER: Schema = forms.word(["standard", "best"])
DISK_TIER: Schema = forms.word(DISK_TIERS)
CPUS: Schema = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": rf"^{_ABOVE_ZERO}\+?$"},
    ],
    "examples": [4, "4+"],
}
MEMORY: Schema = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": rf"^[0-9]+(\.[0-9]+)?\s*{_UNIT}?[+x]?$"},
    ],
    "examples": [16, "16+", "16GB"],
}
GIB: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": f"^[0-9]+{_UNIT}?$"},
    ],
    "examples": [100, "100GB", "1TB"],
}
LOCAL_DISK: Schema = {
    "type": "string",
    "pattern": rf"^\s*([nN][vV][mM][eE]|[sS][sS][dD]|(([nN][vV][mM][eE]|[sS][sS][dD]):)?"
    rf"{_ABOVE_ZERO}\+?)\s*$",
    "examples": ["nvme", "nvme:1000+", "ssd:500"],
}
INFRA: Schema = {
    "type": "string",
    "pattern": rf"^(([kK]8[sS]|[kK][uU][bB][eE][rR][nN][eE][tT][eE][sS])(/.+)?"
    rf"|(\*|{_CLOUD})(/[^/]+(/[^/]+)?)?)$",
    "examples": ["aws", "aws/us-east-1", "k8s/context", "ssh/pool", "local"],
}
_ONE: Schema = {
    "type": "string",
    "pattern": rf"^([^:]*[^:\s][^:]*(:{_ABOVE_ZERO})?|([^:]+:)?{_MEMORY}(:[0-9]+)?)$",
}
_COUNT: Schema = {"type": "number", "exclusiveMinimum": 0}
ACCELERATORS: Schema = {
    "anyOf": [
        _ONE,
        {"type": "object", "additionalProperties": {"anyOf": [_COUNT, {"type": "null"}]}},
        {"type": "array", "items": _ONE, "minItems": 1},
    ],
    "examples": ["A100", "A100:8", {"A100": 8}, "80GB+"],
}
_NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
_PORTS: Schema = {"type": "string", "pattern": rf"^\s*({_PORT})?(\s*,\s*({_PORT})?)*\s*$"}
PORTS: Schema = {
    "anyOf": [_NUMBER, _PORTS, {"type": "array", "items": {"anyOf": [_NUMBER, _PORTS]}}],
    "examples": [8080, "8000-8010", [8080, 9000]],
}
IMAGE: Schema = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
    ],
    "examples": ["docker:ubuntu:22.04", {"us-east-1": "ami-1"}],
}
ALSO: dict[str, Schema] = {
    "cloud": forms.word(sorted(SKY_CLOUDS | {"local"})),
    "region": {"type": "string"},
    "zone": {"type": "string"},
    "gpus": ACCELERATORS,
}


_CONTRADICTIONS: Schema = {
    "anyOf": [
        {"required": ["gpus", "accelerators"]},
        *(
            {
                "required": [several, "ordered"],
                "properties": {
                    several: {
                        "anyOf": [
                            {"type": "object", "minProperties": 2},
                            {"type": "array", "minItems": 2},
                        ]
                    },
                    "ordered": {"type": "array", "minItems": 1},
                },
            }
            for several in ("accelerators", "gpus")
        ),
    ]
}
CONSISTENT: Schema = {"not": _CONTRADICTIONS}
"""Resources do not say these together."""


@dataclass(frozen=True)
class But:
    """Marks an entry of a list with a JSON Schema that it must not have besides its own."""

    schema: dict[str, Any]

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"allOf": [handler(core)], "not": self.schema}

    def __hash__(self) -> int:
        return id(self)


NESTED = But({"anyOf": [{"required": ["any_of"]}, {"required": ["ordered"]}]})
"""Alternatives hold no alternatives."""
