"""Settings put into the plain data of a pipeline, before anything is checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from stix.spec import values
from stix.spec.changes.settings import EVERY, Setting
from stix.spec.problems import Path, Problem, choose, nearest
from stix.spec.sources import Mark
from stix.spec.stage import StageSpec

TOP = (
    "name",
    "deadline",
    "max_parallel",
    "execution",
    "primary_tasks",
    "termination_delay",
    "inter_connection",
)
"""Fields of the pipeline that a path can begin with; any other field is one of every stage."""
_CHOICES = ("any_of", "ordered")
_PLACE = ("cloud", "region", "zone")
_SAME = {
    "accelerators": ("gpus",),
    "gpus": ("accelerators",),
    "infra": _PLACE,
}
"""Other names for a field of resources: a file may hold one of them."""
_KEPT = "write the field whole, as in the file"


@dataclass
class Layout:
    """A pipeline as plain data.

    Attributes:
        top: Fields of the pipeline; ``defaults`` as well.
        stages: Name to stage.
        chained: SkyPilot's form, which has no ``defaults``.
        marks: Where settings were put, and what to call them; filled by `apply`.
    """

    top: dict[str, Any]
    stages: dict[str, Any]
    chained: bool = False
    marks: list[Mark] = field(default_factory=list)


class _Misfit(Exception):
    """A value cannot be put there."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True)
class _Aim:
    """A setting with its path read.

    Attributes:
        scope: Name of a stage, ``*``, or None for the pipeline.
        path: Below it.
        setting: Where it comes from.
        reach: Whether the alternatives of the resources lose the field.
        parts: Instead of a value: cloud, region or zone within ``infra``.
    """

    scope: str | None
    path: Path
    setting: Setting
    reach: bool = False
    parts: dict[str, str | None] | None = None

    @property
    def every(self) -> bool:
        return self.scope == EVERY

    @property
    def rank(self) -> tuple[bool, int, int]:
        """What comes first: every stage, what lies above, the cloud before its region."""
        place = min((_PLACE.index(word) for word in self.parts or ()), default=0)
        return self.scope not in (EVERY, None), len(self.path), place


def apply(layout: Layout, settings: Sequence[Setting]) -> list[Problem]:
    """Put settings into a layout; what it was made of stays as it was.

    What is said of one stage wins over what is said of all.
    """
    aims: list[_Aim] = []
    problems: list[Problem] = []
    for setting in settings:
        try:
            aims.append(_aim(setting, layout))
        except _Misfit as misfit:
            problems.append(setting.problem(misfit.message, misfit.fix))
    problems += _conflicts(aims)
    for aim in sorted(aims, key=lambda a: a.rank):
        try:
            _put(layout, aim)
        except _Misfit as misfit:
            problems.append(aim.setting.problem(misfit.message, misfit.fix))
    if any(aim.reach or aim.parts is not None for aim in aims):
        layout.stages = {name: _joined(body) for name, body in layout.stages.items()}
    return problems


def _aim(setting: Setting, layout: Layout) -> _Aim:
    first, rest = setting.path[0], setting.path[1:]
    if first == "stages" and rest:
        first, rest = rest[0], rest[1:]
        if first != EVERY and first not in layout.stages:
            raise _Misfit(f"there is no stage {first!r}", choose(str(first), list(layout.stages)))
    elif not (first == EVERY or (first in layout.stages and rest)):
        return _field_aim(setting, layout)
    if not rest or not isinstance(rest[0], str):
        raise _Misfit("the path names a stage and no field of it", f"write {first}.FIELD=VALUE")
    if rest == ("name",):
        raise _Misfit("the name of a stage cannot be changed", "rename it in the file")
    return _below(str(first), rest, setting)


def _below(scope: str, path: Path, setting: Setting) -> _Aim:
    """A field of stages. One of resources holds for all their alternatives."""
    name, value = path[-1], setting.value
    if path[:-1] != ("resources",) or name in _CHOICES or isinstance(name, int):
        return _Aim(scope, path, setting)
    if isinstance(value, dict) and setting.kind == "place":
        return _Aim(scope, path, setting, parts=value)
    if name in _PLACE and (value is None or isinstance(value, str)) and "/" not in (value or ""):
        return _Aim(scope, ("resources", "infra"), setting, parts={str(name): value})
    return _Aim(scope, path, setting, reach=True)


