"""Pipeline files: SkyPilot's task, SkyPilot's chain of documents, or STIX's ``stages:``.

All problems of a file are found in one go and raised together as `SpecErrors`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import ValidationError

from stix.spec import values
from stix.spec.base import Spec
from stix.spec.check import check
from stix.spec.messages import explain
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.overrides import Overrides, missing_values, override
from stix.spec.problems import Path, Problem, SpecErrors, dotted, error, nearest
from stix.spec.substitution import substitute
from stix.spec.yamltext import Document, Mark, TextErrors, blanked, parse

T = TypeVar("T", bound=Spec)
_HEADER = {"name", "execution", "primary_tasks", "termination_delay", "inter_connection"}


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
        if path not in document.values:
            mark = self._inherited(problem.parts) or mark
        return replace(problem, file=file, line=mark[0], column=mark[1], path=dotted(path))

    def _inherited(self, path: Path) -> Mark | None:
        """Where a value that a stage takes from ``defaults``, ``envs`` or ``secrets`` lies."""
        if len(path) < 3 or self.stages:
            return None
        places = self.documents[0].values
        return places.get(("defaults", *path[2:])) or places.get(path[2:])


@dataclass(frozen=True)
class Loaded:
    """A pipeline file that was accepted.

    Attributes:
        pipeline: With defaults merged, overrides applied and variables substituted. It still
            holds secret values; `stix.spec.overrides.split_secrets` takes them out.
        file: Name of the file as given.
        text: Its text, with values of secrets blanked.
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
    file = FilePath(path)
    problem = _unreadable(file)
    if problem is not None:
        raise SpecErrors([problem])
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as refusal:
        message = f"the file cannot be read: {refusal.strerror}"
        raise SpecErrors([_at(str(path), 1, 1, message, "check its permissions")]) from None
    except UnicodeDecodeError as refusal:
        before = refusal.object[: refusal.start]
        line = before.count(b"\n") + 1
        column = refusal.start - (before.rfind(b"\n") + 1) + 1
        message = "the file is not UTF-8 text"
        raise SpecErrors([_at(str(path), line, column, message, "save it as UTF-8")]) from None
    return load_text(text, str(path), given, base=file.resolve().parent)


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
    try:
        documents = parse(text, name)
    except TextErrors as refusal:
        raise SpecErrors(refusal.problems) from None
    reader = _Reader(documents, _stem(name))
    pipeline = reader.read()
    problems = reader.problems
    if problems and pipeline is not None:
        # What is wrong inside a stage must not hide what is wrong between the stages.
        problems += [p for p in check(pipeline, None) if reader.sound(p)]
    elif pipeline is not None:
        pipeline = override(pipeline, given)
        problems = missing_values(pipeline, secrets=given.complete)
        problems += _substitute(pipeline)
        problems += check(pipeline, base)
    located = [reader.sources.locate(p, name) for p in problems]
    errors = [p for p in located if p.severity == "error"]
    if errors or pipeline is None:
        raise SpecErrors(errors)
    warnings = [p for p in located if p.severity == "warning"]
    return Loaded(pipeline, name, blanked(text, documents), warnings, reader.sources)


def _substitute(pipeline: PipelineSpec) -> list[Problem]:
    problems = []
    for name, stage in pipeline.stages.items():
        try:
            pipeline.stages[name] = substitute(stage)
        except ValidationError as refusal:
            raw = stage.model_dump(exclude_unset=True)
            problems += explain(refusal, raw, StageSpec, ("stages", name))
    return problems


def _stem(name: str) -> str:
    stem = FilePath(name).stem if not name.startswith("<") else ""
    return stage_name(stem) or "task"


