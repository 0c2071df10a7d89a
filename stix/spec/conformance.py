"""The conformance report: what this release makes of every key of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from stix.spec import chain
from stix.spec.base import Spec
from stix.spec.changes.overrides import Overrides
from stix.spec.keys import Key, keys
from stix.spec.loader import Loaded, load_text
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import GivenErrors, Path, Problem, SpecErrors, dotted
from stix.spec.sources import Sources
from stix.spec.statuses import Status
from stix.spec.support import file_refusals, pipeline_refusals
from stix.spec.variables import Variables, substituted
from stix.spec.yaml.text import Document, Mark, TextErrors, parse

_UNKNOWN = Status("refused", "remove it", "unknown field")


@dataclass(frozen=True)
class Row:
    """One key of a file.

    Attributes:
        path: Where it lies in its document, such as ``file_mounts./data.mode``.
        shape: The key of the specification, such as ``file_mounts.*.mode``.
        status: ``used``, ``mapped`` or ``refused``.
        to: Where it is mapped to, or what to write instead.
        why: Why it is refused, or how far the mapping goes.
        line: Line, from 1; 0 where there is no file.
        column: Column, from 1.
        part: It lies below a key that says the same; tables for people leave it out.
        document: Number of its document, from 0.
    """

    path: str
    shape: str
    status: str
    to: str
    why: str
    line: int = 0
    column: int = 0
    part: bool = False
    document: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe, for ``--output json``."""
        names = ("path", "status", "to", "why", "line", "column")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Report:
    """What became of a file.

    Attributes:
        rows: One per key, in the order of the file.
        problems: Everything that is wrong with it, refused keys included, and warnings.
        loaded: The pipeline; None where the file is no valid one.
    """

    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    loaded: Loaded | None = None

    @property
    def ok(self) -> bool:
        """Whether the file would run."""
        return self.loaded is not None and all(p.severity != "error" for p in self.problems)


def report(
    text: str,
    name: str = "<string>",
    given: Overrides | None = None,
    *,
    base: FilePath | None = None,
) -> Report:
    """The report of a pipeline file. Where the file is wrong, of what can be read of it.

    Args:
        text: YAML.
        name: Name of the file, for problems.
        given: Values from the command line.
        base: Folder against which local paths are checked; None checks none.

    Raises:
        GivenErrors: a value from the command line is wrong.
    """
    given = given or Overrides(complete=False)
    loaded: Loaded | None = None
    try:
        loaded = load_text(text, name, given, base=base)
        wrong: list[Problem] = []
        problems = [*loaded.warnings, *file_refusals(loaded)]
    except GivenErrors:
        raise
    except SpecErrors as refusal:
        problems = wrong = list(refusal.problems)
    try:
        documents = parse(text, name)
    except TextErrors:
        documents = []
    rows = list(_rows(documents, given.envs))
    if loaded is not None:
        rows = [_replaced(_accepted(row), loaded.sources) for row in rows]
    return Report(_with_problems(rows, wrong), problems, loaded)


def of_pipeline(pipeline: PipelineSpec) -> Report:
    """The report of a pipeline that was not read from YAML: without lines."""
    rows = [_row(key, (0, 0)) for key in keys(PipelineSpec, pipeline)]
    return Report(rows, pipeline_refusals(pipeline))


def _rows(documents: list[Document], above: Mapping[str, str]) -> Iterator[Row]:
    if any(not isinstance(document.value, dict) for document in documents):
        return
    if documents and "stages" in documents[0].value:
        yield from _pipeline(documents[0], above)
        return
    found = chain.split(documents)
    if found.header:
        yield from _keys(PipelineSpec, found.header, documents[0], 0)
    for number, document in found.tasks:
        stage = _substituted(document.value, Variables(above=above))
        yield from _keys(StageSpec, stage, document, number)


def _pipeline(document: Document, above: Mapping[str, str]) -> Iterator[Row]:
    whole = dict(document.value)
    beneath = {**_texts(whole), **_texts(whole.get("defaults"))}
    stages = whole["stages"]
    if isinstance(stages, dict):
        context = Variables(beneath, above)
        whole["stages"] = {name: _substituted(s, context) for name, s in stages.items()}
    yield from _keys(PipelineSpec, whole, document, 0)


def _texts(holder: Any) -> dict[str, str]:
    envs = holder.get("envs") if isinstance(holder, dict) else None
    given = envs.items() if isinstance(envs, dict) else ()
    return {str(name): str(value) for name, value in given if isinstance(value, str | int | float)}


def _substituted(raw: Any, context: Variables) -> Any:
    """A stage with its variables replaced in values; keys stay as the file has them."""
    return _rekeyed(raw, substituted(raw, context)) if isinstance(raw, dict) else raw


def _rekeyed(raw: Any, new: Any) -> Any:
    if isinstance(raw, dict) and isinstance(new, dict) and len(raw) == len(new):
        pairs = zip(raw, raw.values(), new.values(), strict=True)
        return {key: _rekeyed(old, value) for key, old, value in pairs}
    if isinstance(raw, list) and isinstance(new, list) and len(raw) == len(new):
        return [_rekeyed(old, value) for old, value in zip(raw, new, strict=True)]
    return new


def _keys(model: type[Spec], value: Any, document: Document, number: int) -> Iterator[Row]:
    for key in keys(model, value):
        yield _row(key, document.where(key.path, key=True), number)


def _row(key: Key, mark: Mark, number: int = 0) -> Row:
    status = key.status or _UNKNOWN
    return Row(
        dotted(key.path),
        shape(key.shape),
        status.word,
        status.to,
        status.why,
        *mark,
        key.part,
        number,
    )


def shape(path: Path) -> str:
    """``("resources", "any_of", "*", "cpus")`` as ``resources.any_of.*.cpus``."""
    return ".".join(str(part) for part in path)


def _accepted(row: Row) -> Row:
    """The row of a valid file: a key that nothing knows was passed over, as a header allows."""
    if row.why != _UNKNOWN.why:
        return row
    return replace(row, status="mapped", to="nothing", why="it is not known here and does nothing")


def _replaced(row: Row, sources: Sources) -> Row:
    """The row, or what it becomes where an option of the command line replaces the key."""
    for mark in sources.marks:
        number, path = 0, mark.path
        if len(path) > 1 and path[0] == "stages" and path[1] in sources.stages:
            number, prefix = sources.stages[str(path[1])]
            path = (*prefix, *path[2:])
        if row.document == number and _within(row.path, dotted(path)):
            return replace(row, status="mapped", to=mark.said, why="an option replaces it")
    return row


def _within(path: str, above: str) -> bool:
    return path == above or path.startswith((f"{above}.", f"{above}["))


def _with_problems(rows: list[Row], problems: Iterable[Problem]) -> list[Row]:
    """Rows with what is wrong in the file: a key that is not valid is refused."""
    out = list(rows)
    for problem in problems:
        index = _concerned(rows, problem)
        if index is not None and problem.severity == "error":
            status = {"status": "refused", "to": problem.fix, "why": problem.message}
            out[index] = replace(rows[index], part=False, **status)  # type: ignore[arg-type]
    return out


def _concerned(rows: list[Row], problem: Problem) -> int | None:
    """The row of the key that a problem is about, or of the nearest key above it."""
    found = None
    for index, row in enumerate(rows):
        if row.line > problem.line:
            continue
        if _within(problem.path, row.path):
            best = rows[found] if found is not None else None
            if best is None or (row.document, len(row.path)) >= (best.document, len(best.path)):
                found = index
    return found
