"""One stage of a pipeline: SkyPilot's task, plus its edges."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stix.spec import values
from stix.spec.base import Spec, bad
from stix.spec.edges import InputSpec, OutputSpec
from stix.spec.recovery import RecoveryPolicy
from stix.spec.resources import Resources
from stix.spec.service import PoolSpec, ServiceSpec, pool_of_service
from stix.spec.storage import StorageMount
from stix.spec.taskconfig import TaskConfig
from stix.spec.variables import (
    ManagedSecret,
    Variables,
    asks,
    secret_map,
    split_secret_references,
    substituted,
    variables,
)
from stix.spec.volumes import VolumeMount
from stix.spec.workdir import GitSource

Duration = Annotated[float, BeforeValidator(values.positive_duration)]
Count = Annotated[int, Field(strict=True, ge=1)]
MAX_KEY_PART = 100


class StageSpec(Spec):
    """One stage (``stix.Task``): what to run, on what, with which data, and after what.

    Durations are seconds once parsed. ``cache=None`` means: true if it declares outputs.
    ``matrix`` runs the stage once per combination of values; ``max_parallel`` of these at a time;
    ``allowed_failures`` of them (a number, or text such as ``"20%"``) may fail.

    Raises:
        pydantic.ValidationError: a field is unknown or has no valid value.
    """

    internal: ClassVar[frozenset[str]] = frozenset(
        {"egress_inputs", "egress_outputs", "volume_mounts", "file_mounts_mapping"}
    )

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
    volumes: dict[str, VolumeMount] = Field(default_factory=dict)
    volume_mounts: list[dict[str, Any]] = Field(default_factory=list)
    managed_secrets: list[ManagedSecret] = Field(default_factory=list)
    service: ServiceSpec | None = None
    pool: PoolSpec | None = None
    config: TaskConfig | None = None
    event_callback: str | None = None
    api_server_access: bool | None = None
    file_mounts_mapping: dict[str, Any] | None = None
    egress_inputs: dict[str, float] = Field(default_factory=dict)
    egress_outputs: dict[str, float] = Field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _other_forms(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return data
        data = substituted(data, info.context)
        return split_secret_references(pool_of_service(_sizes(data)))

    def substituted(self) -> StageSpec:
        """The same with its own variables in the fields that take them.

        Raises:
            pydantic.ValidationError: a replaced field no longer has a valid value.
        """
        data = self.model_dump(exclude_unset=True)
        if not asks(data):
            return self
        return StageSpec.model_validate(data, context=Variables())

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
        return variables(value, "envs")

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


def _sizes(data: dict[str, Any]) -> dict[str, Any]:
    """``inputs: {uri: GB}`` is SkyPilot's size for its egress model, not one of our edges."""
    out = dict(data)
    for key in ("inputs", "outputs"):
        given = out.get(key)
        if isinstance(given, dict) and len(given) == 1:
            size = next(iter(given.values()))
            if isinstance(size, int | float) and not isinstance(size, bool):
                out[f"egress_{key}"] = out.pop(key)
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
