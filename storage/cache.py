"""When may an earlier result of a stage serve again? The parts of its key, and their story."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stix.spec.workdir import GitSource

VERSION = "1"
"""Part of every key: a change of the rules below must not find results of the old ones."""

_SHORT = 16
_SMALL = 80


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a key, now and in an earlier run; None where it was not there."""

    name: str
    now: str | None
    before: str | None
    changed: bool


def cache_parts(
    stage_wire: Mapping[str, Any],
    params: Mapping[str, Any],
    inputs: Mapping[str, str],
    uploads: Mapping[str, str],
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What the result of a stage depends on, each part as a short hash or a small value.

    Not in it: resources but their image (unless ``cache`` asks for them), recovery, names,
    comments of the file around the scripts, and the values of secrets. Times of files do not
    count: folders are known by the digest of their content and of their executable bits.

    Args:
        stage_wire: The stage as JSON, canonical field names.
        params: The matrix keys of the point.
        inputs: Digest of the artifact behind each input.
        uploads: Digest of each local path of ``workdir`` and ``file_mounts``, by source path.
        extra: More parts, such as the digest of a decorated function.
    """
    parts = {"version": VERSION, "num_nodes": str(stage_wire.get("num_nodes") or 1)}
    for name in ("setup", "run"):
        parts[name] = _hash(_script(stage_wire.get(name)))
    for name, value in sorted(_map(stage_wire.get("envs")).items()):
        # Hashed: people keep tokens in envs too.
        parts[f"envs.{name}"] = _hash(_text(value))
    parts["secrets"] = ", ".join(sorted(stage_wire.get("secrets") or ()))
    parts["params"] = _small(_text(dict(params)))
    parts["outputs"] = _small(_text(stage_wire.get("outputs") or {}))
    parts["image"] = ", ".join(sorted(set(_images(stage_wire.get("resources")))))
    if _map(stage_wire.get("cache")).get("resources"):
        parts["resources"] = _hash(_text(_without_image(stage_wire.get("resources"))))
    if stage_wire.get("workdir"):
        parts["workdir"] = _workdir(stage_wire["workdir"], uploads)
    for target, mount in sorted(_map(stage_wire.get("file_mounts")).items()):
        parts[f"file_mounts.{target}"] = _source(mount, uploads)
    for name, digest in sorted(inputs.items()):
        parts[f"inputs.{name}"] = digest[:_SHORT]
    return parts | dict(extra or {})


def cache_key(parts: Mapping[str, str]) -> str:
    """The key of ``parts``, 64 hexadecimal digits."""
    return hashlib.sha256(_text(dict(parts)).encode()).hexdigest()


def explain(now: Mapping[str, str], before: Mapping[str, str] | None) -> list[Part]:
    """Part by part, what is as before and what is not; what changed comes first.

    Args:
        before: Parts of the latest earlier result, or None where there is none.
    """
    old = before if before is not None else {}
    parts = [
        Part(name, now.get(name), old.get(name), now.get(name) != old.get(name))
        for name in sorted(now.keys() | old.keys())
    ]
    return sorted(parts, key=lambda part: not part.changed)


def _workdir(workdir: Any, uploads: Mapping[str, str]) -> str:
    """The content counts, wherever it is from."""
    return _digest(GitSource(**workdir).key if isinstance(workdir, Mapping) else workdir, uploads)


def _source(source: Any, uploads: Mapping[str, str]) -> str:
    """A digest where content was uploaded; else the text of the source, such as a URL."""
    if isinstance(source, str):
        return _digest(source, uploads)
    if not isinstance(source, Mapping):
        return _small(_text(source))
    inner = source.get("source", source.get("path"))
    if isinstance(inner, str) and source.get("mode") == "COPY":
        return _digest(inner, uploads)
    sources = [inner] if isinstance(inner, str) else list(inner or ())
    known = {one: uploads[one] for one in sources if one in uploads}
    return _hash(_text({"mount": source, "uploads": known}))


def _digest(source: str, uploads: Mapping[str, str]) -> str:
    return uploads[source][:_SHORT] if source in uploads else _small(source)


def _images(resources: Any) -> Iterator[str]:
    if isinstance(resources, Mapping):
        image = resources.get("image_id")
        if image is not None:
            yield _small(_text(image)) if not isinstance(image, str) else image
        for name in ("any_of", "ordered"):
            for one in resources.get(name) or ():
                yield from _images(one)
    elif isinstance(resources, list | tuple):
        for one in resources:
            yield from _images(one)


def _without_image(resources: Any) -> Any:
    """The image is a part of its own."""
    if isinstance(resources, Mapping):
        return {k: _without_image(v) for k, v in resources.items() if k != "image_id"}
    if isinstance(resources, list | tuple):
        return [_without_image(one) for one in resources]
    return resources


def _script(script: Any) -> str:
    """Only what cannot matter is levelled: line endings, and white space after the last line.

    White space at the end of other lines stays: it counts in here-documents and after a backslash.
    So do comments: whether a line that begins with ``#`` is one, or is text of a here-document or
    of a quoted string, only a shell can tell, and ``set -v`` prints it, and lines have numbers. A
    comment that changed is a reason to run, and ``why`` names the script.
    """
    text = str(script or "").replace("\r\n", "\n")
    short = text.rstrip()
    # A space may be quoted, and a here-document may lack its end.
    return text if short.endswith("\\") or "<<" in short else short


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    """Canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _small(text: str) -> str:
    return text if len(text) <= _SMALL else _hash(text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_SHORT]
