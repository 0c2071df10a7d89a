"""The JSON Schema of pipeline files, for editors; generated from the models."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

from stix.spec import forms
from stix.spec.base import Spec
from stix.spec.keys import kinds
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.resources import Resources
from stix.spec.variables import FIELDS
from stix.spec.words import places

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:stix:pipeline-file"
HEADER = ("name", "execution", "primary_tasks", "termination_delay", "inter_connection")
"""Fields of a pipeline that a header of a chain or a job group may hold."""
_NOTES = ("description", "default", "examples")
_DEFS = "#/$defs/"
_TEXT = {"$ref": f"{_DEFS}Variable"}
_ENTRY = re.compile(r"    (?=\S)")
_NAMES = re.compile(r"([a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*): ")


def schema() -> dict[str, Any]:
    """The schema of one document: a task, a header of several documents, or a pipeline of stages.

    Editors check each document of a file on its own.
    """
    _, whole = models_json_schema([(PipelineSpec, "validation"), (StageSpec, "validation")])
    defs: dict[str, Any] = whole["$defs"]
    for model in models():
        _describe(model, defs[model.__name__])
    _untitled(defs)
    _clouds(defs[Resources.__name__])
    _variables(defs)
    pipeline = defs[PipelineSpec.__name__]
    pipeline["required"] = ["stages"]
    defs["Header"] = _header(pipeline)
    defs["Variable"] = {"description": "Text with a variable of `envs`.", **forms.VARIABLE}
    out = {
        "$schema": DIALECT,
        "$id": ID,
        "title": "STIX pipeline file",
        "description": "A task, a pipeline of stages, or the header of a chain of tasks.",
        "type": "object",
        # Named here as well, so that an empty file is offered them.
        "properties": {
            name: {"description": pipeline["properties"][name]["description"]}
            for name in ("stages", "execution")
        },
        "if": {"required": ["stages"]},
        "then": {"$ref": "#/$defs/PipelineSpec"},
        "else": {
            "if": {"required": ["execution"]},
            "then": {"$ref": "#/$defs/Header"},
            "else": {"$ref": "#/$defs/StageSpec"},
        },
    }
    used = _used(out, defs)
    return {**out, "$defs": {name: entry for name, entry in sorted(defs.items()) if name in used}}


def models(*first: type[Spec]) -> list[type[Spec]]:
    """Every model of a file, the pipeline first; or those given, and what lies below them."""
    found: dict[type[Spec], None] = {}
    work: list[type[Spec]] = list(first) or [PipelineSpec]
    while work:
        model = work.pop(0)
        if model in found:
            continue
        found[model] = None
        for field in model.model_fields.values():
            direct, entries = kinds(field)
            work += [*direct, *entries]
    return list(found)


def descriptions(model: type[Spec]) -> dict[str, str]:
    """What the section ``Attributes`` of the docstring of a model says of each field."""
    out: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        _, _, section = (inspect.cleandoc(kind.__doc__ or "")).partition("\nAttributes:\n")
        for entry in _entries(section):
            named = _NAMES.match(entry)
            if named:
                said = _plain(entry[named.end() :])
                out |= dict.fromkeys(named.group(1).split(", "), said)
    return out


def _entries(section: str) -> Iterator[str]:
    """Entries of a section, each as one line; it ends where the indentation does."""
    entry = ""
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break
        if _ENTRY.match(line):
            if entry:
                yield entry
            entry = line.strip()
        elif line.strip():
            entry += " " + line.strip()
    if entry:
        yield entry


def _plain(text: str) -> str:
    return text.replace("``", "`").strip()


def _describe(model: type[Spec], entry: dict[str, Any]) -> None:
    """Put descriptions of the docstring into the schema of a model and of its fields."""
    first = inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0]
    entry["description"] = _plain(first.replace("\n", " "))
    holder = next((a for a in entry.get("anyOf", ()) if "properties" in a), entry)
    if holder is not entry:
        holder.pop("description", None)
    said = descriptions(model)
    aliases = {field.alias: name for name, field in model.model_fields.items() if field.alias}
    for name, field in holder.get("properties", {}).items():
        text = said.get(aliases.get(name, name))
        if text:
            field["description"] = text


def _untitled(value: Any, *, names: bool = False) -> None:
    """Remove what pydantic adds and nobody needs: titles made of names, and null as a default."""
    if isinstance(value, dict):
        if not names and "default" in value and value["default"] is None:
            del value["default"]
        if not names and isinstance(value.get("title"), str):
            del value["title"]
        for key, entry in value.items():
            _untitled(entry, names=key in ("properties", "$defs") and not names)
    elif isinstance(value, list):
        for entry in value:
            _untitled(entry)


def _clouds(resources: dict[str, Any]) -> None:
    """Names of clouds: those of SkyPilot, and those that are installed."""
    known = sorted(places.clouds())
    kubernetes, others = forms.any_case(["k8s", "kubernetes"]), forms.any_case(known)
    place = rf"^(({kubernetes})(/.+)?|(\*|{others})(/[^/]+(/[^/]+)?)?)$"
    infra = {"type": "string", "pattern": place}
    for name, entry in (("cloud", forms.word(known)), ("infra", infra)):
        notes = {k: v for k, v in resources["properties"][name].items() if k in _NOTES}
        resources["properties"][name] = {"anyOf": [entry, {"type": "null"}], **notes}


def _variables(defs: dict[str, Any]) -> None:
    """Where variables are replaced, text with one may stand for any value."""
    fields = [StageSpec.model_fields[name] for name in FIELDS]
    replaced = [kind for field in fields for several in kinds(field) for kind in several]
    for model in models(*replaced):
        entry = defs[model.__name__]
        for choice in entry.get("anyOf", [entry]):
            for field in choice.get("properties", {}).values():
                rest = {k: v for k, v in field.items() if k not in _NOTES}
                choices = rest["anyOf"] if rest.keys() == {"anyOf"} else [rest]
                if forms.TEXT not in choices:
                    for name in rest:
                        del field[name]
                    field["anyOf"] = [*choices, _TEXT]


def _used(value: Any, defs: dict[str, Any]) -> set[str]:
    """Names of the definitions that a schema leads to."""
    found: set[str] = set()
    work = [value]
    while work:
        one = work.pop()
        if isinstance(one, dict):
            name = str(one.get("$ref", "")).removeprefix(_DEFS)
            if name in defs and name not in found:
                found.add(name)
                work.append(defs[name])
            work += one.values()
        elif isinstance(one, list):
            work += one
    return found


def _header(pipeline: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": "The first document of a chain of tasks, or of a job group.",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: pipeline["properties"][name] for name in HEADER},
        "if": {"properties": {"execution": {"const": "parallel"}}},
        "else": {"properties": dict.fromkeys(HEADER[2:], False)},
    }
