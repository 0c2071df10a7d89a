"""What the command line changes in a pipeline, and how secrets leave it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from stix.errors import UsageError
from stix.spec import values
from stix.spec.models import PipelineSpec
from stix.spec.problems import Path, Problem, SpecErrors, error


@dataclass(frozen=True)
class Overrides:
    """Values given beside the file.

    Attributes:
        envs: Variables for every stage.
        secrets: Secrets for every stage; their names count as declared.
        name: Name of the pipeline instead of the file's.
        complete: False for ``stix validate`` and ``stix plan``: values of secrets may be absent.
    """

    envs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str | None = None
    complete: bool = True

    @classmethod
    def parse(
        cls,
        env: Iterable[str] = (),
        secret: Iterable[str] = (),
        name: str | None = None,
        *,
        complete: bool = True,
    ) -> Overrides:
        """From ``--env K=V``, ``--env K``, ``--secret K[=V]`` and ``--name``.

        Without ``=`` the value comes from the environment of this process.

        Raises:
            UsageError: a name is no name, or the environment does not hold it.
        """
        return cls(_pairs("--env", env), _pairs("--secret", secret), name, complete)


def _pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    out = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not values.ENV_NAME.match(name):
            # The entry may hold a secret: show nothing behind the name.
            shown = name if len(name) < 40 and name.isprintable() else "..."
            raise UsageError(f"{option} {shown}: not a name", fix=f"write {option} NAME=value")
        if not equals and name not in os.environ:
            fix = f"set {name} in the environment, or write {option} {name}=value"
            raise UsageError(f"{option} {name}: the environment has no such variable", fix=fix)
        out[name] = value if equals else os.environ[name]
    return out


def override(pipeline: PipelineSpec, given: Overrides) -> PipelineSpec:
    """A resolved copy of the pipeline with the overrides applied to every stage."""
    out = pipeline.resolved()
    hidden = {name: SecretStr(value) for name, value in given.secrets.items()}
    out.envs = {**out.envs, **given.envs}
    out.secrets = {**out.secrets, **hidden}
    for stage in out.stages.values():
        stage.envs = {**stage.envs, **given.envs}
        stage.secrets = {**stage.secrets, **hidden}
    if given.name is not None:
        if not values.TASK_NAME.match(given.name):
            fix = "use letters, digits, '-', '_' and '.'"
            raise UsageError(f"--name {given.name!r}: not a valid name", fix=fix)
        out.name = given.name
    return out


def missing_values(pipeline: PipelineSpec, *, secrets: bool = True) -> list[Problem]:
    """Variables, and secrets if asked, that are declared and have no value."""
    found = []
    for at, holder in _holders(pipeline):
        for name, value in holder.envs.items():
            if value is None:
                fix = f'give it with --env {name}=VALUE, or write {name}: "" for an empty one'
                found.append(error((*at, "envs", name), f"the variable {name} has no value", fix))
        for name, secret in holder.secrets.items():
            if secrets and secret is None:
                fix = f"pass --secret {name} (from the environment) or --secret {name}=VALUE"
                message = f"the secret {name} has no value"
                found.append(error((*at, "secrets", name), message, fix))
    return found


def _holders(pipeline: PipelineSpec) -> list[tuple[Path, PipelineSpec]]:
    """The pipeline, then each stage with only what the pipeline does not declare itself."""
    out: list[tuple[Path, PipelineSpec]] = [((), pipeline)]
    for name, stage in pipeline.resolved().stages.items():
        own = PipelineSpec(
            envs={k: v for k, v in stage.envs.items() if k not in pipeline.envs or v is not None},
            secrets={k: v for k, v in stage.secrets.items() if k not in pipeline.secrets},
        )
        out.append((("stages", name), own))
    return out


def split_secrets(
    pipeline: PipelineSpec, given: Mapping[str, str] | None = None
) -> tuple[PipelineSpec, dict[str, str]]:
    """A resolved pipeline without secret values, and the values by name.

    Args:
        pipeline: Its stages keep the names of their secrets.
        given: Values from outside; they win over those in the pipeline.

    Raises:
        SpecErrors: a declared secret has no value, or two stages give one name two values.
    """
    out = override(pipeline, Overrides(secrets=given or {}))
    found: dict[str, str] = {}
    problems = missing_values(out)
    for name, stage in out.stages.items():
        for key, value in stage.secrets.items():
            if value is None:
                continue
            plain = value.get_secret_value()
            if found.setdefault(key, plain) != plain:
                fix = "give one of them another name, or pass one value with --secret"
                message = f"the secret {key} has two values in this pipeline"
                problems.append(error(("stages", name, "secrets", key), message, fix))
        stage.secrets = dict.fromkeys(stage.secrets)
    if problems:
        raise SpecErrors(problems)
    out.secrets = dict.fromkeys(out.secrets)
    return out, found
