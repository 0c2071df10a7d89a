"""``--set PATH=VALUE``: one field of one stage, of every stage, or of the pipeline."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stix.errors import UsageError
from stix.spec.problems import Path, Problem
from stix.spec.yaml.text import TextErrors, parse

EVERY = "*"
"""Stands for every stage at the beginning of a path."""
_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'', re.DOTALL)
_BARE = re.compile(r"[^\s.\[\]=\"']+")
_INDEX = re.compile(r"\d{1,6}")
_FORM = "write --set STAGE.FIELD=VALUE, or --set FIELD=VALUE for every stage"
_HIDDEN = {"secrets", "envs"}
_SHOWN = 60


@dataclass(frozen=True)
class Setting:
    """A field, and the value that it takes instead of the file's.

    Attributes:
        said: The option as it was given, on one line; without the value if that may be secret.
        path: As given; the first part names a stage, a field, or every stage (``*``).
        value: As a file would hold it.
        kind: ``place`` where the value is a map of parts of ``infra``; else ``set``.
    """

    said: str
    path: Path
    value: Any = field(repr=False)
    kind: str = "set"

    @property
    def label(self) -> str:
        """``said`` for messages: not longer than a line."""
        return self.said if len(self.said) <= _SHOWN + 20 else self.said[: _SHOWN + 17] + "..."

    def problem(self, message: str, fix: str) -> Problem:
        """Something that is wrong with the option itself."""
        return Problem("error", self.label, 0, 0, "", message, fix, given=True)


def parse_settings(entries: Sequence[str]) -> list[Setting]:
    """From what stands behind each ``--set``.

    Raises:
        UsageError: a path cannot be read, or a value is no YAML.
    """
    return [_parsed(entry) for entry in entries]


def of_map(fields: Mapping[str, Any]) -> list[Setting]:
    """The same from Python: paths to values.

    Raises:
        UsageError: a path cannot be read.
    """
    out = []
    for text, value in fields.items():
        scanner = _Scanner(text)
        path = scanner.path()
        if scanner.at < len(text):
            raise scanner.refused("the path does not end here")
        said = f"overrides[{text!r}]" + ("" if _hides(path) else f" = {value!r}")
        out.append(Setting(said, path, value))
    return out


def split(entry: str) -> tuple[Path, str]:
    """The path, and the text behind its equals sign.

    Raises:
        UsageError: it is not ``PATH=VALUE``.
    """
    scanner = _Scanner(entry)
    path = scanner.path()
    if entry[scanner.at : scanner.at + 1] != "=":
        raise scanner.refused(
            "= is missing behind the path" if scanner.ended else "this is no path"
        )
    return path, entry[scanner.at + 1 :]


def written(path: Path) -> str:
    """The text that `split` reads as this path."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
            continue
        bare = _BARE.fullmatch(part) is not None
        name = part if bare else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        out += f".{name}" if out else name
    return out


def plain_value(label: str, text: str, *, secret: bool = False) -> Any:
    """The value that a file would have with this text behind a key.

    Raises:
        UsageError: it is no YAML, or more than one document.
    """
    fix = "write it as in the file; put it into quotation marks where in doubt, such as '\"a: b\"'"
    try:
        documents = parse(text, label)
    except TextErrors as refusal:
        # What the reader says may quote the value.
        said = "the value is not valid YAML" if secret else refusal.problems[0].message
        raise UsageError(f"{label}: {said}", fix=fix) from None
    if len(documents) > 1:
        raise UsageError(f"{label}: the value holds more than one document", fix=fix)
    return documents[0].value if documents else None


def _parsed(entry: str) -> Setting:
    path, text = split(entry)
    hides = _hides(path)
    name = f"--set {written(path)}"
    said = name if hides else "--set " + _quoted(entry)
    value = plain_value(name, text, secret=hides)
    return Setting(said, path, value)


def _quoted(entry: str) -> str:
    if entry.isprintable():
        return entry if re.fullmatch(r"[^\s'\"]+", entry) else shlex.quote(entry)
    return repr(entry)


def _hides(path: Path) -> bool:
    return not _HIDDEN.isdisjoint(path)


class _Scanner:
    """Reads a path from the beginning of a text; ``at`` is where it stopped."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self.text)

    def path(self) -> Path:
        parts: list[str | int] = [self._name()]
        while True:
            self._match(_SPACE)
            mark = self.text[self.at : self.at + 1]
            if mark == ".":
                self.at += 1
                parts.append(self._name())
            elif mark == "[":
                self.at += 1
                parts.append(self._index())
            else:
                return tuple(parts)

    def _name(self) -> str:
        self._match(_SPACE)
        quoted = self._quoted()
        if quoted is not None:
            return quoted
        bare = self._match(_BARE)
        if not bare:
            raise self.refused("a name is missing")
        return bare

    def _quoted(self) -> str | None:
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL)

    def _index(self) -> str | int:
        self._match(_SPACE)
        name = self._quoted()
        part = self._match(_INDEX) if name is None else ""
        self._match(_SPACE)
        if (name is None and not part) or self.text[self.at : self.at + 1] != "]":
            raise self.refused("[ must be followed by a number or a quoted name, and ]")
        self.at += 1
        return int(part) if name is None else name

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def refused(self, message: str) -> UsageError:
        # Only what was read: behind it a secret may stand.
        shown = self.text[: self.at].partition("=")[0][:_SHOWN]
        return UsageError(f"--set {shown!r}: {message}", fix=_FORM)