def stage_name(text: str) -> str:
    """The nearest valid name of a stage, or an empty text."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:100]


class _Reader:
    """Turns documents into a pipeline and collects what is wrong."""

    def __init__(self, documents: list[Document], stem: str) -> None:
        self.documents = documents
        self.stem = stem
        self.problems: list[Problem] = []
        self.pruned: set[str] = set()
        self.sources = Sources(documents)

    def read(self) -> PipelineSpec | None:
        if not self.documents:
            fix = "write at least run: COMMAND"
            self.problems.append(error((), "the file is empty", fix))
            return None
        for number, document in enumerate(self.documents):
            if not isinstance(document.value, dict):
                self.sources.stages["\0"] = (number, ())
                fix = "write fields such as run: COMMAND, or stages: with a map"
                said = f"a pipeline must be a map, not {values.kind(document.value)}"
                self.problems.append(error(("stages", "\0"), said, fix))
                return None
        first = self.documents[0].value
        if "stages" in first:
            return self._stages(first)
        return self._chain(first)

    def _stages(self, raw: dict[str, Any]) -> PipelineSpec | None:
        if len(self.documents) > 1:
            self.sources.stages["\0"] = (1, ())
            fix = "write one document, or a chain of SkyPilot tasks without stages:"
            self.problems.append(
                error(("stages", "\0"), "a file with stages has one document", fix)
            )
        given = raw["stages"]
        if not isinstance(given, dict) or not given:
            fix = "write stages: {name: {run: COMMAND}}"
            said = f"stages must be a map of stages, not {values.kind(given)}"
            self.problems.append(error(("stages",), said if given else "there are no stages", fix))
            given = {}
        header = {k: v for k, v in raw.items() if k not in ("stages", "defaults")}
        pipeline = self._validate(PipelineSpec, {"name": self.stem, **_given(header)}, ())
        defaults = self._defaults(raw.get("defaults"))
        stages = {}
        for name, body in given.items():
            raw_stage = {} if body is None else body
            stage = self._validate(StageSpec, raw_stage, ("stages", name))
            if stage is None:
                stage = self._what_is_sound(raw_stage, ("stages", name))
            if self._named(name, stage):
                stages[name] = stage
        return self._assemble(pipeline, defaults, stages)

    def _defaults(self, raw: Any) -> StageSpec | None:
        return None if raw is None else self._validate(StageSpec, raw, ("defaults",))

    def _named(self, name: str, stage: StageSpec) -> bool:
        at: Path = ("stages", name)
        if not values.STAGE_NAME.match(name):
            fix = "use at most 100 letters, digits, '-' and '_', starting with a letter or digit"
            said = f"{name!r} is not a valid name of a stage"
            self.problems.append(error(at, said, fix, on_key=True))
        elif stage.name not in (None, name):
            said = f"the stage {name} calls itself {stage.name!r}"
            fix = f"remove name; the key {name} is the name"
            self.problems.append(error((*at, "name"), said, fix))
        else:
            return True
        return False

    def _assemble(
        self,
        pipeline: PipelineSpec | None,
        defaults: StageSpec | None,
        stages: dict[str, StageSpec],
    ) -> PipelineSpec | None:
        if pipeline is None:
            return None
        whole = pipeline.model_copy(update={"defaults": defaults, "stages": stages})
        for name in stages:
            one = whole.model_copy(update={"stages": {name: stages[name]}})
            try:
                one.resolved()
            except ValidationError as refusal:
                raw = stages[name].model_dump(exclude_unset=True)
                self.problems += explain(refusal, raw, StageSpec, ("stages", name))
        return whole

    def _what_is_sound(self, raw: Any, at: Path) -> StageSpec:
        """A refused stage without its wrong fields, so that its edges can still be checked."""
        wrong = {
            p.parts[len(at)]
            for p in self.problems
            if p.parts[: len(at)] == at and len(p.parts) > len(at)
        }
        self.pruned |= {str(field) for field in wrong}
        kept = {k: v for k, v in raw.items() if k not in wrong} if isinstance(raw, dict) else {}
        try:
            return StageSpec.model_validate(kept)
        except ValidationError:
            self.pruned |= {"outputs", "matrix"}
            return StageSpec()

    def sound(self, problem: Problem) -> bool:
        """Whether a problem between stages stands, although some stages are known in part only."""
        field = problem.parts[2] if len(problem.parts) > 2 else ""
        unsure = {"inputs", "when"} if {"outputs", "matrix"} & self.pruned else set[str]()
        return problem.severity == "error" and field in {"needs", "inputs", "when"} - unsure

    def _chain(self, first: dict[str, Any]) -> PipelineSpec | None:
        header: dict[str, Any] = {}
        tasks = list(enumerate(self.documents))
        alone = set(first) <= {"name", "execution"} or first.get("execution") == "parallel"
        if len(tasks) > 1 and first and alone and set(first) <= _HEADER:
            header, tasks = _given(first), tasks[1:]
        names = self._chain_names(tasks, str(header.get("name") or self.stem))
        self.sources.stages |= {n: (i, ()) for n, (i, _) in zip(names, tasks, strict=True)}
        stages = {}
        for position, (name, (_, document)) in enumerate(zip(names, tasks, strict=True)):
            stage = self._validate(StageSpec, document.value, ("stages", name))
            if stage is None:
                continue
            if position and header.get("execution") != "parallel" and not stage.needs:
                stage.needs = [names[position - 1]]
            header.setdefault("name", stage.name if len(tasks) == 1 and stage.name else self.stem)
            stage.name = name
            stages[name] = stage
        return self._assemble(self._validate(PipelineSpec, header, ()), None, stages)

    def _chain_names(self, tasks: list[tuple[int, Document]], stem: str) -> list[str]:
        """Names of stages: the tasks' own, or ``<pipeline>-<number>`` as SkyPilot gives."""
        names = []
        for position, (number, document) in enumerate(tasks):
            given = document.value.get("name")
            unnamed = stem if len(tasks) == 1 else f"{stem}-{position}"
            names.append(stage_name(given if isinstance(given, str) else "") or stage_name(unnamed))
            if Counter(names)[names[-1]] > 1:
                self.sources.stages[f"\0{number}"] = (number, ())
                at: Path = ("stages", f"\0{number}", "name")
                said = f"two tasks are called {names[-1]!r}"
                self.problems.append(error(at, said, "give each task a name of its own"))
                names[-1] = f"{names[-1]}-{position}"
        return names

    def _validate(self, model: type[T], raw: Any, at: Path) -> T | None:
        try:
            return model.model_validate(raw)
        except ValidationError as refusal:
            self.problems += explain(refusal, raw, model, at)
            return None


def _given(raw: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in raw.items() if v is not None}
