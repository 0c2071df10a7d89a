"""What a client sends: trees of files, and runs."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stix.errors import UsageError
from stix.ledger.submission import new_run
from stix.secrets import Redactor
from stix.server.api.encode import plain
from stix.server.api.system import Here
from stix.server.context import Context
from stix.server.volumewants import demand_volumes
from stix.spec.buckets import STORE
from stix.spec.changes.overrides import missing_values
from stix.spec.checks.check import check
from stix.spec.checks.mounts import unnamed
from stix.spec.folders.sources import sources
from stix.spec.ids import new_run_id
from stix.spec.messages import explain
from stix.spec.models import PipelineSpec
from stix.spec.problems import Problem, SpecErrors, error
from stix.spec.support import pipeline_refusals
from stix.spec.wire import from_wire

router = APIRouter()


class Options(BaseModel):
    """How a run treats the cache."""

    model_config = ConfigDict(extra="forbid")

    no_cache: bool = False
    force: list[str] = Field(default_factory=list)
    accept: list[str] = Field(default_factory=list)


class Submission(BaseModel):
    """The body of ``POST /runs``."""

    model_config = ConfigDict(extra="forbid")

    spec: dict[str, Any]
    source: dict[str, Any] = Field(default_factory=dict)
    uploads: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, str] = Field(default_factory=dict, repr=False)
    options: Options = Field(default_factory=Options)


@router.post("/trees", status_code=201)
async def put_tree(context: Here, request: Request) -> Any:
    """Store the content of a tar stream; nothing is spooled."""
    reader, writer = os.pipe()
    storing = asyncio.create_task(asyncio.to_thread(_store, context, reader))
    try:
        async for chunk in request.stream():
            await asyncio.to_thread(_write, writer, chunk)
    except BrokenPipeError:
        os.close(writer)
        await storing  # it stopped reading, and says why
        raise
    except BaseException:
        os.close(writer)  # what came so far ends in the middle, and is refused
        await asyncio.gather(storing, return_exceptions=True)
        raise
    os.close(writer)
    stored = await storing
    return plain(stored)


def _store(context: Context, descriptor: int) -> Any:
    with os.fdopen(descriptor, "rb") as source:
        stored = context.store.put_tar(source)
        # A client may send blocks behind the end of the archive: take them, or it is cut off.
        while source.read(1 << 20):
            pass
        return stored


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@router.post("/runs", status_code=201)
async def create_run(context: Here, body: Submission) -> dict[str, Any]:
    """Check a pipeline, keep its secrets, queue it."""
    pipeline = read_spec(body.spec)
    await demand_volumes(context, pipeline)
    problems = unnamed(pipeline, context.config.bucket_store or STORE)
    if problems:
        raise SpecErrors(problems)
    _check_options(pipeline, body.options)
    declared = declared_secrets(pipeline)
    missing = [name for name in declared if name not in body.secrets]
    if missing:
        raise SpecErrors([_missing(name) for name in missing])
    await asyncio.to_thread(_check_uploads, context, pipeline, body.uploads)
    secrets = {name: body.secrets[name] for name in declared}
    run = replace(
        new_run(pipeline, new_run_id(pipeline.name)),
        source=_without(body.source, secrets),
        uploads=body.uploads,
        options=body.options.model_dump(),
    )
    if secrets:
        context.vault.put(run.id, secrets)
    try:
        await context.ledger.create_run(run)
    except BaseException:
        context.vault.delete(run.id)
        raise
    return {"id": run.id, "name": run.name}


def read_spec(wire: dict[str, Any]) -> PipelineSpec:
    """The pipeline of a canonical form.

    Raises:
        SpecErrors: all that is wrong with it.
    """
    try:
        pipeline = from_wire(wire)
    except ValidationError as refusal:
        body = {key: value for key, value in wire.items() if key != "version"}
        raise SpecErrors(explain(refusal, body, PipelineSpec, ())) from None
    except ValueError as refusal:
        fix = "install the same release of STIX as the server's"
        raise UsageError(str(refusal), fix=fix) from None
    problems = [
        *check(pipeline, idle=True),
        *missing_values(pipeline, secrets=False),
        *pipeline_refusals(pipeline),
    ]
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise SpecErrors(errors)
    return pipeline


def declared_secrets(pipeline: PipelineSpec) -> list[str]:
    """Names of the secrets that the pipeline or a stage declares."""
    names = set(pipeline.secrets)
    for stage in pipeline.stages.values():
        names |= set(stage.secrets)
    return sorted(names)


def _missing(name: str) -> Problem:
    fix = f"pass --secret {name} (from the environment) or --secret {name}=VALUE"
    return error(("secrets", name), f"the secret {name} has no value", fix)


def _check_options(pipeline: PipelineSpec, options: Options) -> None:
    for word, names in (("force", options.force), ("accept", options.accept)):
        for name in names:
            if name not in pipeline.stages:
                known = ", ".join(pipeline.stages)
                raise UsageError(f"there is no stage {name!r} to {word}", fix=f"stages: {known}")
    for name in options.accept:
        if options.no_cache or name in options.force:
            raise UsageError(
                f"the stage {name} cannot be accepted and run in any case",
                fix="leave out --accept, or --force and --no-cache",
            )
        if not pipeline.resolved().stages[name].cached:
            raise UsageError(
                f"the stage {name} has no outputs that may serve again",
                fix="declare its outputs, and leave out cache: false",
            )


def _check_uploads(context: Context, pipeline: PipelineSpec, uploads: dict[str, str]) -> None:
    stages = pipeline.resolved().stages.values()
    for source in sorted({key for stage in stages for key in sources(stage)} - uploads.keys()):
        raise UsageError(
            f"nothing was uploaded for {source!r}", fix="send its tree by POST /trees before"
        )
    for source, digest in uploads.items():
        if not context.store.keep(digest):
            raise UsageError(
                f"the upload of {source!r} is not in the artifact store", fix="upload it again"
            )


def _without(source: dict[str, Any], secrets: dict[str, str]) -> dict[str, Any]:
    """The text of the file, in which somebody may have written a secret's value."""
    redactor = Redactor(secrets.values())
    return {
        key: redactor.text(value) if isinstance(value, str) else value
        for key, value in source.items()
    }
