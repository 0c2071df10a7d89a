"""pydantic's errors in words of the file: message, fix, and the path that the file really has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from stix.spec.base import Spec
from stix.spec.checks import removed
from stix.spec.problems import MOST, Path, Problem, choose, error
from stix.spec.resources import Resources
from stix.spec.stage import StageSpec
from stix.spec.variables import could_become

_ALSO = {
    "accelerators": ("gpus",),
    "infra": ("cloud", "region", "zone"),
    "egress_inputs": ("inputs",),
    "egress_outputs": ("outputs",),
    "origin": ("from",),
}
"""Names that a file may have used for a field."""
FORMS = {
    "num_nodes": "write a whole number from 1, such as num_nodes: 2",
    "max_parallel": "write a whole number from 1, such as max_parallel: 4",
    "run": "write the commands as text; use run: | for several lines",
    "setup": "write the commands as text; use setup: | for several lines",
    "use_spot": "write use_spot: true or use_spot: false",
    "cache": "write cache: true, cache: false or cache: {resources: true}",
    "needs": "write needs: [stage, stage]",
    "arch": "write arch: x86_64, arch: arm64, or arch: any where either will do",
    "labels": "write labels: {name: text}, with numbers in quotes",
    "max_hourly_cost": "write USD per hour above zero, such as max_hourly_cost: 2.5",
    "priority": "write a whole number from -1000 to 1000",
    "resources": "write resources: {cpus: 4+, memory: 16+}",
    "file_mounts": "write file_mounts: {/path/on/node: ./local}",
    "inputs": "write inputs: {name: stage.output}",
    "outputs": "write outputs: {name: path}",
    "when": "write an expression as text, such as when: stages.test.result.score > 0.9",
    "max_restarts_on_errors": "write a whole number from 0",
    "any_of": "write any_of: [{infra: aws}, {infra: gcp}]",
    "ordered": "write ordered: [{infra: aws}, {infra: gcp}]",
    "name": "write a name as text",
    "workdir": "write a local path, or {url: ..., ref: ...}",
    "service": "write service: {readiness_probe: /health, replicas: 2}",
    "replica_policy": "write replica_policy: {min_replicas: 1}",
    "load_balancer": "write load_balancer: {stream_timeout_seconds: 60}",
    "tls": "write tls: {keyfile: key.pem, certfile: cert.pem}",
    "pool": "write pool: {workers: 2}",
    "config": "write config: {docker: {run_options: [...]}}",
    "hooks": "write hooks: [{run: COMMAND, events: [down]}]",
    "event_callback": "write the commands as text",
    "api_server_access": "write api_server_access: true or api_server_access: false",
}
_WORDS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a map",
    "list_type": "must be a list",
    "model_type": "must be a map",
    "model_attributes_type": "must be a map",
    "is_instance_of": "has the wrong type",
}


def explain(refusal: ValidationError, raw: Any, model: type[Spec], prefix: Path) -> list[Problem]:
    """One problem per wrong place of ``raw``, which ``model`` refused.

    Args:
        refusal: What pydantic raised.
        raw: The value that was refused.
        model: The model at the top.
        prefix: The path of ``raw`` in the pipeline.
    """
    found: dict[Path, Problem] = {}
    entries = refusal.errors(include_url=False, include_input=False)
    for entry in entries[:MOST]:
        path = _real(entry["loc"], raw)
        context = entry.get("ctx") or {}
        if entry["type"] == "stix":
            name = context.get("field")
            path = (*path, name) if name else path
            problem = error((*prefix, *path), entry["msg"], context.get("fix", ""))
        elif entry["type"] == "extra_forbidden":
            problem = _unknown(prefix, path, model)
        elif entry["type"] == "missing":
            name = str(entry["loc"][-1])
            problem = error((*prefix, *path), f"{name} is missing", f"add {name}")
        else:
            problem = _plain((*prefix, *path), entry)
        found.setdefault(path, problem)
    more = error(prefix, f"{len(entries) - MOST} further mistakes are not shown", "correct these")
    return [*found.values(), *([more] if len(entries) > MOST else [])]


def _real(loc: tuple[str | int, ...], raw: Any) -> Path:
    """The part of pydantic's path that the file has: names of union members and such drop out."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(raw, dict) and part not in raw:
            part = next((a for a in _ALSO.get(str(part), ()) if a in raw), part)
            if part not in raw:
                part = next((k for k in raw if could_become(k, str(part))), part)
        inside_map = isinstance(raw, dict) and part in raw
        inside_list = isinstance(raw, list) and isinstance(part, int) and part < len(raw)
        if inside_map or inside_list:
            path.append(part)
            raw = raw[part]
    return tuple(path)


def _unknown(prefix: Path, path: Path, model: type[Spec]) -> Problem:
    name = str(path[-1]) if path else ""
    known = [key for owner in _owners(model, path[:-1]) for key in owner.accepted()]
    fix = removed.instead(path) or _elsewhere(name) or choose(name, known)
    return error((*prefix, *path), f"unknown field {name!r}", fix, on_key=True)


def _owners(model: Any, path: Path) -> list[type[Spec]]:
    """The models that may lie at a path below ``model``."""
    kinds: list[Any] = [model]
    for part in path:
        kinds = [below for kind in kinds for below in _below(kind, part)]
    found = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Spec)]
    return list(dict.fromkeys(found))


def _below(kind: Any, part: str | int) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias, *_ALSO.get(name, ())):
                yield from _members(field.annotation)
    elif get_origin(kind) is dict:
        yield from _members(get_args(kind)[1])
    elif get_origin(kind) is list and isinstance(part, int):
        yield from _members(get_args(kind)[0])


def _members(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, without Annotated and unions."""
    if get_origin(annotation) is Annotated:
        yield from _members(get_args(annotation)[0])
    elif get_origin(annotation) in (dict, list) or not get_args(annotation):
        yield annotation
    else:
        for member in get_args(annotation):
            yield from _members(member)


def _elsewhere(name: str) -> str:
    """The right place of a field that exists, but not here."""
    if name == "hooks":
        return "write hooks below config"
    if name in Resources.accepted():
        return f"move {name} below resources"
    if name in StageSpec.accepted():
        return f"move {name} to the stage"
    return ""


def _plain(path: Path, entry: Any) -> Problem:
    said = _WORDS.get(entry["type"]) or entry["msg"].replace("Input should be", "must be")
    names = [p for p in path if isinstance(p, str)]
    name = names[-1] if names else "the file"
    other = "write a map of fields" if said.endswith("a map") else "correct the value"
    near = next((FORMS[n] for n in reversed(names) if n in FORMS), other)
    return error(path, f"{name} {said}", near)
