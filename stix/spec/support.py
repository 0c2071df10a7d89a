"""Which fields act in this release. What is parsed and does not act is refused, never ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stix.spec.keys import Key, keys
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import Path, Problem, error

if TYPE_CHECKING:
    from stix.spec.loader import Loaded

_OTHER_NAME = {"egress_inputs": "inputs", "egress_outputs": "outputs"}
"""Fields that a file writes by another name."""


def refusals(stage: StageSpec, at: Path = ()) -> list[Problem]:
    """Fields of a stage that nothing acts upon yet, by the table of `stix.spec.statuses`.

    Args:
        stage: Any stage.
        at: Where it lies in the pipeline, such as ``("stages", "train")``.
    """
    return list(_refused(keys(StageSpec, stage, at)))


def pipeline_refusals(pipeline: PipelineSpec) -> list[Problem]:
    """The same for all stages and the pipeline itself."""
    own = pipeline.model_copy(update={"stages": {}, "defaults": None})
    out = list(_refused(keys(PipelineSpec, own)))
    for name, stage in pipeline.resolved().stages.items():
        out += refusals(stage, ("stages", name))
    return out


def file_refusals(loaded: Loaded) -> list[Problem]:
    """The same for a file, each with its place. What alternatives share is told once."""
    found = (loaded.locate(problem) for problem in pipeline_refusals(loaded.pipeline))
    return list({(p.file, p.line, p.column, p.path, p.message): p for p in found}.values())


def _refused(given: Iterator[Key]) -> Iterator[Problem]:
    for key in given:
        status = key.status
        if status is None or status.word != "refused" or key.part:
            continue
        *above, name = key.path
        shown = _OTHER_NAME.get(str(name), name)
        path = (*above, shown)
        if status.whole:
            at = (*path, status.below) if _holds(key, status.below) else path
            yield error(at, status.why, status.to, on_key=not status.below)
        else:
            said = f"the field {shown} does not act: {status.why}"
            yield error(path, said, status.to, on_key=True)


def _holds(key: Key, name: str) -> bool:
    fields = getattr(key.value, "model_fields_set", ())
    return bool(name) and name in fields
