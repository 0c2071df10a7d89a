"""From documents to a pipeline: SkyPilot's tasks, or STIX's ``stages:``; collects what is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from stix.spec import chain, values
from stix.spec.base import Spec
from stix.spec.changes.layout import Layout, apply
from stix.spec.changes.settings import Setting
from stix.spec.checks.removed import mapped
from stix.spec.groups import check_group, check_names, sound
from stix.spec.messages import explain
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import MOST, Path, Problem, error
from stix.spec.sources import Sources
from stix.spec.variables import Variables
from stix.spec.yaml.text import Document

T = TypeVar("T", bound=Spec)
MAX_STAGES = 5000
_ALL = "*"
_OF_OTHERS = {
    "inputs": ("outputs", "matrix", _ALL),
    "when": ("outputs", "matrix", _ALL),
    "file_mounts": ("file_mounts", _ALL),
}
"""Fields of other stages that a check of a field looks at."""


def stage_name(text: str) -> str:
    """The nearest valid name of a stage, or an empty text."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")
    return re.sub(r"([-_]{2})[-_]+", r"\1", plain)[:100].rstrip("-_")


class Reader:
    """Turns documents into a pipeline.

    Attributes:
        problems: What is wrong, with paths and without places.
        told: What is odd but not wrong.
        sources: Where everything lies.
        chained: Whether these are SkyPilot's tasks.
        substituted: Whether variables are in their places already. Below defaults they are not:
            a field of the defaults waits for the variables of each stage.
    """

    def __init__(
        self,
        documents: list[Document],
        stem: str,
        above: Mapping[str, str],
        settings: Sequence[Setting] = (),
    ) -> None:
        self.documents = documents
        self.stem = stem
        self.above = above
        self.settings = settings
        self.problems: list[Problem] = []
        self.told: list[Problem] = []
        self.pruned: dict[str, set[str]] = {}
        self.sources = Sources(documents)
        self.chained = False
        self.substituted = True

    def read(self) -> PipelineSpec | None:
        """The pipeline, or None where nothing can be made of the documents."""
        if not self.documents:
            fix = "write at least run: COMMAND"
            self.problems.append(error((), "the file is empty", fix))
            return None
        for number, problem in chain.not_maps(self.documents):
            self.sources.stages[str(problem.parts[1])] = (number, ())
            self.problems.append(problem)
        if self.problems:
            return None
        first = self.documents[0].value
        if "stages" in first:
            return self._stages(first)
        self.chained = True
        return self._chain()

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
        if len(given) > MAX_STAGES:
            said = f"{len(given)} stages are too many; a pipeline has at most {MAX_STAGES}"
            self.problems.append(error(("stages",), said, "write points of a stage as its matrix"))
            return None
        layout = Layout({k: v for k, v in raw.items() if k != "stages"}, dict(given))
        self._set(layout)
        raw, given = layout.top, layout.stages
        self.problems += check_names(raw, given.keys())
        header = {k: v for k, v in raw.items() if k != "defaults"}
        pipeline = self._validate(PipelineSpec, {"name": self.stem, **_given(header)}, ())
        defaults = self._defaults(raw.get("defaults"))
        self.substituted = defaults is None
        beneath = _texts(pipeline.envs if pipeline is not None else {})
        context = Variables(beneath, self.above) if self.substituted else None
        stages = {}
        for name, body in given.items():
            raw_stage = {} if body is None else body
            at: Path = ("stages", name)
            stage = self._validate(StageSpec, raw_stage, at, context)
            if stage is None:
                stage = self._what_is_sound(raw_stage, ("stages", name))
            if self._named(name, stage):
                stages[name] = stage
        return self._assemble(pipeline, defaults, stages)

    def _set(self, layout: Layout) -> None:
        if self.settings:
            self.problems += apply(layout, self.settings)
            self.sources.marks = layout.marks

    def _defaults(self, raw: Any) -> StageSpec | None:
        return None if raw is None else self._validate(StageSpec, raw, ("defaults",))

    def _named(self, name: str, stage: StageSpec) -> bool:
        at: Path = ("stages", name)
        if not values.STAGE_NAME.match(name):
            fix = "use at most 100 letters and digits, with one or two '-' or '_' between them"
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
        apart = False
        for name in stages if defaults is not None else ():
            one = whole.model_copy(update={"stages": {name: stages[name]}})
            try:
                one.resolved()
            except ValidationError as refusal:
                raw = stages[name].model_dump(exclude_unset=True)
                self.problems += explain(refusal, raw, StageSpec, ("stages", name))
                apart = True
        if not apart:
            return whole
        # What they do not say together, nobody can look at; each by itself shows its edges.
        self.pruned |= {name: {_ALL} for name in stages}
        return whole.model_copy(update={"defaults": None})

    def _what_is_sound(self, raw: Any, at: Path) -> StageSpec:
        """A refused stage without its wrong fields, so that its edges can still be checked."""
        wrong = {
            p.parts[len(at)]
            for p in self.problems
            if p.parts[: len(at)] == at and len(p.parts) > len(at)
        }
        fields = self.pruned[str(at[-1])] = {str(field) for field in wrong}
        kept = {k: v for k, v in raw.items() if k not in wrong} if isinstance(raw, dict) else {}
        try:
            return StageSpec.model_validate(kept)
        except ValidationError:
            fields.add(_ALL)
            return StageSpec.model_validate({})

    def _tell(self, problems: list[Problem]) -> None:
        self.problems += [p for p in problems if p.severity == "error"]
        self.told += [p for p in problems if p.severity != "error"]

    def sound(self, problem: Problem) -> bool:
        """Whether what ``check`` found stands, although some stages are known in part only."""
        if problem.severity != "error" or len(problem.parts) < 3:
            return False
        stage, field = str(problem.parts[1]), str(problem.parts[2])
        own = self.pruned.get(stage, set())
        anywhere = {name for fields in self.pruned.values() for name in fields}
        if field in own or (_ALL in own and field != "needs"):
            return False
        return anywhere.isdisjoint(_OF_OTHERS.get(field, ()))

    def _chain(self) -> PipelineSpec | None:
        found = chain.split(self.documents)
        header = _given(found.header)
        names = self._chain_names(found, str(header.get("name") or self.stem))
        self.sources.stages |= {n: (i, ()) for n, (i, _) in zip(names, found.tasks, strict=True)}
        bodies = [document.value for _, document in found.tasks]
        layout = Layout(header, dict(zip(names, bodies, strict=True)), chained=True)
        self._set(layout)
        header = _given(layout.top)
        self.problems += found.problems
        if found.parallel:
            whole = {**found.header, **header}
            problems = check_group(whole, list(layout.stages.items()))
            self._tell(problems)
            header = sound(header, problems)
        stages = {}
        for position, (name, raw) in enumerate(layout.stages.items()):
            context = Variables(above=self.above)
            stage = self._validate(StageSpec, raw, ("stages", name), context)
            if stage is None:
                stage = self._what_is_sound(raw, ("stages", name))
            if position and not found.parallel and not stage.needs:
                stage.needs = [names[position - 1]]
            alone = len(found.tasks) == 1 and stage.name
            header.setdefault("name", stage.name if alone else self.stem)
            stage.name = name
            stages[name] = stage
        return self._assemble(self._validate(PipelineSpec, header, ()), None, stages)

    def _chain_names(self, found: chain.Chain, stem: str) -> list[str]:
        """Names of stages: the tasks' own, or ``<pipeline>-<number>`` as SkyPilot gives."""
        names = []
        for position, (number, document) in enumerate(found.tasks):
            given = document.value.get("name")
            unnamed = stem if len(found.tasks) == 1 else f"{stem}-{position}"
            own = stage_name(given if isinstance(given, str) else "")
            names.append(own or stage_name(unnamed) or "task")
            if Counter(names)[names[-1]] > 1:
                self.sources.stages[f"\0{number}"] = (number, ())
                at: Path = ("stages", f"\0{number}", "name")
                said = f"two tasks are called {names[-1]!r}"
                if not found.parallel:  # A group looks at its names itself.
                    self.problems.append(error(at, said, "give each task a name of its own"))
                names[-1] = f"{names[-1]}-{position}"
        return names

    def _validate(
        self, model: type[T], raw: Any, at: Path, context: Variables | None = None
    ) -> T | None:
        if len(self.problems) > MOST:
            return None
        if model is StageSpec:
            raw, told = mapped(raw, at)
            self.told += told
        try:
            return model.model_validate(raw, context=context)
        except ValidationError as refusal:
            self.problems += explain(refusal, raw, model, at)
            return None


def _given(raw: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in raw.items() if v is not None}


def _texts(envs: Mapping[str, str | None]) -> dict[str, str]:
    return {k: v for k, v in envs.items() if v is not None}
