"""From a pipeline to the rows of its run, in the one way for every door a run comes in by."""

from __future__ import annotations

from stix.ledger.rows import NewRun, NewStage
from stix.spec.expand import points
from stix.spec.models import PipelineSpec
from stix.spec.wire import to_wire


def new_run(pipeline: PipelineSpec, run_id: str) -> NewRun:
    """The rows of a run of ``pipeline``, without source, uploads and options."""
    stages = [NewStage(p.key, p.stage, dict(p.params), list(p.needs)) for p in points(pipeline)]
    names = sorted({name for stage in pipeline.stages.values() for name in stage.secrets})
    return NewRun(
        id=run_id,
        name=pipeline.name,
        spec=to_wire(pipeline),
        points=stages,
        secret_names=names,
        deadline_s=pipeline.deadline,
    )
