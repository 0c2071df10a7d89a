"""The Python side of ``stix.Task``: SkyPilot's constructor, readers and setters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import ValidationError

from stix.errors import NotYet
from stix.spec import values
from stix.spec.problems import SpecErrors, dotted
from stix.spec.python.objects import (
    Made,
    Refused,
    StorageApi,
    explained,
    given,
    one_of,
    pairs,
    plain,
    refuse,
)

if TYPE_CHECKING:
    from stix.spec.resources import Resources
    from stix.spec.service import ServiceSpec
    from stix.spec.stage import StageSpec
    from stix.spec.storage import StorageMount

R = TypeVar("R")
Pairs = Mapping[str, str] | Iterable[tuple[str, str]] | None

_LOOSE = frozenset({"needs", "envs", "secrets"})
"""Fields that the library sets on copies it has made of checked ones."""
_ABSENT = {
    "docker_image": "write resources=stix.Resources(image_id='docker:IMAGE')",
    "blocked_resources": "name the places that may be used, with resources",
}


class TaskApi(Made):
    """Methods of a task. Setters check at once, change nothing where they refuse, give the task."""

    positional: ClassVar[tuple[str, ...]] = ("name",)

    @classmethod
    def _translated(cls, fields: dict[str, Any]) -> dict[str, Any]:
        for name, fix in _ABSENT.items():
            if fields.pop(name, None) is not None:
                raise refuse(name, f"the argument {name} does not act", fix)
        out = {name.removeprefix("_"): _field(name, value) for name, value in fields.items()}
        storages = out.pop("storage_mounts", None)
        if storages:
            out["file_mounts"] = {**(out.get("file_mounts") or {}), **_storages(storages)}
        return out

    if not TYPE_CHECKING:

        def __init__(self, /, *args, **fields):
            super().__init__(*args, **fields)
            _join(self)

        __init__.__pydantic_base_init__ = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "name" and isinstance(value, str) and not values.TASK_NAME.match(value):
            self._change(name=value)  # refuses it with the fix
        elif name in _LOOSE or name == "name" or name not in type(self).model_fields:
            super().__setattr__(name, value)
        else:
            self._change(**{name: _field(name, value)})

    def _change(self, **changes: Any) -> Self:
        """Take new values of fields, if the task with them is valid; None takes a field away."""
        raw = {name: getattr(self, name) for name in self.model_fields_set} | changes
        raw = {name: value for name, value in raw.items() if value is not None}
        try:
            new = type(self).model_validate(raw)
        except ValidationError as refusal:
            raise explained(refusal, raw, type(self)) from None
        for slot in ("__dict__", "__pydantic_fields_set__", "__pydantic_private__"):
            object.__setattr__(self, slot, getattr(new, slot))
        return self

    # -- files and text -----------------------------------------------------------------------

    @classmethod
    def from_yaml(cls, yaml_path: str | os.PathLike[str]) -> Self:
        """The task of a file with one task. Its paths are relative to where the task is run.

        Raises:
            Refused: it is no such file; holds every problem with line and column.
        """
        from stix.spec.loader import read_file

        path = Path(yaml_path).expanduser()
        try:
            text = read_file(path)
        except SpecErrors as refusal:
            raise Refused(refusal.problems) from None
        return cls._read(text, str(path))

    @classmethod
    def from_yaml_str(cls, yaml_str: str) -> Self:
        """The same from text."""
        return cls._read(yaml_str, "<string>")

    @classmethod
    def _read(cls, text: str, name: str) -> Self:
        from stix.spec.python.task_file import read_task

        task = read_task(text, name)
        assert isinstance(task, cls)
        return _join(task)

    @classmethod
    def from_yaml_config(
        cls,
        config: Mapping[str, Any],
        env_overrides: Pairs = None,
        secrets_overrides: Pairs = None,
    ) -> Self:
        """The task of a map, as a file holds it; the map is not changed.

        Args:
            config: Fields of one task.
            env_overrides: Values of variables that win over those of the map.
            secrets_overrides: Values of secrets, likewise.

        Raises:
            Refused: it is no task; holds every problem.
        """
        from stix.spec.checks.removed import renewed
        from stix.spec.variables import Variables

        if not isinstance(config, Mapping):
            raise refuse(
                "", f"a task must be a map, not {values.kind(config)}", "write {'run': ..}"
            )
        above = pairs(env_overrides, "envs")
        context = Variables(above=above, hidden=pairs(secrets_overrides, "secrets"))
        config = renewed(dict(config))
        try:
            task = cls.model_validate(context.overridden(config), context=context)
        except ValidationError as refusal:
            raise explained(refusal, dict(config), cls) from None
        return _join(task)

    def to_yaml_config(self) -> dict[str, Any]:
        """SkyPilot's canonical form: a map of its own, with the values of secrets.

        Raises:
            Refused: a variable has no value, or makes a field wrong.
        """
        from copy import deepcopy

        from stix.spec.sky.task import task

        for name, value in self.envs.items():
            if value is None:
                fix = f"give it with update_envs({{{name!r}: VALUE}})"
                raise refuse(f"envs.{name}", f"the variable {name} has no value", fix)
        return deepcopy(task(self._filled()))

    def _filled(self) -> StageSpec:
        """The task with its variables and secrets in the fields that take them."""
        from stix.spec.messages import explain
        from stix.spec.redact import redacted, values_of
        from stix.spec.variables import Variables, asks

        raw, stage = given(self), self._stage()
        if not asks(raw):
            return stage
        try:
            return type(stage).model_validate(raw, context=Variables(secrets=True))
        except ValidationError as refusal:
            found = explain(refusal, raw, type(stage), ("stages", "task"))
        # Raised out here, so that the refusal with the values is not its context.
        told = redacted(found, values_of(raw))
        raise Refused([replace(p, path=dotted(p.parts[2:])) for p in told])

    def to_yaml(self) -> str:
        """The task as a file, with variables in their places; secrets appear by name only."""
        from stix.spec.wire import stage_to_wire
        from stix.spec.yaml.write import dump

        return dump(stage_to_wire(self._stage()))

    def _stage(self) -> StageSpec:
        from stix.spec.stage import StageSpec

        assert isinstance(self, StageSpec)
        return self

    def validate(  # type: ignore[override]
        self, skip_file_mounts: bool = False, skip_workdir: bool = False
    ) -> Self:
        """Check the whole task, and that its local paths exist.

        Raises:
            Refused: holds every problem.
        """
        from stix.spec.python.dag import Dag

        alone = Dag()
        alone.add(self._stage())
        alone.validate(skip_file_mounts, skip_workdir)
        return self

    # -- setters ------------------------------------------------------------------------------

    def set_resources(self, resources: Any) -> Self:
        """What to run on: an object, a map, a set (the cheapest of them) or a list (in order)."""
        return self._change(resources=one_of(resources))

    def set_resources_override(self, override_params: Mapping[str, Any]) -> Self:
        """Change fields of the resources, in each of several alternatives."""
        return self._change(resources=self.resources.copy(**override_params))

    def set_file_mounts(self, file_mounts: Mapping[str, str] | None) -> Self:
        """Copies of files, ``{path on the node: local path or URL}``, instead of those it has."""
        return self._mounts(self.storage_mounts, file_mounts)

    def update_file_mounts(self, file_mounts: Mapping[str, str]) -> Self:
        """More copies of files; an equal path is replaced."""
        return self._mounts(self.file_mounts, file_mounts)

    def set_storage_mounts(self, storage_mounts: Mapping[str, Any] | None) -> Self:
        """Buckets, ``{path on the node: stix.Storage(...)}``, instead of those it has."""
        kept = {k: v for k, v in self.file_mounts.items() if k not in self.storage_mounts}
        return self._mounts(kept, _storages(storage_mounts or {}))

    def update_storage_mounts(self, storage_mounts: Mapping[str, Any]) -> Self:
        """More buckets; an equal path is replaced."""
        return self._mounts(self.file_mounts, _storages(storage_mounts))

    def _mounts(self, kept: Mapping[str, Any], more: Mapping[str, Any] | None) -> Self:
        from stix.spec.storage import is_url

        if more is not None and not isinstance(more, Mapping):
            fix = "write {'/path/on/node': './local'}"
            raise refuse("file_mounts", f"mounts must be a map, not {values.kind(more)}", fix)
        for target in more or {}:
            if isinstance(target, str) and is_url(target):
                fix = "swap the two: path on the node first, then its source"
                raise refuse(f"file_mounts.{target}", f"the target {target} is a URL", fix)
        return self._change(file_mounts={**kept, **(more or {})} or None)

    def update_envs(self, envs: Pairs) -> Self:
        """More variables, as a map or pairs; they win over equal names."""
        return self._change(envs={**self.envs, **pairs(envs, "envs")})

    def update_secrets(self, secrets: Pairs) -> Self:
        """More secrets, as a map or pairs; they win over equal names."""
        return self._change(secrets={**self.secrets, **pairs(secrets, "secrets")})

    def set_service(self, service: ServiceSpec | Mapping[str, Any] | None) -> Self:
        """The service of replicas that the task is, or None."""
        return self._change(service=service)

    def set_inputs(self, inputs: str, estimated_size_gigabytes: float) -> Self:
        """Where the data lies and how much, for SkyPilot's model of egress."""
        return self._change(egress_inputs={inputs: estimated_size_gigabytes})

    def set_outputs(self, outputs: str, estimated_size_gigabytes: float) -> Self:
        """Where the results go and how much, for SkyPilot's model of egress."""
        return self._change(egress_outputs={outputs: estimated_size_gigabytes})

    def set_volumes(self, volumes: Mapping[str, Any]) -> Self:
        """Volumes, ``{path on the node: name or map}``, instead of those it has."""
        return self._change(volumes=dict(volumes))

    def update_volumes(self, volumes: Mapping[str, Any]) -> Self:
        """More volumes; an equal path is replaced."""
        return self._change(volumes={**self.volumes, **volumes})

    def update_workdir(
        self, workdir: str | None = None, git_url: str | None = None, git_ref: str | None = None
    ) -> Self:
        """Another working directory: a local folder, or a repository (``git_ref`` alone keeps it).

        As in SkyPilot a repository that the task has is not replaced by a folder.
        """
        now = self.workdir
        if now is None or isinstance(now, str):
            if workdir is not None:
                return self._change(workdir=workdir)
            return self if git_url is None else self._change(workdir=_repository(git_url, git_ref))
        if git_url is None and git_ref is None:
            return self
        own = given(now)
        return self._change(
            workdir={**own, **_repository(git_url or own["url"], git_ref or own.get("ref"))}
        )

    def set_time_estimator(self, func: Callable[[Resources], float]) -> Self:
        """SkyPilot's estimate of a runtime; plans are made by price, and nothing would ask it."""
        raise NotYet(
            "set_time_estimator does not act: plans are made by price alone",
            fix="Remove it; resources.max_hourly_cost limits the price of a node.",
        )

    # -- what it holds ------------------------------------------------------------------------

    @property
    def storage_mounts(self) -> dict[str, StorageMount]:
        """The mounts that are buckets, rather than copies of a path or URL."""
        return {k: mount for k, mount in self.file_mounts.items() if not _is_text(mount)}

    @property
    def envs_and_secrets(self) -> dict[str, Any]:
        """Variables and secrets in one map."""
        return {**self.envs, **self.secrets}

    @property
    def use_spot(self) -> bool:
        """Whether one of the alternatives may be taken away."""
        return any(choice.use_spot for choice in self.resources.alternatives())

    # -- edges --------------------------------------------------------------------------------

    def __rshift__(self, after: R) -> R:
        """``a >> b`` and ``a >> [b, c]`` inside of ``with Dag()``: what is right waits for a."""
        from stix.spec.python.dag import connect

        connect([self], after if isinstance(after, list | tuple) else [after])
        return after

    def __rrshift__(self, before: Any) -> Self:
        from stix.spec.python.dag import connect

        connect(before if isinstance(before, list | tuple) else [before], [self])
        return self

    if TYPE_CHECKING:
        name: str | None
        workdir: Any
        resources: Resources
        file_mounts: dict[str, StorageMount]
        envs: dict[str, str | None]
        secrets: dict[str, Any]
        volumes: dict[str, Any]


