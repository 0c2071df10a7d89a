"""What valid mounts, volumes and secrets of a stage get wrong; found before anything starts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from stix.spec.checks import buckets
from stix.spec.checks.paths import unreadable
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.mountconfig import StorageConfig
from stix.spec.problems import Path, Problem, choose, error, warning
from stix.spec.storage import DISK, StorageMount, is_url
from stix.spec.variables import FIELDS, names
from stix.spec.volumes import SUB_PATH, VolumeMount, gib_of

_OWN = ("file", "az", "sftp")
"""Schemes of stores that SkyPilot does not know."""
_DISK_WORDS = {
    "disk_tier": ("low", "medium", "high", "ultra", "best"),
    "storage_type": ("network", "instance"),
    "attach_mode": ("read_write", "read_only"),
}


def made(pipeline: PipelineSpec) -> set[str]:
    """Names of buckets that stages of a pipeline make or fill."""
    mounts = (m for stage in pipeline.stages.values() for m in stage.file_mounts.values())
    return {m.name for m in mounts if m.name and (m.source is not None or m.mode != "COPY")}


def mounts(at: Path, stage: StageSpec, known: Collection[str]) -> Iterator[Problem]:
    """What is wrong with buckets and disks.

    Args:
        at: Where the stage lies.
        stage: Any stage.
        known: Names of buckets that exist once other stages have run.
    """
    for target, mount in stage.file_mounts.items():
        place = (*at, "file_mounts", target)
        if mount.written() is not None:
            yield from _url(place, str(mount.source))
            continue
        yield from _config(place, mount)
        if mount.store != DISK:
            yield from _bucket(place, mount, known)
        elif isinstance(mount.source, str):
            yield from _url((*place, "source"), mount.source)


def _url(at: Path, source: str) -> Iterator[Problem]:
    """A URL that no store has."""
    yield from unreadable(at, source)
    if not source:
        yield error(at, "the source is empty", "write a path or URL")
    elif is_url(source) and source.partition("://")[0].lower() not in _OWN and "$" not in source:
        try:
            buckets.address(source)
        except buckets.NoAddress as refusal:
            yield error(at, str(refusal), refusal.fix)


def _bucket(at: Path, mount: StorageMount, known: Collection[str]) -> Iterator[Problem]:
    source, name = mount.source, mount.name
    if source is None:
        if not name:
            yield error(at, "neither name nor source is given", "add source, or name for a bucket")
        elif mount.mode == "COPY" and name not in known:
            fix = "add source, or write mode: MOUNT for an empty bucket"
            yield error(at, "mode: COPY needs a source", fix)
    elif isinstance(source, str) and is_url(source):
        yield from _url((*at, "source"), source)
        yield from _whole(at, mount, source)
    else:
        yield from _upload(at, mount)
    yield from _name(at, mount)


def _upload(at: Path, mount: StorageMount) -> Iterator[Problem]:
    """Local sources, which are uploaded to a bucket."""
    listed = mount.source if isinstance(mount.source, list) else [str(mount.source)]
    if not mount.name:
        fix = "add name"
        if mount.mode == "COPY" and isinstance(mount.source, str):
            fix = f"add name, or copy without a bucket: {at[-1]}: {mount.source}"
        yield error(at, "a local source is uploaded to a bucket, which needs a name", fix)
    seen: dict[str, str] = {}
    for i, source in enumerate(listed):
        place = (*at, "source", i) if isinstance(mount.source, list) else (*at, "source")
        if not source:
            yield error(place, "the source is empty", "write a path")
        elif is_url(source):
            fix = "write an entry of file_mounts for each URL"
            yield error(place, "a list of sources holds local paths only", fix)
        base = source.rpartition("/")[2]
        if seen.setdefault(base, source) != source:
            said = f"{seen[base]} and {source} would have one name in the bucket"
            yield error(place, said, "rename one of the two")


def _whole(at: Path, mount: StorageMount, source: str) -> Iterator[Problem]:
    """A bucket by its URL, which alone names it."""
    try:
        found = buckets.address(source)
    except buckets.NoAddress:
        return
    wrong = buckets.name_problem(found.store, found.name)
    if wrong is not None:
        said = f"no bucket is called {found.name!r}: the name {wrong}"
        yield error((*at, "source"), said, "correct the name")
    if mount.name and mount.name != found.name:
        fix = "remove name"
        said = f"the bucket is {found.name}, by its source; the name {mount.name} does nothing"
        yield error((*at, "name"), said, fix)


def _name(at: Path, mount: StorageMount) -> Iterator[Problem]:
    at, name = (*at, "name"), mount.name
    if mount.store is not None and "$" in mount.store:
        said = f"the variable in {mount.store} has no value"
        yield error((*at[:-1], "store"), said, "add it to envs")
        return
    if mount.store == "VOLUME":
        yield error((*at[:-1], "store"), "the store of a disk is in lower case", "write volume")
        return
    if not name or "$" in name:
        return
    scheme = name.partition("://")[0]
    if is_url(name):
        fix = f"write source: {name}" if scheme in buckets.SCHEMES else "write a name"
        yield error(at, "the name of a bucket is no URL", fix)
    elif mount.address is None:
        wrong = buckets.name_problem(mount.store, name)
        if wrong is not None:
            yield error(at, f"the name of the bucket {wrong}", "choose another name")


def unnamed(pipeline: PipelineSpec, store: str) -> list[Problem]:
    """Names that are wrong in the store of buckets that name none.

    Args:
        store: The server's own, such as ``S3``.
    """
    found = []
    for stage_name, stage in pipeline.resolved().stages.items():
        for target, mount in stage.file_mounts.items():
            wrong = None
            if mount.name and mount.store is None and mount.address is None:
                wrong = buckets.name_problem(store, mount.name)
            if wrong is not None:
                at = ("stages", stage_name, "file_mounts", target, "name")
                said = f"the name of the bucket {wrong}"
                found.append(error(at, said, f"choose another name, or a store: this is {store}"))
    return found


def _config(at: Path, mount: StorageMount) -> Iterator[Problem]:
    """Options that SkyPilot passes over in silence."""
    if mount.config is None:
        return
    at = (*at, "config")
    known = list(StorageConfig.model_fields)
    for key in mount.config.model_extra or {}:
        yield warning((*at, key), f"config has no option {key!r}", choose(key, known))
    for key, words in _DISK_WORDS.items():
        value = getattr(mount.config, key)
        if value is None:
            continue
        if mount.store != DISK:
            yield warning((*at, key), f"{key} does nothing without store: volume", "remove it")
        elif value.lower() not in words:
            yield warning((*at, key), f"{value!r} is not known here", choose(value, words))


def volumes(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """What is wrong with volumes."""
    for target, volume in stage.volumes.items():
        place = (*at, "volumes", target)
        for key in volume.model_extra or {}:
            fix = choose(key, list(VolumeMount.model_fields))
            yield warning((*place, key), f"a volume has no field {key!r}", fix)
        given = volume.model_fields_set
        if "size" in given:
            yield from _new(place, volume)
        elif "name" in given:
            yield from _named(place, volume)
        elif "host_path" in given:
            yield from _host(place, volume, stage)
        else:
            fix = "add name for a volume that exists, size for a new one, or host_path on Slurm"
            yield error(place, "the volume has no name, size or host_path", fix)


def _new(at: Path, volume: VolumeMount) -> Iterator[Problem]:
    if (gib_of(volume.size) or 0) < 1:
        fix = "write whole GiB from 1, or text such as 10Gi"
        yield error((*at, "size"), "this is not the size of a volume", fix)
    if volume.type and volume.type.lower() != "k8s-pvc":
        said = f"a new volume cannot be of type {volume.type!r}"
        yield error((*at, "type"), said, "write type: k8s-pvc, or remove it")


def _named(at: Path, volume: VolumeMount) -> Iterator[Problem]:
    if not volume.name:
        place = at if volume.written() is not None else (*at, "name")
        yield error(place, "the name of the volume is empty", "write the name of a volume")
    part = volume.sub_path
    if part is not None and (not re.fullmatch(SUB_PATH, part) or ".." in part.split("/")):
        fix = "write a path inside the volume, of letters, digits, '.', '_', '-' and '/'"
        yield error((*at, "sub_path"), f"{part!r} is not a folder of the volume", fix)


def _host(at: Path, volume: VolumeMount, stage: StageSpec) -> Iterator[Problem]:
    path = volume.host_path or ""
    if not path.startswith("/") or path == "/":
        fix = "write an absolute path below /"
        yield error((*at, "host_path"), f"{path!r} is not a folder that can be mounted", fix)
    if "mode" in volume.model_fields_set and volume.mode not in ("ro", "rw"):
        yield error((*at, "mode"), f"{volume.mode!r} is not a mode", "write mode: ro or mode: rw")
    for key in sorted(volume.model_fields_set - {"host_path", "mode"}):
        yield error((*at, key), f"{key} does not go with host_path", "remove it", on_key=True)
    asked = [entry.infra or "" for entry in stage.resources.alternatives()]
    if any(infra.partition("/")[0].lower() != "slurm" for infra in asked):
        fix = "write infra: slurm, or use a volume by its name"
        yield error((*at, "host_path"), "folders of the host are mounted on Slurm only", fix)


def hidden(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """Secrets named in fields that are stored with the run."""
    for field in FIELDS if stage.secrets else ():
        found = names(getattr(stage, field), (*at, field))
        for path, name in dict.fromkeys(found):
            if name in stage.secrets:
                said = f"the value of the secret {name} would be stored with the run"
                yield error(path, said, "read it in run, or move it to envs if it is no secret")
