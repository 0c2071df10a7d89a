"""SkyPilot's files of one or several documents: a task, a chain of tasks, or a job group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from stix.spec.problems import Path, Problem, error
from stix.spec.yaml.text import Document

_NAMED = {"name"}
_SERIAL = {"name", "execution"}


@dataclass(frozen=True)
class Chain:
    """Documents, told apart.

    Attributes:
        header: The first document where it names the whole; else empty.
        tasks: Number of each document that is a task, and the document.
        problems: What is wrong with the header of a chain.
    """

    header: dict[str, Any] = field(default_factory=dict)
    tasks: list[tuple[int, Document]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def parallel(self) -> bool:
        """Whether this is a job group: all tasks at once, rather than one after the other."""
        return self.header.get("execution") == "parallel"


def split(documents: list[Document]) -> Chain:
    """Tell the header from the tasks.

    A header is the first document of the file if it holds ``name`` alone, ``name`` and
    ``execution``, or, with tasks behind it, ``execution: parallel`` among others. SkyPilot reads
    any other first document as a task, and so does it one behind an empty document.
    """
    tasks = list(enumerate(documents))
    if not documents or documents[0].number or not isinstance(documents[0].value, dict):
        return Chain({}, tasks)
    first = documents[0].value
    if len(documents) > 1 and first.get("execution") == "parallel":
        return Chain(first, tasks[1:])
    if first.keys() not in (_NAMED, _SERIAL):
        return Chain({}, tasks)
    problems = list(_execution(first.get("execution"), alone=len(documents) == 1))
    if len(documents) == 1:
        # A header alone is a task with nothing to do.
        return Chain({}, [(0, replace(documents[0], value={"name": first["name"]}))], problems)
    header = {"name": first["name"]} if problems else first
    return Chain(header, tasks[1:], problems)


def _execution(mode: Any, *, alone: bool) -> Iterator[Problem]:
    at: Path = ("execution",)
    if mode == "parallel" and alone:
        fix = "write each job as a document of its own below, after a line with ---"
        yield error(at, "the job group has no jobs", fix)
    elif mode not in (None, "serial"):
        fix = "write execution: serial for a chain, or execution: parallel for a job group"
        yield error(at, f"execution cannot be {mode!r}", fix)


def not_maps(documents: list[Document]) -> Iterator[tuple[int, Problem]]:
    """Documents that are no map of fields."""
    from stix.spec import values

    for number, document in enumerate(documents):
        if not isinstance(document.value, dict):
            at: Path = ("stages", f"\0{number}")
            fix = "write fields such as run: COMMAND, or stages: with a map"
            said = f"a pipeline must be a map, not {values.kind(document.value)}"
            yield number, error(at, said, fix)
