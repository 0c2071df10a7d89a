"""The pipeline, and the models it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from stix.spec import forms, values
from stix.spec.base import Accepts, bad
from stix.spec.edges import InputSpec, OutputSpec
from stix.spec.envs import Envs, Secrets, secret_map, variables
from stix.spec.exact import Flag
from stix.spec.groups import Delay, Names
from stix.spec.merge import beneath
from stix.spec.python.objects import Made
from stix.spec.recovery import JobRecovery, Next, RecoveryPolicy, Rule
from stix.spec.resources import Resources
from stix.spec.stage import (
    Count,
    Duration,
    StageSpec,
)
from stix.spec.storage import StorageMount
from stix.spec.workdir import GitSource

__all__ = [
    "GitSource",
    "InputSpec",
    "JobRecovery",
    "Next",
    "OutputSpec",
    "PipelineSpec",
    "RecoveryPolicy",
    "Resources",
    "Rule",
    "StageSpec",
    "StorageMount",
]


class PipelineSpec(Made):
    """A DAG of stages (``stix.Pipeline``).

    Attributes:
        name: Name of the pipeline; a file without one takes the name of the file.
        envs: Variables for every stage, beneath its own.
        secrets: Secrets for every stage: names, whose values come with ``--secret NAME``, or a
            map of names to values.
        defaults: A partial stage, merged beneath every stage.
        stages: Name to stage, in the order of the file. A stage's ``name`` is its key.
        deadline: Seconds for the whole run.
        max_parallel: Stage runs at a time, over the whole pipeline.
        execution: SkyPilot's header: ``serial`` for a chain, ``parallel`` for a job group.
        primary_tasks: Tasks of a job group whose end ends the others.
        termination_delay: Time that the others get then: seconds, such as ``30s``, or a map of
            tasks to times, with ``default`` for those it does not name.
        inter_connection: Whether the tasks of a job group reach each other by name.
    """

    name: Annotated[str, Accepts(forms.NAME)] = "pipeline"
    envs: Annotated[Envs, Accepts(forms.ENVS)] = Field(default_factory=dict)
    secrets: Annotated[Secrets, Accepts(forms.SECRETS)] = Field(default_factory=dict)
    defaults: StageSpec | None = None
    stages: dict[str, StageSpec] = Field(
        default_factory=dict, json_schema_extra={"minProperties": 1, **forms.STAGE_NAMES}
    )
    deadline: Duration | None = None
    max_parallel: Count | None = None
    execution: Annotated[str | None, Accepts({"enum": ["serial", "parallel"]})] = None
    primary_tasks: Annotated[list[str], Names()] = Field(default_factory=list)
    termination_delay: Annotated[int | dict[str, int] | None, Delay()] = None
    inter_connection: Annotated[bool | None, Flag()] = None

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not values.TASK_NAME.match(value):
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

    @field_validator("deadline", mode="before")
    @classmethod
    def _deadline(cls, value: Any) -> Any:
        return None if value is None else values.positive_duration(value)

    @field_validator("execution")
    @classmethod
    def _execution(cls, value: str | None) -> str | None:
        if value not in (None, "serial", "parallel"):
            raise bad(f"execution cannot be {value!r}", "write execution: serial, or leave it out")
        return value

    @model_validator(mode="after")
    def _name_stages(self) -> PipelineSpec:
        for key, stage in self.stages.items():
            _fit(key, stage)
        return self

    def add(self, name: str, task: StageSpec) -> StageSpec:
        """Add a stage under a name and return it.

        Raises:
            ValueError: the name is taken, invalid, or not the task's own.
        """
        if name in self.stages:
            raise ValueError(f"the pipeline has a stage {name!r} already")
        try:
            _fit(name, task)
        except PydanticCustomError as refusal:
            raise ValueError(refusal.message()) from None
        self.stages[name] = task
        return task

    def resolved(self) -> PipelineSpec:
        """The same with defaults, envs and secrets merged into each stage. Idempotent."""
        stages = {}
        for name, own in self.stages.items():
            stage = beneath(self.defaults, own).model_copy()
            stage.name = name
            stage.envs = {**self.envs, **stage.envs}
            secrets = {**self.secrets, **stage.secrets}
            # A stage that names a secret without a value takes the pipeline's value.
            stage.secrets = {
                k: v if v is not None else self.secrets.get(k) for k, v in secrets.items()
            }
            stages[name] = stage
        return self.model_copy(update={"stages": stages, "defaults": None})


def _fit(key: str, stage: StageSpec) -> None:
    if not values.STAGE_NAME.match(key):
        fix = "use at most 100 letters, digits, '-' and '_', starting with a letter or digit"
        raise bad(f"{key!r} is not a valid name of a stage", fix, key)
    if stage.name is not None and stage.name != key:
        raise bad(
            f"the stage {key!r} calls itself {stage.name!r}",
            f"remove name, or write name: {key}",
            key,
        )
    stage.name = key
