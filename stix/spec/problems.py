"""What is wrong with a pipeline file: one `Problem` each, all of them in one `SpecErrors`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stix.errors import StixError

MOST = 100
"""Mistakes that are shown of one stage; behind so many nobody reads on."""

Path = tuple[str | int, ...]
"""Where a field lies, from the top of the pipeline."""


@dataclass(frozen=True)
class Problem:
    """One thing to say about one place of a file.

    Attributes:
        severity: ``error`` or ``warning``.
        file: Name of the file as the user gave it; empty where there is none (Python objects).
        line: Line, from 1; 0 where unknown.
        column: Column, from 1; 0 where unknown.
        path: Dotted path of the field, such as ``stages.train.resources.cpus``.
        message: What is wrong.
        fix: What to do about it.
        parts: The path as a tuple, below the pipeline.
        on_key: The key is wrong, not its value.
        given: It lies in an option of the command line, which ``file`` then names.
    """

    severity: str
    file: str
    line: int
    column: int
    path: str
    message: str
    fix: str
    parts: Path = ()
    on_key: bool = False
    given: bool = False

    def __str__(self) -> str:
        where = self.file or "<pipeline>"
        if self.line:
            where = f"{where}:{self.line}:{self.column}"
        path = f"{self.path}: " if self.path else ""
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{where}: {self.severity}: {path}{self.message}{fix}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, for ``--output json``."""
        return {k: v for k, v in self.__dict__.items() if k not in ("parts", "on_key", "given")}


class SpecErrors(StixError):
    """A pipeline is refused. ``problems`` holds every error found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.line, p.column, p.path))
        super().__init__("\n".join(str(p) for p in self.problems))

    def __str__(self) -> str:
        return self.message


class GivenErrors(SpecErrors):
    """The command line, or a file of variables that it names, is wrong (exit code 2)."""

    exit_code = 2


def refused(problems: Sequence[Problem]) -> SpecErrors:
    """What to raise for errors: `GivenErrors` where nothing but the command line is wrong."""
    told: dict[object, Problem] = {}
    for one in problems:
        # An option for every stage is as wrong in each of them.
        told.setdefault((one.file, one.message) if one.given else id(one), one)
    given = bool(told) and all(p.given for p in told.values())
    return GivenErrors(list(told.values())) if given else SpecErrors(list(told.values()))


def error(parts: Path, message: str, fix: str, *, on_key: bool = False) -> Problem:
    """An error whose place in the file is not known yet."""
    return Problem("error", "", 0, 0, dotted(parts), message, fix, parts, on_key)


def warning(parts: Path, message: str, fix: str) -> Problem:
    """A warning whose place in the file is not known yet."""
    return Problem("warning", "", 0, 0, dotted(parts), message, fix, parts)


def dotted(path: Path) -> str:
    """``("stages", "a", "ports", 0)`` as ``stages.a.ports[0]``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was most likely meant to be."""
    names = {str(k).lower(): str(k) for k in known}
    found = difflib.get_close_matches(str(word).lower(), list(names), n=1, cutoff=0.6)
    return names[found[0]] if found else None


def choose(word: str, known: Sequence[str]) -> str:
    """A fix for a word that should be one of ``known``."""
    close = nearest(word, known)
    if close is not None:
        return f"did you mean {close!r}?"
    shown = ", ".join(sorted(known)[:12])
    return f"use one of: {shown}" if shown else "remove it"
