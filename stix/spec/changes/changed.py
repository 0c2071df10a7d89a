"""Settings put into a pipeline that was made in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from stix.spec.base import Spec
from stix.spec.changes.layout import Layout, apply
from stix.spec.changes.settings import Setting
from stix.spec.messages import explain
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import Path, Problem, refused
from stix.spec.sources import Sources

T = TypeVar("T", bound=Spec)


def changed_by(pipeline: PipelineSpec, settings: Sequence[Setting]) -> tuple[PipelineSpec, Sources]:
    """A pipeline with settings, and which of its paths they have set. The given one stays as is.

    Raises:
        SpecErrors: a setting has no place in the pipeline, or gives it a wrong value.
    """
    sources = Sources([])
    if not settings:
        return pipeline, sources
    top = {n: v for n, v in plain(pipeline).items() if n != "stages"}
    stages = {name: plain(stage) for name, stage in pipeline.stages.items()}
    layout = Layout(top, dict(stages))
    problems = apply(layout, settings)
    sources.marks = layout.marks
    found: dict[str, StageSpec | None] = dict(pipeline.stages)
    for name, raw in layout.stages.items():
        if raw is not stages[name]:
            found[name] = _valid(StageSpec, raw, ("stages", name), problems)
    whole: PipelineSpec | None = pipeline
    if layout.top is not top:
        whole = _valid(PipelineSpec, layout.top, (), problems)
    if problems or whole is None:
        raise refused([sources.locate(problem, "") for problem in problems])
    return whole.model_copy(update={"stages": found}), sources


def plain(value: Any) -> Any:
    """A model as plain data: what was given, and what differs from the default since."""
    if isinstance(value, BaseModel):
        given = value.model_fields_set
        out = {}
        for name, field in type(value).model_fields.items():
            own = getattr(value, name)
            if name in given or own != field.get_default(call_default_factory=True):
                out[name] = plain(own)
        return out
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value


def _valid(model: type[T], raw: Any, at: Path, problems: list[Problem]) -> T | None:
    try:
        return model.model_validate(raw)
    except ValidationError as refusal:
        problems += explain(refusal, raw, model, at)
        return None
