"""Paths of a stage: what lies where on the node, and whether its sources are there."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path as FilePath

from stix.spec.models import StageSpec
from stix.spec.problems import Path, Problem, error, warning
from stix.spec.storage import DISK, StorageMount, is_url, split_url
from stix.spec.variables import names
from stix.spec.workdir import KEYS, GitSource, has_password, is_git_url, is_ref

WORKDIR = "~/sky_workdir"
"""Where SkyPilot copies the workdir to."""
_HALF_URL = re.compile(r"(s3|gs|r2|cos|oci|nebius|cw|vastdata|hf|https?|file)(:/*|//+)(?=\w)", re.I)


def targets(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """Targets that cannot be, and those that are in each other's way."""
    for target, mount in stage.file_mounts.items():
        place = (*at, "file_mounts", target)
        yield from _impossible(place, target, stage)
        if mount.written() is not None:
            yield from _slash(place, target)
    for target in stage.volumes:
        place = (*at, "volumes", target)
        yield from _impossible(place, target, stage)
        yield from _slash(place, target)
        if target and not target.startswith(("/", "~")) and not is_url(target):
            fix = f"write /{target.removeprefix('./')}, or begin it with ~/"
            yield error(place, "a volume needs an absolute path", fix, on_key=True)
    yield from _crowded(at, stage)


def at_parse(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """Those of the targets that SkyPilot refuses as soon as it reads the file."""
    for target, mount in stage.file_mounts.items():
        if mount.written() is None and mount.store != DISK:
            place = (*at, "file_mounts", target)
            yield from _impossible(place, target, stage)
            yield from unreadable((*place, "source"), mount.source)


def unreadable(at: Path, source: str | list[str] | None) -> Iterator[Problem]:
    """A source that looks like a URL and cannot be read as one."""
    if isinstance(source, str) and "[" in source and split_url(source) is None:
        yield error(at, f"the source {source} is no URL", "remove the bracket from its host")


def _impossible(at: Path, target: str, stage: StageSpec) -> Iterator[Problem]:
    if not target:
        yield error(at, "the path on the node is empty", "write a path", on_key=True)
    elif is_url(target) or ("//" in target and split_url(target) != ""):
        fix = "swap the two: path on the node first, then its source"
        yield error(at, f"the target {target} is a URL", fix, on_key=True)
    elif target == WORKDIR and stage.workdir is not None:
        fix = f"name a path below it, such as {WORKDIR}/data"
        yield error(at, f"{target} is the place of the workdir", fix, on_key=True)


def _slash(at: Path, target: str) -> Iterator[Problem]:
    if target.endswith("/"):
        fix = f"write {target.rstrip('/')}" if target.rstrip("/") else "name a folder below it"
        yield error(at, "a path on the node cannot end with a slash", fix, on_key=True)


def plain(target: str) -> str:
    """One spelling of a path on the node."""
    path = posixpath.normpath(target)
    return path[1:] if path.startswith("//") else path


def _crowded(at: Path, stage: StageSpec) -> Iterator[Problem]:
    """Two mounts at one path are errors; one inside another may hide or fill it."""
    seen: dict[str, str] = {}
    places: dict[str, Path] = {}
    for word in ("file_mounts", "volumes"):
        for target in filter(None, getattr(stage, word)):
            path = plain(target)
            place = (*at, word, target)
            if path in seen:
                said = f"{target} is the path of {seen[path]} as well"
                yield error(place, said, "give it another path", on_key=True)
                continue
            seen[path] = f"{target} in {word}"
            places[path] = place
    for path, place in places.items():
        outer = posixpath.dirname(path)
        while outer and outer not in places and outer != posixpath.dirname(outer):
            outer = posixpath.dirname(outer)
        if outer in places and outer != path:
            said = f"{place[-1]} lies inside {places[outer][-1]}, which is mounted as well"
            yield warning(place, said, "put one of them elsewhere if it can hide the other")


def workdir(at: Path, stage: StageSpec, base: FilePath | None) -> Iterator[Problem]:
    """A workdir that is no folder, or no repository."""
    own, at = stage.workdir, (*at, "workdir")
    if isinstance(own, GitSource):
        if has_password(own.url):
            fix = "leave it out of url, and give it as the secret GIT_TOKEN"
            yield error((*at, "url"), "the password in the URL would be stored with the run", fix)
        elif "$" not in own.url and not is_git_url(own.url):
            fix = "write https://HOST/OWNER/REPOSITORY, or user@HOST:OWNER/REPOSITORY"
            yield error((*at, "url"), "this is not the address of a repository", fix)
        if own.ref is not None and "$" not in own.ref and not is_ref(own.ref):
            fix = "write a branch, a tag or a commit, or leave it out for the default branch"
            yield error((*at, "ref"), f"{own.ref!r} cannot be the name of a branch or tag", fix)
        for name in KEYS:
            if stage.envs.get(name):
                fix = f"write it under secrets, and give it with --secret {name}"
                said = f"{name} would be stored with the run"
                yield error((*at[:-1], "envs", name), said, fix, on_key=True)
    elif own is not None and is_url(own) and "$" not in own:
        fix = f"write workdir: {{url: {own}}}" if is_git_url(own) else "name a local folder"
        yield error(at, "a workdir is a local folder, or a map with url", fix)
    elif own is None or base is None or any(name in stage.secrets for _, name in names(own)):
        return
    elif not os.path.isdir(_local(own, base)):
        fix = "name an existing folder, relative to this file"
        yield error(at, f"the workdir {own} is not a folder", fix)


def sources(at: Path, stage: StageSpec, base: FilePath) -> Iterator[Problem]:
    """Local sources that do not exist, or are a file where only a folder can be."""
    for target, mount in stage.file_mounts.items():
        place: Path = (*at, "file_mounts", target)
        if isinstance(mount.source, str):
            yield from _source(place, mount.source, base)
            yield from _folder(place, mount, base)
        for i, source in enumerate(mount.source if isinstance(mount.source, list) else ()):
            yield from _source((*place, "source", i), source, base)


def _source(at: Path, source: str, base: FilePath) -> Iterator[Problem]:
    # SkyPilot names sources of its own with skypilot: in front.
    if is_url(source) or source.startswith("skypilot:"):
        return
    if not os.path.exists(_local(source, base)):
        fix = "check the path; it is relative to this file"
        half = _HALF_URL.match(source)
        if half is not None:
            fix = f"did you mean {half[1].lower()}://{source[half.end() :]}?"
        yield error(at, f"the source {source} does not exist", fix)


def _folder(at: Path, mount: StorageMount, base: FilePath) -> Iterator[Problem]:
    source = mount.source
    if mount.written() is not None or mount.store == DISK or not isinstance(source, str):
        return
    if not is_url(source) and os.path.isfile(_local(source, base)):
        fix = f"write source: [{source}], or copy it with {at[-1]}: {source}"
        yield error((*at, "source"), f"{source} is a file; a bucket takes a folder", fix)


def _local(path: str, base: FilePath) -> str:
    return os.path.join(base, os.path.expanduser(path))