T = TypeVar("T", bound=TaskApi)


def _join(task: T) -> T:
    """The task, in the DAG whose ``with`` block is open."""
    from stix.spec.python.dag import joined

    return joined(task)


def _field(name: str, value: Any) -> Any:
    """One argument of SkyPilot's constructor as a file would hold it."""
    if name == "resources":
        return one_of(value)
    if name in ("run", "setup"):
        if isinstance(value, list | tuple) and all(isinstance(line, str) for line in value):
            return "\n".join(value)
        if callable(value):
            fix = "write the commands as text; a function runs with @stix.stage"
            raise refuse(name, f"{name} must be text, not a function", fix)
    if name in ("recovery", "volumes"):
        return plain(value)
    return value


def _storages(mounts: Mapping[str, Any]) -> dict[str, Any]:
    for target, mount in mounts.items():
        if not isinstance(mount, StorageApi | Mapping):
            fix = "write stix.Storage(source=...), or give the path to set_file_mounts"
            raise refuse(f"file_mounts.{target}", "a storage mount must be a stix.Storage", fix)
    return dict(mounts)


def _is_text(mount: StorageMount) -> bool:
    """Whether a mount is what plain text in a file means."""
    return mount.written() is not None


def _repository(url: str, ref: str | None) -> dict[str, str]:
    return {"url": url} if ref is None else {"url": url, "ref": ref}
