"""Variables, and ``$NAME`` and ``${NAME}`` in fields of a stage.

SkyPilot replaces inside the JSON text of a field, so that a value with a quotation mark or a
backslash breaks it. Here each text is replaced on its own, once. Unknown names stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import BaseModel, SecretStr

from stix.spec.base import bad
from stix.spec.problems import Path

FIELDS = ("workdir", "file_mounts", "volumes", "service", "pool")
"""Fields in which variables are replaced, as in SkyPilot (pool lies in service)."""
PLAIN = (str, int, float, bool, date)
"""What a variable may be in a file."""
_NAME = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_LOOSE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)()\}?")
"""SkyPilot's: braces need not match, so that ``$A}`` loses its brace."""
_LONG, _LONGEST = 1024, 1024 * 1024
"""Characters of all values from which on what becomes of them is added up, and the most."""


@dataclass(frozen=True)
class Variables:
    """Variables from outside of a stage; the context of its validation.

    Attributes:
        beneath: Of the pipeline; those of the stage win.
        above: Of the command line; they win.
        hidden: Secrets of the command line.
        secrets: Whether values of secrets are put into fields as well, and odd names pass, as in
            SkyPilot. A pipeline that is stored must not hold values of secrets.
    """

    beneath: Mapping[str, str] = field(default_factory=dict)
    above: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: bool = False

    def overridden(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """A task as plain data with the values of the command line in ``envs`` and ``secrets``."""
        out = dict(data)
        for word, given in (("envs", self.above), ("secrets", self.hidden)):
            own = out.get(word)
            if word == "secrets" and isinstance(own, list) and all(isinstance(e, str) for e in own):
                own = dict.fromkeys(own)
            if given and (own is None or isinstance(own, dict)):
                out[word] = {**(own or {}), **given}
        return out

    def of(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Every name with a value that holds for a stage given as plain data."""
        known = {**self.beneath, **self._texts(data.get("envs")), **self.above}
        if self.secrets:
            known |= {**self._texts(data.get("secrets")), **self.hidden}
        return known

    def _texts(self, own: Any) -> dict[str, str]:
        out = {}
        for name, value in own.items() if isinstance(own, dict) else ():
            text = value.get_secret_value() if isinstance(value, SecretStr) else value
            if text is not None and (self.secrets or isinstance(text, PLAIN)):
                out[str(name)] = str(text)
        return out


def exact(context: Any) -> bool:
    """Whether a stage is validated for SkyPilot's canonical form, so that its rules hold."""
    return isinstance(context, Variables) and context.secrets


def substituted(data: dict[str, Any], context: Any) -> dict[str, Any]:
    """A stage as plain data with its variables in the fields that take them.

    Without `Variables` as context nothing is replaced: an object made in Python may get others.
    """
    if not isinstance(context, Variables) or not asks(data):
        return data
    known = context.of(data)
    if sum(map(len, known.values())) > _LONG:
        left = _LONGEST
        for word in FIELDS:
            for _, name in names(data.get(word)):
                left -= len(known.get(name, ""))
                if left < 0:
                    raise bad("the variables make more than 1 MiB of text", "use shorter values")
    pattern = _LOOSE if context.secrets else _NAME
    return {k: _replace(v, known, pattern) if k in FIELDS else v for k, v in data.items()}


def distinct(data: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``new``, which is ``data`` with its variables replaced, unless that lost an entry."""
    for name in FIELDS:
        before, after = data.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict) and len(after) < len(before):
            fix = "give each a name of its own"
            raise bad(f"two names in {name} become the same", fix, name)
    return new


def asks(data: Mapping[str, Any]) -> bool:
    """Whether a field of a stage, as plain data, holds what may be a variable."""
    return any(_asks(data[name]) for name in FIELDS if name in data)


def _asks(value: Any) -> bool:
    if isinstance(value, str):
        return "$" in value
    if isinstance(value, dict):
        return any(_asks(k) or _asks(v) for k, v in value.items())
    if isinstance(value, BaseModel):
        return _asks(value.model_dump(exclude_unset=True))
    return isinstance(value, list | tuple) and any(map(_asks, value))


def could_become(text: str, result: str) -> bool:
    """Whether ``result`` may be ``text`` with its variables replaced."""
    if "$" not in text:
        return False
    first, *middle = _NAME.sub("\0", text).split("\0")
    last = middle.pop() if middle else ""
    at, end = len(first), len(result) - len(last)
    if at > end or not result.startswith(first) or not result.endswith(last):
        return False
    # Not by a pattern: with many variables it would try every way to share out the text.
    for piece in middle:
        at = result.find(piece, at, end) + len(piece)
        if at < len(piece):
            return False
    return bool(middle or last) or _NAME.search(text) is not None or text == result


def names(value: Any, at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every name of a variable in a field, and the path of its text."""
    if isinstance(value, str) and "$" in value:
        for found in _NAME.finditer(value):
            yield at, found[1] or found[2]
    elif isinstance(value, BaseModel):
        yield from names(value.model_dump(exclude_unset=True), at)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from names(key, (*at, key))
            yield from names(entry, (*at, key))
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            yield from names(entry, (*at, i))


def _replace(value: Any, known: Mapping[str, str], pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        if "$" not in value:
            return value
        return pattern.sub(lambda m: known.get(m[1] or m[2], m[0]), value)
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
        return _replace(value, known, pattern)
    if isinstance(value, dict):
        return {_replace(k, known, pattern): _replace(v, known, pattern) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(v, known, pattern) for v in value]
    return value
