"""The header of SkyPilot's job groups: tasks that run side by side."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic_core import PydanticCustomError

from stix.spec import values
from stix.spec.base import bad
from stix.spec.exact import Flag, Json, Kind
from stix.spec.problems import Path, Problem, choose, error, warning

HEADER = ("name", "execution", "primary_tasks", "termination_delay", "inter_connection")
_DELAY = re.compile(r"([0-9]+)([smhdw]?)\Z", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_WRITE = 'write seconds or text such as "30s", "5m" or "1h"'
_MOST = 20
"""Unknown fields told of one header."""
_LETTERS = "use letters, digits, '-' and '_'"


class Names(Kind):
    """Names of jobs."""

    def check(self, value: Any, name: str) -> Any:
        fix = f"write {name}: [JOB, JOB]"
        if not isinstance(value, list | tuple):
            raise bad(f"{name} must be a list of names, not {values.kind(value)}", fix)
        for entry in value:
            if not isinstance(entry, str):
                raise bad(f"{name} must hold names, not {values.kind(entry)}", fix)
        return list(value)

    def schema(self) -> Json:
        return {"type": "array", "items": {"type": "string"}}


class Delay(Kind):
    """Seconds: a whole number, text with a unit, or a map of job to either."""

    def check(self, value: Any, name: str) -> Any:
        if not isinstance(value, dict):
            return self._seconds(value, name)
        out = {}
        for job, delay in value.items():
            if not isinstance(job, str):
                raise bad(f"{name} must map names of jobs to delays", "put the name in quotes")
            try:
                out[job] = self._seconds(delay, f"the delay of {job}")
            except PydanticCustomError as refusal:
                raise bad(refusal.message(), _WRITE, job) from None
        return out

    def _seconds(self, value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise bad(f"{name} must be seconds or text, not {values.kind(value)}", _WRITE)
        found = _DELAY.match(str(value)) if len(str(value)) < 20 else None
        if found is None:
            raise bad(f"{name} cannot be {str(value)[:20]!r}", _WRITE)
        return int(found[1]) * _SECONDS[found[2].lower()]

    def schema(self) -> Json:
        text = {"type": "string", "pattern": "^[0-9]+[smhdwSMHDW]?$"}
        one = [{"type": "integer", "minimum": 0}, text]
        return {"anyOf": [*one, {"type": "object", "additionalProperties": {"anyOf": one}}]}


_KINDS: dict[str, Kind] = {
    "primary_tasks": Names(),
    "termination_delay": Delay(),
    "inter_connection": Flag(),
}


def check_group(header: dict[str, Any], tasks: list[tuple[str, dict[str, Any]]]) -> list[Problem]:
    """What is wrong or odd with a job group.

    Args:
        header: Its first document.
        tasks: Key of each task among the stages, and the task as the file has it.
    """
    problems = list(_own(header))
    names: set[str] = set()
    for number, (key, task) in enumerate(tasks, start=1):
        problems += _job(number, ("stages", key, "name"), task.get("name"), names)
    return problems + check_names(header, names)


def check_names(header: Mapping[str, Any], names: Collection[str]) -> list[Problem]:
    """Names of jobs in a header that are none of ``names``."""
    known = sorted(names)
    problems = []
    primary = header.get("primary_tasks")
    for i, name in enumerate(primary if isinstance(primary, list) else ()):
        if isinstance(name, str) and name not in names:
            said = f"primary_tasks names {name!r}, which is no job of the group"
            problems.append(error(("primary_tasks", i), said, choose(name, known)))
    delays = header.get("termination_delay")
    for name in delays if isinstance(delays, dict) else ():
        if isinstance(name, str) and name != "default" and name not in names:
            said = f"termination_delay names {name!r}, which is no job of the group"
            fix = choose(name, [*known, "default"])
            problems.append(error(("termination_delay", name), said, fix, on_key=True))
    return problems


def sound(header: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """The header with what is known and right."""
    wrong = {p.parts[0] for p in problems if p.parts and p.severity == "error"}
    return {k: v for k, v in header.items() if k in HEADER and k not in wrong}


def _own(header: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong or odd with the fields of the header."""
    name = header.get("name")
    if name is None:
        yield error(("name",), "the job group has no name", "add name: GROUP to the header")
    elif not isinstance(name, str):
        yield error(("name",), f"name must be text, not {values.kind(name)}", _LETTERS)
    elif not name or not _safe(name):
        yield error(("name",), f"{name!r} is not a valid name of a job group", _LETTERS)
    for key, kind in _KINDS.items():
        if header.get(key) is None:
            continue
        try:
            kind.check(header[key], key)
        except PydanticCustomError as refusal:
            context = refusal.context or {}
            at: Path = (key, context["field"]) if context.get("field") else (key,)
            yield error(at, refusal.message(), context.get("fix", ""))
    for key in [key for key in header if key not in HEADER][:_MOST]:
        said = f"the header of a job group has no field {key!r}; it does nothing"
        told = warning((str(key),), said, choose(str(key), HEADER))
        yield replace(told, on_key=True)


def _job(number: int, at: Path, name: Any, names: set[str]) -> Iterator[Problem]:
    if name is None:
        yield error(at, f"job {number} of the group has no name", "add name: JOB")
    elif isinstance(name, str):
        if not _safe(name):
            said = f"{name!r} is not a valid name of a job in a group"
            yield error(at, said, _LETTERS)
        if name in names:
            yield error(at, f"two jobs are called {name!r}", "give each job a name of its own")
        names.add(name)


def _safe(name: str) -> bool:
    return all(letter.isalnum() or letter in "-_" for letter in name)