def _field_aim(setting: Setting, layout: Layout) -> _Aim:
    """Where a path goes that begins with no stage."""
    first = setting.path[0]
    if first == "defaults":
        if layout.chained:
            fix = "leave defaults out: a field without a stage is set in every stage"
            raise _Misfit("SkyPilot's form has no defaults", fix)
        if len(setting.path) < 2:
            raise _Misfit("the path names no field", "write defaults.FIELD=VALUE")
        return _Aim(None, setting.path, setting)
    if first in TOP:
        return _Aim(None, setting.path, setting)
    if first in StageSpec.accepted():
        return _below(EVERY, setting.path, setting)
    if first in layout.stages:
        raise _Misfit("the path names a stage and no field of it", f"write {first}.FIELD=VALUE")
    close = nearest(str(first), [*layout.stages, *TOP, *StageSpec.accepted()])
    stages = ", ".join(list(layout.stages)[:12]) or "none"
    fix = f"did you mean {close!r}?" if close else f"stages: {stages}; or begin with a field of all"
    raise _Misfit(f"there is no stage and no field {first!r}", fix)


def _conflicts(aims: list[_Aim]) -> list[Problem]:
    """Settings of the same stages of which one would undo the other."""
    problems = []
    seen: dict[tuple[str | None, Path], Setting] = {}
    for aim in sorted(aims, key=lambda a: len(_one_name(a))):
        parts = _one_name(aim)
        for end in range(1, len(parts) + 1):
            other = seen.get((aim.scope, parts[:end]))
            if other is not None and other.said != aim.setting.said:
                said = f"{other.label} sets the same field"
                problems.append(aim.setting.problem(said, "keep one of the two"))
                break
        else:
            seen[(aim.scope, parts)] = aim.setting
    return problems


def _one_name(aim: _Aim) -> Path:
    """The path with one of the names that a field of resources has."""
    if aim.parts is not None and len(aim.parts) == 1:
        return (*aim.path, *aim.parts)
    return (*aim.path[:-1], "accelerators") if aim.reach and aim.path[-1] == "gpus" else aim.path


def _put(layout: Layout, aim: _Aim) -> None:
    said = aim.setting.label
    if aim.scope is None:
        layout.top = _at(layout.top, aim.path, lambda _: aim.setting.value)
        layout.marks.append(Mark(aim.path, said))
        return
    placed = aim.parts is not None and aim.every and _placed_by_defaults(layout)
    if placed:
        layout.top = _at(layout.top, ("defaults", "resources"), _changer(aim))
        layout.marks.append(Mark(("defaults", "resources", "infra"), said))
    if aim.every and _declares(layout.top, aim.path):
        layout.top = _set(layout.top, aim)
        layout.marks.append(Mark(aim.path, said, aim.every))
    for name in layout.stages if aim.every else [aim.scope]:
        body = layout.stages[name]
        if placed and not (isinstance(body, dict) and _has_place(body.get("resources"))):
            continue
        layout.stages[name] = _set(body, aim)
        layout.marks.append(Mark(("stages", name, *aim.path), said, aim.every))


def _declares(top: dict[str, Any], path: Path) -> bool:
    """Whether a path is a variable or secret of the pipeline, which may wait for its value."""
    own = top.get(str(path[0])) if path[0] in ("envs", "secrets") else None
    return len(path) == 2 and isinstance(own, dict | list) and path[1] in own


def _set(raw: Any, aim: _Aim) -> Any:
    value = aim.setting.value
    if aim.reach or aim.parts is not None:
        return _at(raw, aim.path[:-1], _changer(aim))
    if len(aim.path) == 2 and aim.path[0] == "secrets":
        # secrets: [NAME, NAME] stands for a map.
        return _at(raw, ("secrets",), lambda own: _at(_named(own), aim.path[1:], lambda _: value))
    return _at(raw, aim.path, lambda _: value)


def _named(raw: Any) -> Any:
    names = isinstance(raw, list) and all(isinstance(name, str) for name in raw)
    return dict.fromkeys(raw) if names else raw


