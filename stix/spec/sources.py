"""Where in a file each part of a pipeline lies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from stix.spec.problems import Path, Problem, SpecErrors, dotted
from stix.spec.variables import could_become
from stix.spec.yaml.text import Document, TextErrors, parse
from stix.spec.yaml.text import Mark as Place

OLD = {"config": "experimental", "job_recovery": "spot_recovery"}
"""Fields that a file may write by a name that an earlier release of SkyPilot had."""


def read_documents(text: str, file: str) -> list[Document]:
    """The documents of a YAML text.

    Raises:
        SpecErrors: it is no YAML, or not one that is safe to read.
    """
    try:
        return parse(text, file)
    except TextErrors as refusal:
        raise SpecErrors(refusal.problems) from None


@dataclass(frozen=True)
class Mark:
    """A path of the pipeline that an option of the command line has set.

    Attributes:
        path: Where.
        said: The option, for messages.
        every: It was said of every stage.
    """

    path: Path
    said: str
    every: bool = False

    def blamed(self, problem: Problem) -> Problem:
        """The problem as one of this option."""
        parts = problem.parts
        if parts[:1] == ("stages",):
            parts = parts[2:] if self.every else parts[1:]
        told = replace(problem, file=self.said, path=dotted(parts))
        return replace(told, line=0, column=0, given=True)


@dataclass
class Sources:
    """Maps paths of the pipeline to places of documents.

    Attributes:
        documents: In the order of the file.
        stages: Name of a stage to the number of its document and its path there.
        marks: What options of the command line have set.
    """

    documents: list[Document]
    stages: dict[str, tuple[int, Path]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    def locate(self, problem: Problem, file: str) -> Problem:
        """The problem with the place of its path, or with the option that set it."""
        if problem.given:
            return problem
        option = self._set_by(problem.parts)
        if option is not None:
            return option.blamed(problem)
        if not self.documents:
            return replace(problem, file=file)
        number, path = 0, problem.parts
        if len(path) >= 2 and path[0] == "stages" and path[1] in self.stages:
            number, prefix = self.stages[str(path[1])]
            path = (*prefix, *path[2:])
        document = self.documents[number]
        path = _written(document, path)
        mark = document.where(path, key=problem.on_key)
        if document.at(path) is None:
            mark = self._inherited(problem.parts) or mark
        return replace(problem, file=file, line=mark[0], column=mark[1], path=dotted(path))

    def _inherited(self, path: Path) -> Place | None:
        """Where a value that a stage takes from ``defaults``, ``envs`` or ``secrets`` lies."""
        if len(path) < 3 or self.stages:
            return None
        document = self.documents[0]
        return document.at(("defaults", *path[2:])) or document.at(path[2:])

    def _set_by(self, path: Path) -> Mark | None:
        """What set a path, or set something below it where the file has nothing."""
        for mark in reversed(self.marks):
            if path[: len(mark.path)] == mark.path:
                return mark
        for mark in self.marks:
            if path and mark.path[: len(path)] == path and not self._holds(path):
                return mark
        return None

    def _holds(self, path: Path) -> bool:
        """Whether a file has this; not asked of fields of the pipeline, which are given whole."""
        if path[0] != "stages" or len(path) < 2:
            return path[0] == "stages"
        number, below = 0, path
        if path[1] in self.stages:
            number, prefix = self.stages[str(path[1])]
            below = (*prefix, *path[2:])
        return bool(self.documents) and self.documents[number].at(below) is not None


def _written(document: Document, path: Path) -> Path:
    """The path as the file has it.

    Names hold variables there, and what an alternative takes from the fields beside it is there.
    """
    if document.at(path) is not None:
        return path
    named = _named(document.value, path)
    for index, part in enumerate(named[:-2]):
        common = (*named[:index], *named[index + 2 :])
        if part in ("any_of", "ordered") and document.at(named) is None and document.at(common):
            return common
    return named


def _named(value: Any, path: Path) -> Path:
    out: list[str | int] = []
    for part in path:
        if isinstance(value, dict) and part not in value:
            old = OLD.get(str(part))
            other = old if old is not None and old in value else part
            part = next((str(k) for k in value if could_become(str(k), str(part))), other)
        inside = isinstance(value, list) and isinstance(part, int) and part < len(value)
        value = value.get(part) if isinstance(value, dict) else value[part] if inside else None
        out.append(part)
    return tuple(out)
