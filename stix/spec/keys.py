"""Every key that a pipeline or a stage holds, with its status; for models and plain data alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stix.spec.base import Spec
from stix.spec.problems import Path
from stix.spec.resources import Resources
from stix.spec.statuses import NOTHING, TABLE, WHOLE, Cases, Status
from stix.spec.taskconfig import TaskConfig

ANY = "*"
"""Stands for a name that the user chose, in a key of the specification."""
_NOTHING_IF_EMPTY = frozenset({Resources, TaskConfig})


@dataclass(frozen=True)
class Key:
    """One key that is given.

    Attributes:
        path: Where it lies.
        shape: The same with `ANY` for names and for numbers of entries: the key of the
            specification, such as ``("file_mounts", "*", "mode")``.
        status: None where no model knows the key.
        value: What it holds.
        part: Its status is only that of the key above.
    """

    path: Path
    shape: Path
    status: Status | None
    value: Any = None
    part: bool = False


def keys(model: type[Spec], value: Any, at: Path = (), shape: Path = ()) -> Iterator[Key]:
    """Every key of a value that is to be, or is, a ``model``.

    Args:
        model: The model.
        value: An instance of it, or a map as a file has it.
        at: The path of the value.
        shape: The same, as in `Key`.
    """
    fields, table = _by_key(model), TABLE.get(model, {})
    for name, entry in _items(value):
        field, rule = fields.get(name, _UNKNOWN), table.get(name)
        here = Key((*at, name), (*shape, name), _status(rule, field, entry), entry)
        yield here
        yield from _below(here, field, rule)


def kinds(field: FieldInfo) -> tuple[list[type[Spec]], list[type[Spec]]]:
    """The models that may be the value of a field, and those that may be an entry of it."""
    plain = list(members(field.annotation))
    nested = [m for a in plain if get_origin(a) in (dict, list) for m in members(get_args(a)[-1])]
    return [m for m in plain if _is_spec(m)], [m for m in nested if _is_spec(m)]


def members(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, without Annotated and unions."""
    if get_origin(annotation) is Annotated:
        yield from members(get_args(annotation)[0])
    elif get_origin(annotation) in (dict, list) or not get_args(annotation):
        yield annotation
    else:
        for member in get_args(annotation):
            yield from members(member)


@dataclass(frozen=True)
class _Field:
    """What is to be known of a field.

    Attributes:
        key: Its key in a file.
        default: Its value where it is not given. Never changed.
        direct: Models that it may be.
        entries: Models that an entry of it may be.
    """

    key: str = ""
    default: Any = None
    direct: tuple[type[Spec], ...] = ()
    entries: tuple[type[Spec], ...] = ()


_UNKNOWN = _Field()


@cache
def _fields(model: type[BaseModel]) -> dict[str, _Field]:
    """The fields of a model by name; made once, for to look into annotations takes long."""
    out = {}
    for name, field in model.model_fields.items():
        direct, entries = kinds(field)
        default = field.get_default(call_default_factory=True)
        out[name] = _Field(field.alias or name, default, tuple(direct), tuple(entries))
    return out


@cache
def _by_key(model: type[Spec]) -> dict[str, _Field]:
    """The same by name and by key."""
    fields = _fields(model)
    return fields | {field.key: field for field in fields.values()}


def _is_spec(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Spec)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, entry in value.items():
            yield str(name), entry
    elif isinstance(value, BaseModel):
        given = value.model_fields_set
        for name, field in _fields(type(value)).items():
            entry = getattr(value, name)
            if name in given or entry != field.default:
                yield field.key, entry


def _status(rule: Status | Cases | None, field: _Field, value: Any) -> Status | None:
    if rule is None:
        return None
    if _empty(field, value):
        return NOTHING
    return rule.status(value) if isinstance(rule, Cases) else rule


def _empty(field: _Field, value: Any) -> bool:
    """Whether a value asks for nothing. An empty service is one; empty resources ask nothing."""
    if isinstance(value, BaseModel) and not value.model_fields_set:
        value = {}
    if value is None or value == []:
        return True
    return value == {} and _NOTHING_IF_EMPTY.issuperset(field.direct)


def _below(above: Key, field: _Field, rule: Status | Cases | None) -> Iterator[Key]:
    status = above.status
    if status is None or status.word == "refused" or not (field.direct or field.entries):
        yield from _parts(above, rule if isinstance(rule, Cases) and rule.each else None)
    elif field.direct:
        for key in keys(field.direct[0], above.value, above.path, above.shape):
            same = status.word == "mapped" and key.status == status
            yield replace(key, part=True) if same else key
    else:
        yield from _entries(above, field.entries[0])


def _entries(above: Key, kind: type[Spec]) -> Iterator[Key]:
    """Entries of a map or list of models."""
    for name, entry in _named(above.value):
        whole = WHOLE.get(kind)
        status = whole.status(entry) if whole is not None else above.status
        here = Key((*above.path, name), (*above.shape, ANY), status, entry, part=whole is None)
        if isinstance(name, str):
            yield here
        if status is not None and status.word == "refused":
            yield from _parts(here, None)
        else:
            yield from keys(kind, entry, here.path, here.shape)


def _parts(above: Key, each: Cases | None) -> Iterator[Key]:
    """What lies below a key without keys of the specification below it, or below a refused one."""
    for name, entry in _named(above.value):
        path, shape = (*above.path, name), (*above.shape, ANY)
        here = replace(above, path=path, shape=shape, value=entry, part=True)
        if each is not None and isinstance(name, str):
            own = each.status({name: entry})
            here = replace(here, status=own, part=own.word == above.status.word)  # type: ignore[union-attr]
        if isinstance(name, str):
            yield here
        yield from _parts(here, None)


def _named(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, list | tuple):
        yield from enumerate(value)
    else:
        yield from _items(value)
