"""Which fields act in this release. What is parsed and does not act is refused, never ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stix.spec.models import PipelineSpec, Resources, StageSpec
from stix.spec.problems import Path, Problem, error
from stix.spec.storage import StorageMount, is_url

_STAGE = {
    "service": (
        "services are not run by this release",
        "run the command as a stage without service",
    ),
    "pool": (
        "pools of workers are not run by this release",
        "run the command as a stage without pool",
    ),
    "config": ("per-task configuration of clouds does not act", "remove config"),
    "event_callback": ("callbacks are not called", "remove it; follow the run with stix logs"),
    "volumes": ("volumes are not mounted", "copy the data with file_mounts, or pass it as outputs"),
    "volume_mounts": ("volumes are not mounted", "copy the data with file_mounts"),
    "managed_secrets": (
        "there is no store of secrets",
        "write secrets: [NAME] and pass --secret NAME",
    ),
    "file_mounts_mapping": ("this is SkyPilot's own field", "remove it"),
    "egress_inputs": (
        "sizes for an egress model do not act",
        "remove inputs, or name stage.output",
    ),
    "egress_outputs": ("sizes for an egress model do not act", "remove outputs, or name a path"),
}
_RESOURCES = {
    "image_id": ("images and containers are not chosen", "install what you need in setup"),
    "ports": ("ports are not opened", "remove ports"),
    "autostop": ("nodes end with their stage", "remove autostop"),
    "disk_size": ("the size of the disk is not chosen", "remove disk_size"),
    "disk_tier": ("the tier of the disk is not chosen", "remove disk_tier"),
    "network_tier": ("the tier of the network is not chosen", "remove network_tier"),
    "local_disk": ("local disks are not chosen", "remove local_disk"),
    "priority": ("there is no queue by priority", "remove priority"),
    "priority_class": ("there is no queue by priority", "remove priority_class"),
    "accelerator_args": ("arguments of accelerators do not act", "remove accelerator_args"),
    "volumes": ("volumes are not attached", "copy the data with file_mounts"),
    "ephemeral_storage": ("it does nothing in SkyPilot either", "remove ephemeral_storage"),
}
_BY_MEMORY = re.compile(r"(?:[A-Za-z]+:)?\d+(?:\.\d+)?GB\+?\Z", re.IGNORECASE)
_COPIED = ("s3", "file")
_PARALLEL = "job groups are not run by this release"


def refusals(stage: StageSpec, at: Path = ()) -> list[Problem]:
    """Fields of a stage that nothing acts upon yet.

    Args:
        stage: Any stage.
        at: Where it lies in the pipeline, such as ``("stages", "train")``.
    """
    return list(_stage(stage, at))


def pipeline_refusals(pipeline: PipelineSpec) -> list[Problem]:
    """The same for all stages and the pipeline itself."""
    out = []
    if pipeline.execution == "parallel":
        fix = "write stages: with the tasks side by side, without needs"
        out.append(error(("execution",), f"execution: parallel does not act: {_PARALLEL}", fix))
    for name in ("primary_tasks", "termination_delay", "inter_connection"):
        if getattr(pipeline, name) not in (None, []):
            out.append(error((name,), f"{name} does not act: {_PARALLEL}", f"remove {name}"))
    for name, stage in pipeline.resolved().stages.items():
        out += refusals(stage, ("stages", name))
    return out


def _stage(stage: StageSpec, at: Path) -> Iterator[Problem]:
    for name, (why, fix) in _STAGE.items():
        if getattr(stage, name) not in (None, {}, []):
            shown = name.removeprefix("egress_")
            yield error((*at, shown), f"the field {shown} does not act: {why}", fix, on_key=True)
    if stage.api_server_access:
        why = "the field api_server_access does not act: stages get no access to the server"
        yield error((*at, "api_server_access"), why, "remove it", on_key=True)
    if stage.workdir is not None and not isinstance(stage.workdir, str):
        fix = "clone it and name the folder, or clone it in setup"
        yield error((*at, "workdir"), "a workdir from git does not act", fix, on_key=True)
    yield from _resources(stage.resources, (*at, "resources"))
    for target, mount in stage.file_mounts.items():
        yield from _mount(mount, (*at, "file_mounts", target))


def _resources(resources: Resources, at: Path) -> Iterator[Problem]:
    for name, (why, fix) in _RESOURCES.items():
        if getattr(resources, name) not in (None, {}, []):
            said = f"the field {name} does not act: {why}"
            yield error((*at, name), said, fix, on_key=True)
    for name in resources.accelerators:
        if _BY_MEMORY.match(name):
            said = (
                f"the accelerator {name} is named by its memory, which this release cannot look up"
            )
            yield error((*at, "accelerators"), said, "name the accelerator, such as A100:1")
    for word in ("any_of", "ordered"):
        for i, entry in enumerate(getattr(resources, word)):
            yield from _resources(entry, (*at, word, i))


def _mount(mount: StorageMount, at: Path) -> Iterator[Problem]:
    if mount.mode != "COPY":
        fix = "write mode: COPY, or the source as plain text"
        yield error((*at, "mode"), f"mode {mount.mode} does not act: buckets are not mounted", fix)
        return
    for name in ("name", "store", "type", "config"):
        if getattr(mount, name) is not None:
            said = f"the field {name} does not act: buckets are not made"
            yield error((*at, name), said, "name the source by a path or URL alone", on_key=True)
    if not mount.persistent:
        said = "the field persistent does not act: buckets are not made"
        yield error((*at, "persistent"), said, "remove persistent", on_key=True)
    if not isinstance(mount.source, str):
        yield error((*at, "source"), "one source is needed", "name one path or URL")
    elif is_url(mount.source) and mount.source.partition("://")[0].lower() not in _COPIED:
        scheme = mount.source.partition("://")[0]
        fix = "use a local path, s3:// or file://"
        yield error(at, f"copies from {scheme}:// are not made by this release", fix)
