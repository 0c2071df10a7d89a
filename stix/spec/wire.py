"""The canonical form of a pipeline: what crosses from client to server, and YAML for people."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr

from stix.spec.exact import Exact, given
from stix.spec.models import PipelineSpec, Resources, StageSpec
from stix.spec.short import Short
from stix.spec.volumes import VolumeMount
from stix.spec.yaml.write import dump

VERSION = 1


def to_wire(pipeline: PipelineSpec) -> dict[str, Any]:
    """JSON-safe and deterministic: defaults merged, durations in seconds, no secret values.

    Fields that hold their default are left out. Variables in fields stay
    as they are: `StageSpec.substituted` replaces them, once. Equal pipelines give equal forms.
    """
    whole = pipeline.resolved()
    stages = {name: stage_to_wire(stage) for name, stage in whole.stages.items()}
    for stage in stages.values():
        stage.pop("name", None)
    out = _plain(whole.model_copy(update={"stages": {}}))
    return {"version": VERSION, "name": whole.name, **out, "stages": stages}


def stage_to_wire(stage: StageSpec) -> dict[str, Any]:
    """The canonical form of one stage, with its name."""
    return _plain(stage)  # type: ignore[no-any-return]


def from_wire(data: dict[str, Any]) -> PipelineSpec:
    """The pipeline of a canonical form.

    Raises:
        ValueError: the form is of a newer version, or no pipeline (pydantic's ValidationError).
    """
    body = dict(data)
    version = body.pop("version", VERSION)
    if version != VERSION:
        raise ValueError(f"this pipeline has form {version}; this release reads form {VERSION}")
    return PipelineSpec.model_validate(body).resolved()


def _plain(value: Any) -> Any:
    """A model as a map of what differs from its defaults, with the keys a file would have."""
    if isinstance(value, Short) and (short := value.written()) is not None:
        return _plain(short)
    if isinstance(value, BaseModel):
        return {key: _plain(entry) for key, entry in _given(value)}
    if isinstance(value, SecretStr):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if type(value) is not str and isinstance(value, str) else value


def _given(model: BaseModel) -> list[tuple[str, Any]]:
    if isinstance(model, Exact | VolumeMount):
        # What is written here matters to SkyPilot's form, so no default is added to it.
        return list(given(model).items())
    out = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        # A rule's default depends on its kind, and a mount's on its form: write them out.
        always = not isinstance(model, PipelineSpec | StageSpec | Resources)
        if value is None and name not in getattr(model, "null_means", ()):
            continue
        if always or value != field.get_default(call_default_factory=True):
            out.append((field.alias or name, value))
    return out


def to_yaml(pipeline: PipelineSpec) -> str:
    """The pipeline as a file in the ``stages:`` form, which loads to an equal pipeline.

    Secrets appear by name only.
    """
    data = to_wire(pipeline)
    del data["version"]
    return dump(data)