def _at(raw: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy of plain data with the value at a path changed; maps on the way are made."""
    if not path:
        return change(raw)
    part, rest = path[0], path[1:]
    if isinstance(part, int):
        if not isinstance(raw, list):
            raise _Misfit(f"[{part}] needs a list, and there is {values.kind(raw)}", _KEPT)
        if part >= len(raw):
            has = f"the list has {len(raw)} {'entry' if len(raw) == 1 else 'entries'}"
            raise _Misfit(
                f"{has}, so there is no [{part}]", "count from 0, or write the list whole"
            )
        return [*raw[:part], _at(raw[part], rest, change), *raw[part + 1 :]]
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise _Misfit(f"{part} needs a map, and there is {values.kind(raw)}", _KEPT)
    kept = raw if rest else _without(raw, _SAME.get(part, ()))
    return {**kept, part: _at(raw.get(part), rest, change)}


def _changer(aim: _Aim) -> Callable[[Any], Any]:
    """What a setting makes of a map of resources."""
    parts = aim.parts
    if parts is not None:
        return lambda resources: _moved(_map(resources), parts)
    return lambda resources: _everywhere(_map(resources), str(aim.path[-1]), aim.setting.value)


def _map(resources: Any) -> dict[str, Any]:
    if resources is None:
        return {}
    if not isinstance(resources, dict):
        raise _Misfit(f"resources must be a map, and there is {values.kind(resources)}", _KEPT)
    return resources


def _alternatives(resources: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The lists of alternatives that are well formed."""
    out = {}
    for word in _CHOICES:
        entries = resources.get(word)
        if isinstance(entries, list) and entries and all(isinstance(e, dict) for e in entries):
            out[word] = entries
    return out


def _everywhere(resources: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The field set, and taken out of the alternatives."""
    gone = {name, *_SAME.get(name, ())}
    out = {**_without(resources, gone), name: value}
    for word, entries in _alternatives(resources).items():
        out[word] = [_without(entry, gone) for entry in entries]
    return out


def _without(fields: dict[str, Any], gone: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in gone}


def _joined(body: Any) -> Any:
    """A stage of whose alternatives one is left where all are the same."""
    resources = body.get("resources") if isinstance(body, dict) else None
    if not isinstance(resources, dict):
        return body
    alike = {w: e[:1] for w, e in _alternatives(resources).items() if all(x == e[0] for x in e)}
    return {**body, "resources": {**resources, **alike}} if alike else body


def _moved(resources: dict[str, Any], parts: dict[str, str | None]) -> dict[str, Any]:
    """The parts of the place replaced, in the alternatives as well."""
    base = _parts(resources)
    out = _with_place(resources, {**base, **_left(base, parts)})
    for word, entries in _alternatives(resources).items():
        out[word] = []
        for entry in entries:
            own = _parts(entry)
            whole = own if entry.get("infra") else {**base, **own}
            new = {**whole, **_left(whole, parts)}
            moved = _with_place(entry, new) if own else entry
            if own and moved["infra"] is None:
                # Anywhere: null would not say so above a place of all alternatives.
                moved = {**moved, "infra": "*"} if base else _without(moved, {"infra"})
            out[word].append(moved)
    return out


def _left(place: dict[str, str], parts: dict[str, str | None]) -> dict[str, str | None]:
    """The new parts; another cloud or region lets go of the region or zone in the old one."""
    out = dict(parts)
    for number, word in enumerate(_PLACE[:2]):
        given = parts.get(word)
        if given and place.get(word) and given.lower() != place[word].lower():
            out = {**dict.fromkeys(_PLACE[number + 1 :]), **out}
    return out


def _parts(resources: Any) -> dict[str, str]:
    """Cloud, region and zone that a map of resources gives, by ``infra`` or one by one."""
    if not isinstance(resources, dict):
        return {}
    whole = resources.get("infra")
    if isinstance(whole, str):
        cloud, _, rest = whole.strip().partition("/")
        whole_rest = cloud.lower() in ("k8s", "kubernetes")
        texts = [cloud, rest] if whole_rest else whole.strip().split("/", 2)
        found = dict(zip(_PLACE, texts, strict=False))
    else:
        found = {w: resources[w] for w in _PLACE if isinstance(resources.get(w), str)}
    return {w: text.strip() for w, text in found.items() if text.strip() not in ("", "*")}


def _with_place(resources: dict[str, Any], place: dict[str, str | None]) -> dict[str, Any]:
    texts = [place.get(word) or "*" for word in _PLACE]
    while texts and texts[-1] == "*":
        texts.pop()
    return {**_without(resources, ("infra", *_PLACE)), "infra": "/".join(texts) or None}


def _has_place(resources: Any) -> bool:
    if not isinstance(resources, dict):
        return False
    entries = [e for found in _alternatives(resources).values() for e in found]
    return any(_parts(one) for one in (resources, *entries))


def _placed_by_defaults(layout: Layout) -> bool:
    defaults = layout.top.get("defaults")
    return isinstance(defaults, dict) and _has_place(defaults.get("resources"))
