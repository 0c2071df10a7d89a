"""Alternatives of resources: how they are written, merged, and what they may not say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stix.spec.base import bad
from stix.spec.words.accelforms import Choice, Choices
from stix.spec.words.amounts import split_amount
from stix.spec.words.images import CONTAINER
from stix.spec.words.instances import elsewhere, memory_gib
from stix.spec.words.places import PARTS, of_parts, split

if TYPE_CHECKING:
    from stix.spec.resources import Resources

_LISTS = ("any_of", "ordered")
MAX_CHOICES = 1000
_MEMORY_FIX = "write memory: 16, memory: 16+ or memory: 16GB"
_NULLABLE = frozenset({"ports", "image_id"})
"""Fields that an alternative may set to null, against what is common."""
_EMPTIED = _NULLABLE | {"volumes"}
"""Fields that an alternative may make empty, against what is common."""
POD_CLOUDS = ("kubernetes", "ssh", "slurm")
"""Clouds whose nodes are containers, or parts of machines."""
TPU_CLOUDS = ("gcp", "kubernetes")
TPU_HOST = "TPU-VM"
"""The instance type of a TPU's own host."""
GKE_TPUS = frozenset(
    {
        "tpu-v4-podslice",
        "tpu-v5-lite-device",
        "tpu-v5-lite-podslice",
        "tpu-v5p-slice",
        "tpu-v6e-slice",
    }
)
"""Names of TPUs in Kubernetes."""


class Part(dict[str, Any]):
    """Plain data of one alternative: it is whole only with what is common."""


class Plain(dict[str, Any]):
    """Plain data of resources with the names of fields alone."""


def part(value: Any) -> Any:
    """Check what an alternative may not say, though resources as a whole may."""
    if not isinstance(value, dict):
        return value
    for key, entry in value.items():
        if key in _LISTS:
            fix = "write one list of alternatives, each with one kind of accelerator"
            raise bad("alternatives cannot hold alternatives", fix, key)
        if entry is None and key not in _NULLABLE:
            raise bad(f"{key} of an alternative has no value", f"remove {key}", str(key))
        if key in ("accelerators", "gpus"):
            _one_accelerator(entry, key)
    return Part(value)


def _one_accelerator(entry: Any, key: str) -> None:
    fix = "write one alternative for each accelerator"
    if isinstance(entry, list | tuple):
        raise bad(f"{key} of an alternative cannot be a list", fix, key)
    if isinstance(entry, dict) and (len(entry) > 1 or None in entry.values()):
        raise bad(f"{key} of an alternative must be one name with one count", fix, key)


def plain(data: dict[str, Any]) -> dict[str, Any]:
    """The map with the names of fields alone; the given one stays as it is."""
    if "labels" in data and data["labels"] is None:
        data = {key: value for key, value in data.items() if key != "labels"}
    if "gpus" in data:
        if "accelerators" in data:
            raise bad("gpus and accelerators are both given", "keep accelerators", "gpus")
        data = dict(data)
        data["accelerators"] = data.pop("gpus")
    lists = [word for word in _LISTS if data.get(word) is not None]
    if len(lists) > 1:
        raise bad("any_of and ordered are both given", "keep one of the two", "ordered")
    given = {key: data[key] for key in PARTS if data.get(key) is not None}
    if lists and (given or data.get("infra") is not None):
        data = {**data, lists[0]: _placed(data[lists[0]], data.get("infra"), given)}
    return _collapsed(data, given)


def _placed(entries: Any, infra: Any, given: dict[str, Any]) -> Any:
    """The alternatives with the common parts of a place beside their own."""
    if not isinstance(entries, list):
        return entries
    common = given if infra is None else {"infra": infra}
    out = []
    for entry in entries:
        names = (*PARTS, "infra") if given else PARTS
        if isinstance(entry, dict) and any(key in entry for key in names):
            entry = {**common, **entry}
        out.append(entry)
    return out


