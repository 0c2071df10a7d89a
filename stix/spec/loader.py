"""Pipeline files: SkyPilot's task, SkyPilot's chain of documents, or STIX's ``stages:``.

All problems of a file are found in one go and raised together as `SpecErrors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath

from pydantic import ValidationError

from stix.spec.changes.overrides import Overrides, declared_secrets, missing_values, noted, override
from stix.spec.checks.check import check
from stix.spec.messages import explain
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import Problem, SpecErrors, nearest, refused
from stix.spec.reader import Reader, stage_name
from stix.spec.sources import Sources, read_documents
from stix.spec.yaml.text import (
    MAX_BYTES,
    TextErrors,
    blanked,
    decoded,
    misplaced_dates,
)


@dataclass(frozen=True)
class Loaded:
    """A pipeline file that was accepted.

    Attributes:
        pipeline: With defaults merged, overrides applied and variables substituted. It still
            holds secret values; `stix.spec.changes.overrides.split_secrets` takes them out.
        file: Name of the file as given.
        text: Its text, with values of secrets blanked; what was given beside it is noted below.
        warnings: What is odd but not wrong.
        sources: Where each part of the pipeline lies in the file.
    """

    pipeline: PipelineSpec
    file: str
    text: str
    warnings: list[Problem] = field(default_factory=list)
    sources: Sources = field(default_factory=lambda: Sources([]), repr=False)

    def locate(self, problem: Problem) -> Problem:
        """The same problem with file, line and column, from its path in the pipeline."""
        return self.sources.locate(problem, self.file)


def load_file(path: str | FilePath, given: Overrides | None = None) -> Loaded:
    """Read a pipeline file.

    Raises:
        SpecErrors: it cannot be read, or is refused; holds every problem.
    """
    text = read_file(path)
    return load_text(text, str(path), given, base=FilePath(path).resolve().parent)


def read_file(path: str | FilePath) -> str:
    """The text of a file.

    Raises:
        SpecErrors: it cannot be read, or is no text.
    """
    file = FilePath(path)
    problem = _unreadable(file)
    if problem is not None:
        raise SpecErrors([problem])
    try:
        with file.open("rb") as stream:
            # One byte more than may be read shows that it is too much.
            return decoded(stream.read(MAX_BYTES + 1), str(path))
    except OSError as refusal:
        message = f"the file cannot be read: {refusal.strerror}"
        raise SpecErrors([_at(str(path), 1, 1, message, "check its permissions")]) from None
    except TextErrors as refusal:
        raise SpecErrors(refusal.problems) from None


def _unreadable(file: FilePath) -> Problem | None:
    if file.is_dir():
        fix = "name a file in it, such as " + str(file / "pipeline.yaml")
        return _at(str(file), 1, 1, "this is a folder, not a file", fix)
    if not file.exists():
        near = [p.name for p in file.parent.glob("*.y*ml")][:200] if file.parent.is_dir() else []
        close = nearest(file.name, near)
        fix = f"did you mean {file.parent / close}?" if close else "check the path"
        return _at(str(file), 1, 1, "there is no such file", fix)
    return None


def _at(file: str, line: int, column: int, message: str, fix: str) -> Problem:
    return Problem("error", file, line, column, "", message, fix)


def load_text(
    text: str,
    name: str = "<string>",
    given: Overrides | None = None,
    *,
    base: FilePath | None = None,
) -> Loaded:
    """Read a pipeline from text.

    Args:
        text: YAML.
        name: Name of the file, for messages; its stem names an unnamed pipeline.
        given: Values from the command line.
        base: Folder against which local paths are checked; None checks none.

    Raises:
        SpecErrors: it is refused; holds every problem.
    """
    given = given or Overrides()
    documents = read_documents(text, name)
    given = given.settled(declared_secrets(documents) if given.either else ())
    reader = Reader(documents, _stem(name), given.envs, given.settings)
    pipeline, problems = _checked(reader, given, base)
    located = [reader.sources.locate(p, name) for p in [*reader.told, *problems]]
    errors = [p for p in located if p.severity == "error"] or misplaced_dates(documents)
    if errors or pipeline is None:
        raise refused(errors)
    warnings = [w for document in documents for w in document.warnings]
    warnings += [p for p in located if p.severity == "warning"]
    stored = noted(blanked(text, documents), given)
    return Loaded(pipeline, name, stored, warnings, reader.sources)


def _checked(
    reader: Reader, given: Overrides, base: FilePath | None
) -> tuple[PipelineSpec | None, list[Problem]]:
    """The pipeline with its overrides, and everything that is wrong or odd."""
    pipeline = reader.read()
    problems = reader.problems
    if pipeline is None:
        return None, problems
    pipeline = override(pipeline, given)
    missing = missing_values(pipeline, secrets=given.complete)
    if problems:
        # What is wrong in one field must not hide what is wrong in others and between stages.
        found = [*missing, *check(pipeline, base, idle=True)]
        return pipeline, problems + [p for p in found if reader.sound(p)]
    missing += [] if reader.substituted else _substitute(pipeline)
    return pipeline, missing + check(pipeline, base, idle=reader.chained)


def _substitute(pipeline: PipelineSpec) -> list[Problem]:
    problems = []
    for name, stage in pipeline.stages.items():
        try:
            pipeline.stages[name] = stage.substituted()
        except ValidationError as refusal:
            raw = stage.model_dump(exclude_unset=True)
            problems += explain(refusal, raw, StageSpec, ("stages", name))
    return problems


def _stem(name: str) -> str:
    stem = FilePath(name).stem if not name.startswith("<") else ""
    return stage_name(stem) or "task"
