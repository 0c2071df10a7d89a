"""What the command line changes in a pipeline, and how secrets leave it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import SecretStr

from stix.errors import UsageError
from stix.spec import values
from stix.spec.changes.envfile import read
from stix.spec.changes.settings import Setting, parse_settings
from stix.spec.changes.taskoptions import task_options
from stix.spec.models import PipelineSpec
from stix.spec.problems import Path, Problem, SpecErrors, error
from stix.spec.yaml.text import Document


@dataclass(frozen=True)
class Overrides:
    """Values given beside the file.

    Attributes:
        envs: Variables for every stage.
        secrets: Secrets for every stage; their names count as declared.
        name: Name of the pipeline instead of the file's.
        complete: False for ``stix validate`` and ``stix plan``: values of secrets may be absent.
        settings: Fields of stages and of the pipeline.
        either: From ``--env-file``: secrets where a file declares the name as one, else variables.
    """

    envs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str | None = None
    complete: bool = True
    settings: Sequence[Setting] = ()
    either: Mapping[str, str] = field(default_factory=dict, repr=False)

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

    @classmethod
    def of_command(cls, given: Mapping[str, Any], *, complete: bool = True) -> Overrides:
        """From the options that ``stix run``, ``plan`` and ``validate`` share, by name.

        Of several files the later wins, and a value on the command line wins over all files.

        Raises:
            UsageError: an option cannot be read, or two exclude one another.
            GivenErrors: a file of variables is refused.
        """
        envs, secrets = _pairs("--env", given["env"]), _pairs("--secret", given["secret"])
        either = _files("--env-file", given["env_file"])
        hidden = _files("--secret-file", given["secret_file"])
        settings = [*parse_settings(given["set"]), *task_options(given)]
        secrets = {**hidden, **secrets}
        for key in envs.keys() & secrets.keys():
            said = f"{key} is given as a variable and as a secret"
            raise UsageError(said, fix="keep one of the two")
        _distinct(settings, {**either, **envs}, secrets, given["name"])
        return cls(envs, secrets, given["name"], complete, settings, either)

    def settled(self, declared: Collection[str]) -> Overrides:
        """The same with each value of ``either`` as a variable or a secret.

        Args:
            declared: Names of secrets of the pipeline.
        """
        if not self.either:
            return self
        hidden = {*declared, *self.secrets}
        envs = {k: v for k, v in self.either.items() if k not in hidden}
        secrets = {k: v for k, v in self.either.items() if k in hidden}
        return replace(
            self, envs={**envs, **self.envs}, secrets={**secrets, **self.secrets}, either={}
        )

    def note(self) -> str:
        """Comment lines that tell what was given, without values of variables and secrets."""
        said = [f"--name {self.name!r}"] if self.name is not None else []
        said += [setting.said for setting in self.settings]
        said += [f"--env {name}" for name in {**self.either, **self.envs}]
        said += [f"--secret {name}" for name in self.secrets]
        lines = "".join(f"#   {one}\n" for one in dict.fromkeys(said))
        return f"# Given on submission:\n{lines}" if lines else ""


def noted(text: str, given: Overrides) -> str:
    """The text of a file with the note behind it, where it moves no line."""
    note = given.note()
    return text + ("" if text.endswith("\n") or not text else "\n") + note if note else text


def secret_names(pipeline: PipelineSpec) -> set[str]:
    """Names of all secrets of a pipeline and its stages."""
    stages = pipeline.resolved().stages.values()
    return {*pipeline.secrets, *(name for stage in stages for name in stage.secrets)}


def declared_secrets(documents: Iterable[Document]) -> set[str]:
    """Names below ``secrets`` anywhere in a file that is not checked yet."""
    found: set[str] = set()
    for document in documents:
        top = document.value if isinstance(document.value, dict) else {}
        stages = top.get("stages")
        inner = list(stages.values()) if isinstance(stages, dict) else []
        for body in (top, top.get("defaults"), *inner):
            own = body.get("secrets") if isinstance(body, dict) else None
            names = own if isinstance(own, list | dict) else ()
            found |= {name.rpartition(".")[2].rpartition(":")[2] for name in map(str, names)}
    return found


def _files(option: str, paths: Iterable[str]) -> dict[str, str]:
    return {name: value for path in paths for name, value in read(option, path).items()}


def _distinct(
    settings: Iterable[Setting],
    envs: Collection[str],
    secrets: Collection[str],
    name: str | None,
) -> None:
    """Refuse a field that is given with ``--set`` and with an option of its own."""
    for setting in settings:
        path = setting.path
        other = "--name" if path == ("name",) and name is not None else ""
        for word, known in (("envs", envs), ("secrets", secrets)):
            whole = path[-1] == word and known
            if whole or (len(path) > 1 and path[-2] == word and path[-1] in known):
                other = f"--{word.removesuffix('s')} {'NAME' if whole else path[-1]}"
        if other:
            said = f"{setting.label}: {other} sets the same field"
            raise UsageError(said, fix="keep one of the two")


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
    for at, envs, hidden in _holders(pipeline):
        for name, value in envs.items():
            if value is None:
                fix = f'give it with --env {name}=VALUE, or write {name}: "" for an empty one'
                found.append(error((*at, "envs", name), f"the variable {name} has no value", fix))
        for name, secret in hidden.items():
            if secrets and secret is None:
                fix = f"pass --secret {name} (from the environment) or --secret {name}=VALUE"
                message = f"the secret {name} has no value"
                found.append(error((*at, "secrets", name), message, fix))
    return found


_Envs = Mapping[str, str | None]
_Secrets = Mapping[str, SecretStr | None]


def _holders(pipeline: PipelineSpec) -> Iterator[tuple[Path, _Envs, _Secrets]]:
    """The pipeline, then each stage with only what the pipeline does not declare itself."""
    yield (), pipeline.envs, pipeline.secrets
    for name, stage in pipeline.resolved().stages.items():
        envs = {k: v for k, v in stage.envs.items() if k not in pipeline.envs or v is not None}
        secrets = {k: v for k, v in stage.secrets.items() if k not in pipeline.secrets}
        yield ("stages", name), envs, secrets


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
