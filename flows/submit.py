"""Make a run of a pipeline file that lies on the server's own machine (deployments)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stix.ledger import Ledger
from stix.ledger.submission import new_run
from stix.spec.changes.overrides import Overrides, split_secrets
from stix.spec.folders.sources import packed
from stix.spec.ids import new_run_id
from stix.spec.loader import load_file
from stix.spec.models import PipelineSpec
from stix.spec.problems import SpecErrors
from stix.spec.support import pipeline_refusals
from stix.storage.artifacts import Replicas


@dataclass(frozen=True)
class Submission:
    """A pipeline file to run for an existing Prefect flow run."""

    path: Path
    envs: Mapping[str, str] = field(default_factory=dict)
    flow_run_id: str | None = None


async def submit_file(ledger: Ledger, store: Replicas, wish: Submission) -> str:
    """Record the run; its id. The same flow run again gives the same run.

    Raises:
        SpecErrors: the file is wrong, or needs a secret, which a deployment cannot give.
        GitError: the repository of a workdir cannot be fetched.
    """
    loaded = await asyncio.to_thread(load_file, wish.path, Overrides(envs=dict(wish.envs)))
    problems = pipeline_refusals(loaded.pipeline)
    if problems:
        raise SpecErrors([loaded.locate(problem) for problem in problems])
    pipeline, _ = split_secrets(loaded.pipeline)
    uploads, code = await asyncio.to_thread(_upload, store, pipeline, wish.path.parent)
    run_id = wish.flow_run_id.replace("-", "")[:12] if wish.flow_run_id else ""
    new = new_run(pipeline, f"{pipeline.name}-{run_id}" if run_id else new_run_id(pipeline.name))
    source = {"file": str(wish.path), "text": loaded.text, **({"code": code} if code else {})}
    return await ledger.create_run(
        replace(new, uploads=uploads, source=source, flow_run_id=wish.flow_run_id)
    )


def _upload(
    store: Replicas, pipeline: PipelineSpec, folder: Path
) -> tuple[dict[str, str], dict[str, Any]]:
    """Store what the stages take along from here: digests and facts of the code, by source.

    A repository is asked with what this machine's user has set up for git: a deployment has no
    secrets, and the keys of this process are not for whatever host a file names.
    """
    uploads, code = {}, {}
    for source in packed(pipeline.stages.values(), folder.resolve(), {}):
        uploads[source.key] = store.put_tar(source.content).digest
        if source.facts:
            code[source.key] = source.facts
    return uploads, code
