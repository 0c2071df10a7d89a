"""One task from the text of a file, and the check of a task as a whole."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from pydantic import ValidationError

from stix.spec import chain
from stix.spec.problems import Path, Problem, error
from stix.spec.python.objects import Refused
from stix.spec.sources import Sources
from stix.spec.yaml.text import Document, TextErrors, parse

if TYPE_CHECKING:
    from stix.spec.models import PipelineSpec
    from stix.spec.stage import StageSpec

_PIPELINE = "read it with stix.from_yaml"


def read_task(text: str, name: str) -> StageSpec:
    """The one task of a text, with its own variables in the fields that take them.

    Raises:
        Refused: it holds something else; every problem with line and column.
    """
    from stix.spec.checks.removed import renewed
    from stix.spec.messages import explain
    from stix.spec.stage import StageSpec
    from stix.spec.variables import Variables

    try:
        documents = parse(text, name)
    except TextErrors as refusal:
        raise Refused(refusal.problems) from None
    sources = Sources(documents)
    key = "\0task"
    number, problems = _one(documents, key)
    sources.stages[key] = (number, ())
    value = documents[number].value if documents else None
    if not problems:
        value = renewed(value)
        try:
            return StageSpec.model_validate(value, context=Variables())
        except ValidationError as refusal:
            problems = explain(refusal, value, StageSpec, ("stages", key))
    raise Refused([sources.locate(problem, name) for problem in problems])


def _one(documents: list[Document], key: str) -> tuple[int, list[Problem]]:
    """The number of the only task, or what is there instead."""
    at: Path = ("stages", key)
    if not documents:
        return 0, [error((), "the file is empty", "write at least run: COMMAND")]
    for number, problem in chain.not_maps(documents):
        return number, [error(at, problem.message, problem.fix)]
    found = chain.split(documents)
    if len(found.tasks) > 1:
        said = f"the file holds {len(found.tasks)} tasks, not one"
        return found.tasks[1][0], [error(at, said, _PIPELINE)]
    if not found.tasks:
        return 0, [error(at, "the file holds no task", "write at least run: COMMAND")]
    number, document = found.tasks[0]
    if "stages" in document.value:
        said = "the file holds a pipeline, not one task"
        return number, [error((*at, "stages"), said, _PIPELINE, on_key=True)]
    return number, []


def check_task(pipeline: PipelineSpec, skipped: Collection[str] = ()) -> None:
    """Refuse the one task of a pipeline with everything that is wrong with it.

    Args:
        pipeline: A pipeline of one task.
        skipped: ``workdir`` or ``file_mounts``, whose local paths need not exist.

    Raises:
        Refused: with every problem.
    """
    from stix.spec.checks.check import check
    from stix.spec.messages import explain
    from stix.spec.python.objects import given
    from stix.spec.stage import StageSpec

    for name, stage in pipeline.stages.items():
        raw = given(stage)
        try:
            StageSpec.model_validate(raw)
        except ValidationError as refusal:
            raise Refused(explain(refusal, raw, StageSpec, ())) from None
        kept = stage.model_copy()
        for word in skipped:
            kept.__dict__[word] = None if word == "workdir" else {}
        pipeline = pipeline.model_copy(update={"stages": {name: kept}})
    problems = check(pipeline, FilePath.cwd())
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise Refused(errors)
