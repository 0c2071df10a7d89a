"""Memory of the machines that clouds offer, by the name of their type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

_BY_NAME = {
    "ibm": (re.compile(r".*?-\d+x(\d+)(?:x.*)?\Z"), 1.0),
    "oci": (re.compile(r".*\$_\d+_(\d+)\Z"), 1.0),
    "vast": (re.compile(r".*-(\d+)\Z"), 1 / 1024),
    "hyperbolic": (re.compile(r".*-(\d+)\Z"), 1.0),
    "nebius": (re.compile(r".*-(\d+)gb\Z"), 1.0),
    "cudo": (re.compile(r".*v(\d+)gb\Z"), 1.0),
    "kubernetes": (re.compile(r"[\d.]+CPU--(\d+(?:\.\d+)?)GB(?:--.*)?\Z"), 1.0),
}
"""Clouds whose names of types hold the memory, and what one unit of it is in GiB."""
_BY_NAME["slurm"] = _BY_NAME["ssh"] = _BY_NAME["kubernetes"]
COMPLETE = ("aws", "gcp")
"""Clouds of which the table has every type that was offered at its date."""
_AZURE = re.compile(r"Standard_(?:([DE])(\d\d?)[a-z]*_v[34]|(F)(\d\d?)s_v2)\Z")
_AZURE_GIB = {"D": 4.0, "E": 8.0, "F": 2.0}
"""GiB for each vCPU of Azure's older families, by its documentation."""
_MULTIPLE = re.compile(r"(\d+)x_(.+)\Z")


def memory_gib(cloud: str, instance_type: str) -> float | None:
    """GiB of memory of a type of machine; None where it is not known."""
    rule = _BY_NAME.get(cloud)
    found = rule[0].match(instance_type) if rule else None
    if rule and found:
        return float(found[1]) * rule[1]
    known = _table().get(cloud, {})
    if cloud == "runpod" and instance_type not in known:
        # A machine with several accelerators is as many of those with one.
        several = _MULTIPLE.match(instance_type)
        one = known.get(f"1x_{several[2]}") if several else None
        return float(several[1]) * one if several and one else None
    family = _AZURE.match(instance_type) if cloud == "azure" else None
    if family and instance_type not in known:
        name, count = family[1] or family[3], int(family[2] or family[4])
        # The largest of the family E have less than the rest of it for each vCPU.
        return count * _AZURE_GIB[name] if name != "E" or count <= 48 else None
    return known.get(instance_type)


def types(cloud: str) -> list[str]:
    """All types of a cloud in the table."""
    return list(_table().get(cloud, {}))


def elsewhere(instance_type: str) -> list[str]:
    """Clouds in whose table a type is."""
    return [cloud for cloud, known in _table().items() if instance_type in known]


@cache
def _table() -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    for cloud, gib, names in _rows():
        out.setdefault(cloud, {}).update(dict.fromkeys(names.split(), gib))
    return out


def _rows() -> Iterator[tuple[str, float, str]]:
    text = files("stix.spec.words").joinpath("data/instance_memory.csv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            cloud, gib, names = line.split(",")
            yield cloud, float(gib), names
