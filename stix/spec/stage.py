"""One stage of a pipeline: SkyPilot's task, plus its edges."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stix.spec import forms, values
from stix.spec.base import Accepts, Also, Spec, bad
from stix.spec.buckets import is_written
from stix.spec.caching import CacheSpec
from stix.spec.checkpoint import CheckpointSpec
from stix.spec.edges import InputSpec, OutputSpec
from stix.spec.envs import (
    Envs,
    Managed,
    Secrets,
    managed,
    secret_map,
    split_secret_references,
    variables,
)
from stix.spec.estimate import EstimateSpec
from stix.spec.exact import Map, Number
from stix.spec.python.task_api import TaskApi
from stix.spec.recovery import RecoveryPolicy
from stix.spec.resources import Resources
from stix.spec.service import PoolSpec, ServiceSpec, apart
from stix.spec.storage import StorageMount
from stix.spec.taskconfig import TaskConfig, once
from stix.spec.variables import FIELDS, Variables, asks, distinct, exact, substituted
from stix.spec.volumes import ResolvedVolume, VolumeMount
from stix.spec.words.docker import LOGIN
from stix.spec.workdir import Workdir

Duration = Annotated[
    float, BeforeValidator(values.positive_duration), Accepts(forms.POSITIVE_DURATION)
]
Count = Annotated[int, Field(strict=True, ge=1)]
MAX_KEY_PART = 100
USER_TEXT = "_user_specified_yaml"
SIZES = Map(Number(unit="GB"), example="{URL: 10}")


class StageSpec(TaskApi, Spec):
    """One stage (``stix.Task``): what to run, on what, with which data, and after what.

    Durations are seconds once parsed.

    Attributes:
        name: Name of the task; below ``stages`` it is the key.
        workdir: A local folder, relative to the file, that is copied to each node and becomes the
            working directory of the commands; or a repository of git.
        num_nodes: Nodes that run the command together; all stop when one fails.
        resources: What each of its nodes must have.
        file_mounts: Path on the node to what lies there: a local path, a URL, or a bucket.
        setup: Commands before ``run``, once per attempt and node, by bash.
        run: The commands, by bash, in the working directory.
        envs: Variables of ``setup`` and ``run``. One without a value needs ``--env NAME=VALUE``.
        secrets: Variables with values that are never stored or shown: names, whose values come
            with ``--secret NAME``, or a map of names to values.
        needs: Stages that must end well before this one begins.
        inputs: Name to the artifact of another stage, as ``stage.output``.
        outputs: Name to the file or folder, relative to the working directory, that is kept.
        matrix: The stage runs once per combination of these values, given as ``{key: [value]}``.
        max_parallel: Points of the matrix at a time.
        allowed_failures: Points of the matrix that may fail: a number, or a share such as ``20%``.
        when: An expression over earlier stages; where it is false the stage is skipped.
        recovery: What to do when something goes wrong, by kind of event.
        cache: Whether outputs of an earlier run may serve; default: true if it declares outputs
            and mounts nothing that it may write to.
            ``{resources: true}``: only those of the same resources.
        timeout: Time for one attempt, in seconds or such as ``30m``.
        checkpoint: A directory that is kept while the stage runs, for its next attempt.
        estimate: What is expected of one run: its time, the sizes of its data; for the plan.
        volumes: Path on the node to a volume.
        managed_secrets: Secrets that lie in SkyPilot's server, by reference.
        service: Replicas of the command behind a load balancer.
        pool: Workers that take jobs.
        config: What the task changes in the configuration of clouds, and its lifecycle hooks.
        event_callback: Commands for each change of the status of a job, by bash.
        api_server_access: Whether the commands get access to the server.

    Raises:
        pydantic.ValidationError: a field is unknown or has no valid value.
    """

    rules: ClassVar[tuple[dict[str, Any], ...]] = (
        forms.together(LOGIN.values()),
        forms.not_both("service", "pool"),
    )
    internal: ClassVar[frozenset[str]] = frozenset(
        {
            *("egress_inputs", "egress_outputs", "volume_mounts", "file_mounts_mapping"),
            "secret_references",
            *("_metadata", "_user_specified_yaml"),
        }
    )

    name: Annotated[str | None, Accepts(forms.NAME)] = None
    workdir: Workdir | None = None
    num_nodes: Count = 1
    resources: Resources = Field(default_factory=Resources)
    file_mounts: dict[str, StorageMount] = Field(
        default_factory=dict, json_schema_extra=forms.PATHS
    )
    setup: str | None = None
    run: str | None = None
    envs: Annotated[Envs, Accepts(forms.ENVS)] = Field(default_factory=dict)
    secrets: Annotated[Secrets, Accepts(forms.SECRETS)] = Field(default_factory=dict)
    needs: Annotated[list[str], Accepts(forms.TEXTS)] = Field(default_factory=list)
    inputs: Annotated[dict[str, InputSpec], Also(forms.SIZES)] = Field(default_factory=dict)
    outputs: Annotated[dict[str, OutputSpec], Also(forms.SIZES)] = Field(default_factory=dict)
    matrix: Annotated[dict[str, list[values.Scalar]], Accepts(forms.MATRIX)] = Field(
        default_factory=dict
    )
    max_parallel: Count | None = None
    allowed_failures: Annotated[int | str, Accepts(forms.SHARE)] = 0
    when: str | None = None
    recovery: RecoveryPolicy | None = None
    cache: CacheSpec | None = None
    timeout: Duration | None = None
    estimate: EstimateSpec | None = None
    checkpoint: CheckpointSpec | None = None
    # Parsed so that SkyPilot's files load; stix.spec.support says which of them act.
    volumes: dict[str, VolumeMount] = Field(default_factory=dict)
    volume_mounts: list[ResolvedVolume] | None = None
    managed_secrets: Managed = Field(default_factory=list)
    secret_references: list[str] = Field(default_factory=list)
    service: ServiceSpec | None = None
    pool: PoolSpec | None = None
    config: TaskConfig | None = None
    event_callback: str | None = None
    api_server_access: Annotated[bool | None, Field(strict=True)] = None
    file_mounts_mapping: dict[str, Any] | None = None
    sky_metadata: dict[str, Any] | None = Field(default=None, alias="_metadata")
    egress_inputs: Annotated[dict[str, float], SIZES] = Field(default_factory=dict)
    egress_outputs: Annotated[dict[str, float], SIZES] = Field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(self, name: str | None = None, /, **fields: Any) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _other_forms(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return data
        new = substituted(data, info.context)
        data = new if exact(info.context) else distinct(data, new)
        if USER_TEXT in data:
            # SkyPilot's copy of the file, which may hold secrets.
            data = {k: v for k, v in data.items() if k != USER_TEXT}
        return split_secret_references(_sizes(data))

    def substituted(self) -> StageSpec:
        """The same with its own variables in the fields that take them.

        Raises:
            pydantic.ValidationError: a replaced field no longer has a valid value.
        """
        data = {name: getattr(self, name) for name in FIELDS}
        if not asks(data):
            return self
        known = {k: v for k, v in self.envs.items() if v is not None}
        given = {k: v for k, v in data.items() if asks({k: v})}
        new = StageSpec.model_validate(given, context=Variables(beneath=known))
        return self.model_copy(update={name: getattr(new, name) for name in given})

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
    def _envs(cls, value: Any, info: ValidationInfo) -> Any:
        return variables(value, "envs", as_given=exact(info.context))

    @field_validator("secrets", mode="before")
    @classmethod
    def _secrets(cls, value: Any, info: ValidationInfo) -> Any:
        return secret_map(value, as_given=exact(info.context))

    @field_validator("managed_secrets", mode="before")
    @classmethod
    def _managed_secrets(cls, value: Any, info: ValidationInfo) -> Any:
        return managed(value, as_given=exact(info.context))

    @field_validator("pool")
    @classmethod
    def _pool(cls, value: PoolSpec | None, info: ValidationInfo) -> PoolSpec | None:
        return apart(value, info)

    @field_validator("config")
    @classmethod
    def _config(cls, value: TaskConfig | None, info: ValidationInfo) -> TaskConfig | None:
        return once(value, info)

    @field_validator("needs", mode="before")
    @classmethod
    def _needs(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("inputs", "outputs")
    @classmethod
    def _names(cls, value: dict[str, Any], info: Any) -> dict[str, Any]:
        for name in value:
            if not values.OUTPUT_NAME.match(name):
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
        """Whether outputs of an earlier run may serve: never those that are not declared."""
        return not self.uncached

    @property
    def uncached(self) -> str:
        """Why no outputs of an earlier run may serve, in words; empty where they may.

        What a volume or a mount holds is in no key, and what is written there is no output: a
        stage with one says ``cache: true`` itself.
        """
        if self.cache is not None and not self.cache.enabled:
            return "it is never skipped: cache: false"
        if not self.outputs:
            return "it declares no outputs, so that none of an earlier run can serve"
        if self.cache is None and self.written:
            places = ", ".join(self.written)
            return f"it may write to {places}, which is no output of it; cache: true would skip it"
        return ""

    @property
    def written(self) -> list[str]:
        """Paths of buckets and volumes that the commands may write to beside the outputs."""
        mounts = [target for target, mount in self.file_mounts.items() if is_written(mount)]
        return [*mounts, *(target for target, volume in self.volumes.items() if volume.name)]

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
