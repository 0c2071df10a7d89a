"""What the account can rent: moto's own tables of types, and names of images."""

from __future__ import annotations

import functools
import gzip
import json
from importlib import resources
from typing import Any

X86_IMAGE = "ami-03c3da4cfa8e8943a"
ARM_IMAGE = "ami-08a311a6aaa3cd94a"
GPU_IMAGE = "ami-0992812326828ff49"
IMAGES = {X86_IMAGE: "x86_64", ARM_IMAGE: "arm64", GPU_IMAGE: "x86_64"}
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


def parameter(name: str) -> str:
    """The image that a public parameter of Canonical or of the deep learning images names."""
    if not name.endswith("/ami-id"):
        return ""
    if name.startswith("/aws/service/deeplearning/ami/"):
        return GPU_IMAGE if "/x86_64/" in name else ARM_IMAGE
    if name.startswith("/aws/service/canonical/ubuntu/server/"):
        return ARM_IMAGE if "/arm64/" in name else X86_IMAGE
    return ""


@functools.cache
def _types() -> dict[str, Any]:
    found: dict[str, Any] = _table("instance_types.json.gz")
    return found


@functools.cache
def _table(name: str) -> Any:
    place = resources.files("moto.ec2").joinpath("resources")
    return json.loads(gzip.decompress(place.joinpath(*name.split("/")).read_bytes()))
