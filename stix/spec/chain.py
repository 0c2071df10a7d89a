"""SkyPilot's files of one or several documents: a task, a chain of tasks, or a job group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stix.spec.problems import Path, Problem, error
from stix.spec.yamltext import Document


@dataclass(frozen=True)
class Chain:
    """Documents, told apart.

    Attributes:
        header: The first document where it names the whole; else empty.
        tasks: Number of each document that is a task, and the document.
    """

    header: dict[str, Any] = field(default_factory=dict)
    tasks: list[tuple[int, Document]] = field(default_factory=list)

    @property
    def parallel(self) -> bool:
        """Whether this is a job group: all tasks at once, rather than one after the other."""
        return self.header.get("execution") == "parallel"


def split(documents: list[Document]) -> Chain:
    """Tell the header from the tasks.

    The first of several documents is a header if it holds ``execution: parallel``, or nothing
    besides ``name`` and ``execution``; SkyPilot reads any other first document as a task.
    """
    tasks = list(enumerate(documents))
    if len(tasks) < 2:
        return Chain({}, tasks)
    first = documents[0].value
    header = first.get("execution") == "parallel" or (
        "name" in first and first.keys() <= {"name", "execution"}
    )
    return Chain(first, tasks[1:]) if header else Chain({}, tasks)


def not_maps(documents: list[Document]) -> Iterator[tuple[int, Problem]]:
    """Documents that are no map of fields."""
    from stix.spec import values

    for number, document in enumerate(documents):
        if not isinstance(document.value, dict):
            at: Path = ("stages", f"\0{number}")
            fix = "write fields such as run: COMMAND, or stages: with a map"
            said = f"a pipeline must be a map, not {values.kind(document.value)}"
            yield number, error(at, said, fix)