def _collapsed(data: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    if not any(key in data for key in PARTS):
        return data
    first = next(iter(given), None)
    if first is not None and data.get("infra") is not None:
        raise bad(f"infra and {first} are both given", _together(data["infra"], given), first)
    data = {key: value for key, value in data.items() if key not in PARTS}
    if given:
        data["infra"] = of_parts(given)
    return data


def _together(infra: Any, given: dict[str, Any]) -> str:
    """How to write a place of which the parts are given apart."""
    parts = dict(zip(PARTS, split(infra) if isinstance(infra, str) else (), strict=False)) | given
    texts = [str(parts.get(key) or "*") for key in PARTS]
    while texts and texts[-1] == "*":
        texts.pop()
    return f"write infra: {'/'.join(texts)} here, and remove {' and '.join(given)}"


def over(base: Resources, entry: Resources) -> Resources:
    """One alternative over the common fields; labels are merged, in a map of its own."""
    own = {name: getattr(entry, name) for name in entry.model_fields_set}
    if "labels" in own:
        own["labels"] = {**base.labels, **entry.labels}
    merged = base.model_copy(update={**own, "any_of": [], "ordered": []})
    merged.__pydantic_fields_set__.difference_update(_LISTS)
    return merged


def spread(base: Resources) -> None:
    """Give each of several accelerators an alternative, and flatten those of alternatives."""
    word = "ordered" if base.ordered else "any_of"
    entries: list[Resources] = []
    for entry in getattr(base, word):
        if entry.ordered:
            fix = "write one list of alternatives, each with one kind of accelerator"
            raise bad("alternatives cannot hold alternatives", fix, word)
        entries += entry.alternatives()
    asked = base.accelerators
    if type(asked) is Choices:
        if len(asked.entries) > 1:
            word, entries = _crossed(base, asked, entries)
            base.accelerators = {}
            base.__pydantic_fields_set__.discard("accelerators")
        else:
            _choose(base, asked.entries[0])
    if len(entries) > MAX_CHOICES:
        fix = "name fewer accelerators, or fewer places"
        raise bad(f"{len(entries)} alternatives are too many; {MAX_CHOICES} may be", fix, word)
    if entries:
        _pushed(base, entries)
        base.__pydantic_fields_set__.difference_update(_LISTS)
        setattr(base, word, entries)


def _crossed(
    base: Resources, asked: Choices, entries: list[Resources]
) -> tuple[str, list[Resources]]:
    if base.ordered or (asked.ordered and base.any_of):
        fix = "put the accelerators into the alternatives"
        said = "several accelerators and a list of alternatives are both given"
        raise bad(said, fix, "accelerators")
    if len(asked.entries) * max(len(entries), 1) > MAX_CHOICES:
        fix = "name fewer accelerators, or fewer places"
        raise bad(f"alternatives are too many; {MAX_CHOICES} may be", fix, "accelerators")
    out: list[Resources] = []
    for entry in entries or [type(base)()]:
        if "accelerators" in entry.model_fields_set:
            out.append(entry)
            continue
        for choice in asked.entries:
            one = entry.model_copy()
            _choose(one, choice)
            out.append(one)
    return ("ordered" if asked.ordered else "any_of"), out


def _choose(resources: Resources, choice: Choice) -> None:
    resources.accelerators = {choice.name: choice.count}
    if not choice.named:
        resources.no_missing_accel_warnings = True


def _pushed(base: Resources, entries: list[Resources]) -> None:
    """Where an alternative empties a common field, the others get it: empty ones are not kept."""
    for name in _EMPTIED & base.model_fields_set:
        common = getattr(base, name)
        if not common or all(getattr(e, name) or name not in e.model_fields_set for e in entries):
            continue
        for entry in entries:
            if name not in entry.model_fields_set:
                setattr(entry, name, common)
        setattr(base, name, None if name == "image_id" else [])
        base.__pydantic_fields_set__.discard(name)


def check(resources: Resources) -> None:
    """Refuse what contradicts itself once the common fields lie beneath the alternatives."""
    if not (resources.any_of or resources.ordered):
        _check(resources)
        return
    choices = resources.alternatives()
    for choice in choices:
        _check(choice)
    priorities = {one.priority for one in choices if one.priority is not None}
    if len(priorities) > 1:
        raise bad("priority differs between the alternatives", "write it once", "priority")


def cloud_of(one: Resources) -> str | None:
    """The cloud that is named, or the one that a TPU stands for."""
    if one.cloud is None:
        for name in one.accelerators:
            if "tpu" in name.lower():
                return "kubernetes" if name in GKE_TPUS else "gcp"
    return one.cloud


def _check(one: Resources) -> None:
    if one.memory is not None and split_amount(one.memory)[0] == 0 and one.cloud != "slurm":
        raise bad("memory must be above zero", _MEMORY_FIX, "memory")
    cloud = cloud_of(one)
    if cloud in POD_CLOUDS:
        _check_pod(one, str(cloud))
    elif cloud is not None and one.instance_type is not None:
        _check_type(cloud, one.instance_type)
    for name in one.accelerators:
        if "tpu" in name.lower():
            _check_tpu(one, name)


def _check_pod(one: Resources, cloud: str) -> None:
    """A node that is a container has no image besides, and no types but those of its size."""
    if one.instance_type is not None and memory_gib(cloud, one.instance_type) is None:
        fix = "write cpus and memory, or a type such as 4CPU--16GB or 4CPU--16GB--H100:1"
        said = f"{cloud} has no instance type {one.instance_type!r}"
        raise bad(said, fix, "instance_type")
    image = one.image_id
    if cloud != "slurm" and isinstance(image, dict) and CONTAINER in image and len(image) > 1:
        fix = f"keep the container below {CONTAINER} alone"
        raise bad(f"an image of {cloud} is a container, and two are named", fix, "image_id")


def _check_type(cloud: str, name: str) -> None:
    if memory_gib(cloud, name) is not None or (cloud == "gcp" and name == TPU_HOST):
        return
    owners = ["gcp"] if name == TPU_HOST else elsewhere(name)
    if owners:
        fix = f"write infra: {owners[0]}, or a type of {cloud}"
        said = f"{name!r} is a type of {' and '.join(owners)}, not of {cloud}"
        raise bad(said, fix, "instance_type")


def _check_tpu(one: Resources, name: str) -> None:
    if one.cloud is not None and one.cloud not in TPU_CLOUDS:
        fix = "write infra: gcp, or infra: kubernetes"
        raise bad(f"{one.cloud} has no TPUs", fix, "infra")
    args = one.accelerator_args
    machine = args is not None and args.tpu_vm is False
    on_gcp = one.cloud in (None, "gcp") and name not in GKE_TPUS
    if on_gcp and not machine and one.instance_type not in (None, TPU_HOST):
        fix = "remove instance_type: a TPU has a host of its own"
        raise bad(f"the instance type {one.instance_type!r} has no TPU", fix, "instance_type")
