"""What the account can rent: moto's own tables of types, and names of images."""

from __future__ import annotations

import functools
import gzip
import json
from importlib import resources
from typing import Any

QUOTAS = {
    "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 64.0),
    "L-DB2E81BA": ("Running On-Demand G and VT instances", 8.0),
    "L-417A185B": ("Running On-Demand P instances", 0.0),
    "L-34B43A08": ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 32.0),
    "L-0263D0A3": ("EC2-VPC Elastic IPs", 5.0),
}


def zones(kind: str, region: str) -> list[str]:
    """The zones in which a type is offered, sorted."""
    try:
        rows = _table(f"instance_type_offerings/availability-zone/{region}.json.gz")
    except FileNotFoundError:
        return []
    return sorted(row["Location"] for row in rows if row["InstanceType"] == kind)


def vcpus(kind: str) -> int:
    return int(_types()[kind]["VCpuInfo"]["DefaultVCpus"]) if kind in _types() else 0


def arch(kind: str) -> str:
    found = _types().get(kind, {}).get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    return str(found[-1]) if found else ""


def images(region: str) -> dict[str, str]:
    """Images of a region, each with its architecture."""
    rows = _table(f"latest_amis/{region}.json.gz")
    return {row["ami_id"]: row["architecture"] for row in rows if row["name"].startswith("al2")}


def parameter(name: str, region: str = "us-east-1") -> str:
    """The image that a public parameter of Canonical or of the deep learning images names."""
    arch = "arm64" if "arm64" in name else "x86_64"
    fitting = sorted(each for each, of in images(region).items() if of == arch)
    known = {"/aws/service/canonical/ubuntu/server/": 0, "/aws/service/deeplearning/ami/": 1}
    found = [number for start, number in known.items() if name.startswith(start)]
    return fitting[found[0]] if found and name.endswith("/ami-id") else ""


@functools.cache
def _types() -> dict[str, Any]:
    found: dict[str, Any] = _table("instance_types.json.gz")
    return found


@functools.cache
def _table(name: str) -> Any:
    place = resources.files("moto.ec2").joinpath("resources")
    return json.loads(gzip.decompress(place.joinpath(*name.split("/")).read_bytes()))


X86_IMAGE = parameter("/aws/service/canonical/ubuntu/server/x86_64/ami-id")
ARM_IMAGE = parameter("/aws/service/canonical/ubuntu/server/arm64/ami-id")
GPU_IMAGE = parameter("/aws/service/deeplearning/ami/x86_64/ami-id")
"""Of us-east-1."""
