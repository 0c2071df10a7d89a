"""Where in a file each part of a pipeline lies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stix.spec.problems import Path, Problem, dotted
from stix.spec.yamltext import Document, Mark


@dataclass
class Sources:
    """Maps paths of the pipeline to places of documents.

    Attributes:
        documents: In the order of the file.
        stages: Name of a stage to the number of its document and its path there.
    """

    documents: list[Document]
    stages: dict[str, tuple[int, Path]] = field(default_factory=dict)

    def locate(self, problem: Problem, file: str) -> Problem:
        """The problem with the place of its path."""
        if not self.documents:
            return replace(problem, file=file)
        number, path = 0, problem.parts
        if len(path) >= 2 and path[0] == "stages" and path[1] in self.stages:
            number, prefix = self.stages[str(path[1])]
            path = (*prefix, *path[2:])
        document = self.documents[number]
        mark = document.where(path, key=problem.on_key)
        if document.at(path) is None:
            mark = self._inherited(problem.parts) or mark
        return replace(problem, file=file, line=mark[0], column=mark[1], path=dotted(path))

    def _inherited(self, path: Path) -> Mark | None:
        """Where a value that a stage takes from ``defaults``, ``envs`` or ``secrets`` lies."""
        if len(path) < 3 or self.stages:
            return None
        document = self.documents[0]
        return document.at(("defaults", *path[2:])) or document.at(path[2:])
