"""From a file or a Python object to a run: check, upload what is local, split secrets, post."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypedDict

from stix.errors import UsageError
from stix.spec.changes.changed import changed_by
from stix.spec.changes.overrides import (
    Overrides,
    missing_values,
    noted,
    override,
    secret_names,
    split_secrets,
)
from stix.spec.changes.settings import of_map
from stix.spec.checks.check import check
from stix.spec.folders.pack import pack
from stix.spec.folders.sources import packed, spool
from stix.spec.loader import Loaded, load_file
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import Problem, SpecErrors, refused
from stix.spec.python.dag import Dag
from stix.spec.support import file_refusals, pipeline_refusals
from stix.spec.wire import to_wire

if TYPE_CHECKING:  # reading a file needs no connection
    from stix.client.api import Client, Json

Source = PipelineSpec | StageSpec | Dag | str | Path


class RunOptions(TypedDict, total=False):
    """The keyword arguments of ``stix.run``; ``Options`` says what they mean."""

    name: str | None
    envs: Mapping[str, str] | None
    secrets: Mapping[str, str] | None
    no_cache: bool
    force: Sequence[str]
    accept: Sequence[str]
    base: str | Path | None
    overrides: Mapping[str, Any] | None


@dataclass(frozen=True)
class Options:
    """What is said beside the pipeline.

    Attributes:
        name: Name of the run instead of the pipeline's.
        envs: Variables for every stage.
        secrets: Secrets for every stage.
        no_cache: Run every stage, even if its outputs are known.
        force: Stages to run even if their outputs are known.
        accept: Stages whose outputs of the newest earlier run serve, whatever changed since.
        base: Where relative paths of a Python object begin; default the current directory. Paths
            in a file are relative to the file.
        overrides: Path of a field to its value, as ``--set`` has them: ``{"train.num_nodes": 2}``.
        given: What a command line says, in the stead of names, variables, secrets and overrides.
    """

    name: str | None = None
    envs: Mapping[str, str] | None = None
    secrets: Mapping[str, str] | None = field(default=None, repr=False)
    no_cache: bool = False
    force: Sequence[str] = ()
    accept: Sequence[str] = ()
    base: str | Path | None = None
    overrides: Mapping[str, Any] | None = None
    given: Overrides | None = None

    def beside(self) -> Overrides:
        """What changes the pipeline.

        Raises:
            UsageError: the path of an override cannot be read.
        """
        if self.given is not None:
            return self.given
        settings = of_map(self.overrides or {})
        return Overrides(self.envs or {}, self.secrets or {}, self.name, settings=settings)


@dataclass(frozen=True)
class Prepared:
    """A pipeline that was accepted, with the folder its paths are relative to.

    Attributes:
        pipeline: May hold values of secrets.
        base: Folder in which relative local paths begin.
        file: Name of its file; empty for a Python object.
        text: Text of its file.
        warnings: What is odd but not wrong.
    """

    pipeline: PipelineSpec = field(repr=False)
    base: Path
    file: str = ""
    text: str = ""
    warnings: Sequence[Problem] = ()
    loaded: Loaded | None = field(default=None, repr=False)


def prepare(source: Source, options: Options | None = None) -> Prepared:
    """Read and check a pipeline, without a server.

    Raises:
        SpecErrors: it is refused; holds every problem.
    """
    options = options or Options()
    given = options.beside()
    if isinstance(source, str | Path):
        return _of_file(load(source, given))
    base = Path(options.base or ".").resolve()
    if isinstance(source, StageSpec):
        source = _alone(source)
    pipeline = source.pipeline() if isinstance(source, Dag) else source
    accepted, warnings = _accept(pipeline, given, base)
    return Prepared(accepted, base, text=given.note(), warnings=warnings)


def load(path: str | Path, given: Overrides) -> Loaded:
    """Read a file and refuse what this release does not act upon.

    Raises:
        SpecErrors: it is refused; holds every problem, with its place in the file.
    """
    place = Path(path)
    if place.suffix == ".py" and place.is_file():
        return _load_python(place, given)
    loaded = load_file(path, given)
    problems = file_refusals(loaded)
    if problems:
        raise refused(problems)
    return loaded


def _load_python(path: Path, given: Overrides) -> Loaded:
    from stix.client.python_file import read_python

    try:
        pipeline, warnings = _accept(read_python(path), given, path.resolve().parent)
    except SpecErrors as refusal:
        raise refused([replace(p, file=p.file or str(path)) for p in refusal.problems]) from None
    text = noted(path.read_text(encoding="utf-8"), given)
    return Loaded(pipeline, str(path), text, warnings)


def _accept(
    pipeline: PipelineSpec, given: Overrides, base: Path
) -> tuple[PipelineSpec, list[Problem]]:
    """What the loader does for a file, for an object: the pipeline to run, and warnings."""
    changed, sources = changed_by(pipeline, given.settings)
    accepted = override(changed, given.settled(secret_names(changed)))
    accepted.stages = {name: stage.substituted() for name, stage in accepted.stages.items()}
    problems = [
        *missing_values(accepted, secrets=given.complete),
        *check(accepted, base),
        *pipeline_refusals(accepted),
    ]
    located = [sources.locate(problem, "") for problem in problems]
    errors = [problem for problem in located if problem.severity == "error"]
    if errors:
        raise refused(errors)
    return accepted, located


def _of_file(loaded: Loaded) -> Prepared:
    base = Path(loaded.file).resolve().parent
    return Prepared(loaded.pipeline, base, loaded.file, loaded.text, loaded.warnings, loaded)


def _alone(stage: StageSpec) -> Dag:
    dag = Dag()
    dag.add(stage)
    return dag


def secret_values(prepared: Prepared, options: Options) -> list[str]:
    """Values of all secrets of a pipeline."""
    return list(split_secrets(prepared.pipeline, options.secrets)[1].values())


def submit(client: Client, prepared: Prepared, options: Options | None = None) -> Json:
    """Upload what is local and create the run; ``{"id", "name"}``.

    Raises:
        PackError: a workdir holds something that cannot be sent.
        GitError: the repository of a workdir cannot be fetched.
        UsageError: ``force`` or ``accept`` names a stage that is not there.
    """
    options = options or Options()
    pipeline, secrets = split_secrets(prepared.pipeline, options.secrets)
    for word, names in (("force", options.force), ("accept", options.accept)):
        for name in names:
            if name not in pipeline.stages:
                known = ", ".join(pipeline.stages)
                raise UsageError(f"there is no stage {name!r} to {word}", fix=f"stages: {known}")
    uploads, code = {}, {}
    stages = pipeline.resolved().stages.values()
    for source in packed(stages, prepared.base, secrets, os.environ):
        uploads[source.key] = _send(client, source.content)
        if source.facts:
            code[source.key] = source.facts
    body = {
        "spec": to_wire(pipeline),
        "source": {
            "file": prepared.file,
            "text": prepared.text,
            **({"code": code} if code else {}),
        },
        "uploads": uploads,
        "secrets": secrets,
        "options": {
            "no_cache": options.no_cache,
            "force": list(options.force),
            "accept": list(options.accept),
        },
    }
    with placed(prepared.loaded):
        return client.create_run(body)


@contextmanager
def placed(loaded: Loaded | None) -> Iterator[None]:
    """Give the problems that the server finds in a pipeline their places in its file."""
    from stix.client.http import ApiError

    try:
        yield
    except ApiError as error:
        if not error.refused:
            raise
        problems = [Problem(**{**p, "parts": tuple(p.get("parts", ()))}) for p in error.refused]
        raise SpecErrors([loaded.locate(p) if loaded else p for p in problems]) from None


def upload(client: Client, place: Path) -> str:
    """Send a folder or file; gives its digest."""
    with spool(str(place)) as content:
        pack(place, content)
        content.seek(0)
        return _send(client, content)


def _send(client: Client, content: IO[bytes]) -> str:
    return str(client.put_tree(_chunks(content))["digest"])


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    from stix.client.http import CHUNK

    while data := file.read(CHUNK):
        yield data
