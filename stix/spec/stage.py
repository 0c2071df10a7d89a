"""One stage of a pipeline: SkyPilot's task, plus its edges."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from stix.spec import values
from stix.spec.base import Spec, bad
from stix.spec.recovery import RecoveryPolicy
from stix.spec.resources import Resources
from stix.spec.storage import StorageMount

Duration = Annotated[float, BeforeValidator(values.positive_duration)]
Count = Annotated[int, Field(strict=True, ge=1)]
MAX_KEY_PART = 100


class InputSpec(Spec):
    """An artifact of another stage.

    Attributes:
        origin: ``stage.output``; the key in a file is ``from``.
        path: Where it lies, relative to the working directory; None for ``inputs/<name>``.
    """

    model_config = ConfigDict(populate_by_name=True)

    origin: str = Field(alias="from")
    path: str | None = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"from": data} if isinstance(data, str) else data

    @field_validator("origin")
    @classmethod
    def _origin(cls, value: str) -> str:
        stage, dot, output = value.partition(".")
        if not dot or not values.STAGE_NAME.match(stage) or not values.STAGE_NAME.match(output):
            raise bad(
                f"{value!r} does not name an output", "write stage.output, such as prepare.data"
            )
        return value

    @field_validator("path")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        return None if value is None else values.relative_path(value, "an input")

    @property
    def stage(self) -> str:
        return self.origin.partition(".")[0]

    @property
    def output(self) -> str:
        return self.origin.partition(".")[2]


class OutputSpec(Spec):
    """A named artifact: a file or folder, relative to the working directory."""

    path: str

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"path": data} if isinstance(data, str) else data

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return values.relative_path(value, "an output")


class GitSource(Spec):
    """A working directory from git."""

    url: str
    ref: str | None = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...


class StageSpec(Spec):
    """One stage (``stix.Task``): what to run, on what, with which data, and after what.

    Durations are seconds once parsed. ``cache=None`` means: true if it declares outputs.
    ``matrix`` runs the stage once per combination of values; ``max_parallel`` of these at a time;
    ``allowed_failures`` of them (a number, or text such as ``"20%"``) may fail.

    Raises:
        pydantic.ValidationError: a field is unknown or has no valid value.
    """

    also: ClassVar[tuple[str, ...]] = ()

    name: str | None = None
    workdir: str | GitSource | None = None
    num_nodes: Count = 1
    resources: Resources = Field(default_factory=Resources)
    file_mounts: dict[str, StorageMount] = Field(default_factory=dict)
    setup: str | None = None
    run: str | None = None
    envs: dict[str, str | None] = Field(default_factory=dict)
    secrets: dict[str, SecretStr | None] = Field(default_factory=dict)
    needs: list[str] = Field(default_factory=list)
    inputs: dict[str, InputSpec] = Field(default_factory=dict)
    outputs: dict[str, OutputSpec] = Field(default_factory=dict)
    matrix: dict[str, list[values.Scalar]] = Field(default_factory=dict)
    max_parallel: Count | None = None
    allowed_failures: int | str = 0
    when: str | None = None
    recovery: RecoveryPolicy | None = None
    cache: Annotated[bool | None, Field(strict=True)] = None
    timeout: Duration | None = None
    # Parsed so that SkyPilot's files load; stix.spec.support says which of them act.
    volumes: dict[str, Any] = Field(default_factory=dict)
    volume_mounts: list[Any] = Field(default_factory=list)
    managed_secrets: Any = None
    service: dict[str, Any] | None = None
    pool: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    event_callback: str | None = None
    api_server_access: bool | None = None
    file_mounts_mapping: dict[str, Any] | None = None
    egress_inputs: dict[str, float] = Field(default_factory=dict)
    egress_outputs: dict[str, float] = Field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _skypilot_sizes(cls, data: Any) -> Any:
        """``inputs: {uri: GB}`` is SkyPilot's size for its egress model, not one of our edges."""
        if not isinstance(data, dict):
            return data
        out = dict(data)
        for key in ("inputs", "outputs"):
            given = out.get(key)
            if isinstance(given, dict) and len(given) == 1:
                size = next(iter(given.values()))
                if isinstance(size, int | float) and not isinstance(size, bool):
                    out[f"egress_{key}"] = out.pop(key)
        return out

    @field_validator("name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and not values.TASK_NAME.match(value):
            fix = (
                "use letters, digits, '-', '_' and '.', starting and ending with a letter or digit"
            )
            raise bad(f"{value!r} is not a valid name", fix)
        return value

    @field_validator("envs", mode="before")
    @classmethod
    def _envs(cls, value: Any) -> Any:
        return _variables(value, "envs")

    @field_validator("secrets", mode="before")
    @classmethod
    def _secrets(cls, value: Any) -> Any:
        return secret_map(value)

    @field_validator("needs", mode="before")
    @classmethod
    def _needs(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("inputs", "outputs")
    @classmethod
    def _names(cls, value: dict[str, Any], info: Any) -> dict[str, Any]:
        for name in value:
            if not values.STAGE_NAME.match(name):
                fix = "use letters, digits, '-' and '_', starting with a letter or digit"
                raise bad(f"{name!r} is not a valid name of an {info.field_name[:-1]}", fix, name)
        return value

    @field_validator("matrix", mode="before")
    @classmethod
    def _matrix(cls, value: Any) -> Any:
        return _matrix(value)

    @field_validator("allowed_failures", mode="before")
    @classmethod
    def _allowed(cls, value: Any) -> Any:
        fix = 'write a whole number from 0, or a share such as "20%"'
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if isinstance(value, str):
            found = re.match(r"(\d+(?:\.\d+)?)%\Z", value.strip())
            if found and float(found.group(1)) <= 100:
                return values.number(float(found.group(1))) + "%"
        raise bad(f"allowed_failures cannot be {value!r}", fix)

    @field_validator("timeout", mode="before")
    @classmethod
    def _timeout(cls, value: Any) -> Any:
        return None if value is None else values.positive_duration(value)

    def failures_allowed(self, points: int) -> int:
        """How many of ``points`` matrix points may fail."""
        if isinstance(self.allowed_failures, int):
            return self.allowed_failures
        return math.floor(points * float(self.allowed_failures.rstrip("%")) / 100)

    @property
    def cached(self) -> bool:
        """Whether outputs of an earlier run may serve."""
        return bool(self.outputs) if self.cache is None else self.cache

    def upstream(self) -> list[str]:
        """Stages that must end before: ``needs``, then those of ``inputs``; each once."""
        return list(dict.fromkeys([*self.needs, *(i.stage for i in self.inputs.values())]))


def _variables(value: Any, word: str) -> Any:
    if not isinstance(value, dict):
        raise bad(
            f"{word} must be a map, not {values.kind(value)}", f"write {word}: {{NAME: value}}"
        )
    out = {}
    for name, entry in value.items():
        if not isinstance(name, str) or not values.ENV_NAME.match(name):
            fix = "use letters, digits and '_', not starting with a digit"
            raise bad(f"{name!r} is not a name of a variable", fix, str(name))
        out[name] = values.env_text(entry)
    return out


def secret_map(value: Any) -> dict[str, Any]:
    """Names to values (None where the value is given at submission), from a map or a list.

    ``secrets:[scope.]NAME`` is SkyPilot's reference to a stored secret; its name is ``NAME``.
    """
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        value = dict.fromkeys(value)
    if not isinstance(value, dict):
        fix = "write secrets: [NAME, NAME], or a map of names"
        raise bad("secrets must be a list of names or a map", fix)
    out: dict[str, Any] = {}
    for name, entry in value.items():
        if not isinstance(name, str):
            raise bad("the name of a secret must be text", "use letters, digits and '_'")
        reference = name.startswith("secrets:")
        if reference and entry is not None:
            fix = "remove the value, or the prefix secrets:"
            raise bad(f"the reference {name} cannot hold a value", fix, name)
        plain = name.removeprefix("secrets:").rpartition(".")[2] if reference else name
        if not values.ENV_NAME.match(plain):
            fix = "use letters, digits and '_', not starting with a digit"
            # Not shown: people write NAME=value here.
            raise bad("an entry of secrets is not a name", fix)
        out[plain] = entry if isinstance(entry, SecretStr) else values.env_text(entry)
    return out


def _matrix(value: Any) -> Any:
    fix = "write matrix: {key: [value, value]}"
    if not isinstance(value, dict):
        raise bad(f"matrix must be a map, not {values.kind(value)}", fix)
    out = {}
    for key, entries in value.items():
        if not isinstance(key, str) or not values.ENV_NAME.match(key):
            raise bad(f"{key!r} is not a matrix key", "use letters, digits and '_'", str(key))
        if not isinstance(entries, list | tuple):
            raise bad(f"the matrix key {key} needs a list, not {values.kind(entries)}", fix, key)
        if not entries:
            raise bad(f"the matrix key {key} has no values", "give at least one value", key)
        out[key] = [values.scalar(entry) for entry in entries]
        texts = [str(entry) for entry in out[key]]
        if len(set(texts)) != len(texts):
            raise bad(f"the matrix key {key} lists a value twice", "remove one of the two", key)
        if any(len(text) > MAX_KEY_PART or "\n" in text or "\0" in text for text in texts):
            fix = f"use one line of at most {MAX_KEY_PART} characters, such as a name"
            raise bad(f"a value of the matrix key {key} is too long", fix, key)
    return out
