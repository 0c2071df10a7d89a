"""Text of SkyPilot's tasks to their canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from stix.spec import chain
from stix.spec.checks import paths
from stix.spec.checks.removed import mapped
from stix.spec.groups import check_group
from stix.spec.messages import explain
from stix.spec.problems import MOST, Path, Problem, SpecErrors, error
from stix.spec.redact import redacted, values_of
from stix.spec.sky.storage import own_modes
from stix.spec.sky.task import task
from stix.spec.sources import Sources, read_documents
from stix.spec.stage import StageSpec
from stix.spec.variables import Variables
from stix.spec.words import docker
from stix.spec.yaml.text import misplaced_dates

NAME = "<string>"


def canonical(
    text: str, env: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The canonical form of each task of a file: what SkyPilot sends from client to server.

    It is JSON-safe and holds the values of inline secrets, as SkyPilot's does. It is stable: the
    form of a form is the form itself.

    Args:
        text: One YAML document, a chain of them, or a job group.
        env: Values of variables; they win over those of the file (``--env``).
        secrets: Values of secrets, likewise (``--secret``).

    Raises:
        SpecErrors: the text is refused; holds every problem with line and column.
    """
    documents = read_documents(text, NAME)
    sources = Sources(documents)
    problems: list[Problem] = []
    if not documents:
        problems = [error((), "the file is empty", "write at least run: COMMAND")]
    for number, problem in chain.not_maps(documents):
        sources.stages[str(problem.parts[1])] = (number, ())
        problems.append(problem)
    stages: list[StageSpec] = []
    if not problems:
        found = chain.split(documents)
        keys = [f"\0{number}" for number, _ in found.tasks]
        sources.stages |= {k: (n, ()) for k, (n, _) in zip(keys, found.tasks, strict=True)}
        tasks = [(k, d.value) for k, (_, d) in zip(keys, found.tasks, strict=True)]
        problems += found.problems
        group = check_group(found.header, tasks) if found.parallel else []
        problems += [p for p in group if p.severity == "error"]
        context = Variables(above=env or {}, hidden=secrets or {}, secrets=True)
        for key, value in tasks:
            stages += _stage(value, ("stages", key), context, problems)
    wrong = [sources.locate(p, NAME) for p in problems] or misplaced_dates(documents)
    if wrong:
        raise SpecErrors(wrong)
    return [task(stage) for stage in stages]


def _stage(value: Any, at: Path, context: Variables, problems: list[Problem]) -> list[StageSpec]:
    """The stage with its overrides; what is wrong with it goes to ``problems``."""
    if len(problems) > MOST:
        return []
    value, _ = mapped(value, at)
    whole = context.overridden(value)
    stage, found = _read(whole, value, at, context)
    problems += redacted(found, values_of(whole)) if found else ()
    return [stage] if stage is not None else []


def _read(
    whole: dict[str, Any], raw: Any, at: Path, context: Variables
) -> tuple[StageSpec | None, list[Problem]]:
    try:
        stage = StageSpec.model_validate(whole, context=context)
    except ValidationError as refusal:
        return None, explain(refusal, raw, StageSpec, at)
    problems = [*paths.at_parse(at, stage), *docker.login_problems(stage, at)]
    problems += own_modes(at, stage)
    for name, given in stage.envs.items():
        if given is None:
            fix = f'give it with --env {name}=VALUE, or write {name}: "" for an empty one'
            problems.append(error((*at, "envs", name), f"the variable {name} has no value", fix))
    return stage, problems
