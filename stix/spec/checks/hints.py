"""What is probably a mistake in resources, though it may be meant."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from stix.spec.problems import Path, Problem, choose, nearest, warning
from stix.spec.words import gpus, instances
from stix.spec.words.disks import ATTACH_MODES, DISK_TIERS, STORAGE_TYPES, Disk

if TYPE_CHECKING:
    from stix.spec.resources import Resources

_WORDS = {
    "storage_type": STORAGE_TYPES,
    "attach_mode": ATTACH_MODES,
    "disk_tier": DISK_TIERS,
}
_SPREAD = frozenset({"accelerators", "no_missing_accel_warnings"})


def hints(resources: Resources, at: Path) -> Iterator[Problem]:
    """Warnings about resources.

    Args:
        resources: Those of a stage.
        at: Where they lie, such as ``("stages", "train", "resources")``.
    """
    seen: set[str] = set()
    for place, one in _places(resources, at):
        for name in one.accelerators:
            meant = gpus.meant(name) if name not in seen else None
            seen.add(name)
            if meant is not None:
                said = f"{name!r} is not a known accelerator"
                fix = f"did you mean {meant!r}? Keep it if hosts of your own have that name"
                yield warning((*place, "accelerators"), said, fix)
        for i, disk in enumerate(one.volumes):
            yield from _disk(disk, (*place, "volumes", i))
    for one in resources.alternatives():
        yield from _type(one, at, seen)


def _places(resources: Resources, at: Path) -> Iterator[tuple[Path, Resources]]:
    yield at, resources
    for word in ("any_of", "ordered"):
        entries = getattr(resources, word)
        kept = not _multiplied(entries)
        for i, entry in enumerate(entries):
            # Several accelerators of one field became alternatives, which the file does not have.
            spread = bool(entry.model_fields_set) and entry.model_fields_set <= _SPREAD
            yield (at if spread else (*at, word, i) if kept else (*at, word)), entry


def _multiplied(entries: list[Resources]) -> bool:
    """Whether the alternatives are more than the file has, so that their numbers differ."""
    rests = [entry.model_dump(exclude_unset=True, exclude=set(_SPREAD)) for entry in entries]
    doubled = any(rest == following for rest, following in pairwise(rests))
    return doubled or any(entry.no_missing_accel_warnings for entry in entries)


def _disk(disk: Disk, at: Path) -> Iterator[Problem]:
    for name in disk.model_extra or {}:
        fix = choose(name, list(Disk.model_fields))
        yield warning((*at, name), f"a disk has no field {name!r}; it is ignored", fix)
    for name, words in _WORDS.items():
        value = getattr(disk, name)
        if value is not None and value.lower() not in words:
            said = f"{value!r} is not a {name}; {_instead(name)} is taken instead"
            yield warning((*at, name), said, choose(value, words))


def _instead(name: str) -> str:
    return {"storage_type": "network", "attach_mode": "read_write"}.get(name, "best")


def _type(one: Resources, at: Path, seen: set[str]) -> Iterator[Problem]:
    """A type of a cloud whose types are all known."""
    name, cloud = one.instance_type, one.cloud
    if name is None or cloud not in instances.COMPLETE or f"{cloud}/{name}" in seen:
        return
    seen.add(f"{cloud}/{name}")
    if name == "TPU-VM" or instances.memory_gib(cloud, name) is not None:
        return
    close = nearest(name, instances.types(cloud))
    fix = f"did you mean {close!r}?" if close else f"check the types of {cloud}"
    yield warning((*at, "instance_type"), f"{name!r} is not a known type of {cloud}", fix)
