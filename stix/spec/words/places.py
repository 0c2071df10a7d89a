"""The language of ``infra``: cloud, region and zone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from stix.spec.base import bad
from stix.spec.problems import choose
from stix.spec.values import kind

SKY_CLOUDS = frozenset(
    [
        "aws",
        "azure",
        "gcp",
        "ibm",
        "lambda",
        "scp",
        "oci",
        "kubernetes",
        "runpod",
        "vast",
        "vsphere",
        "cudo",
        "fluidstack",
        "paperspace",
        "primeintellect",
        "do",
        "nebius",
        "ssh",
        "slurm",
        "hyperbolic",
        "seeweb",
        "shadeform",
        "yotta",
        "mithril",
        "verda",
    ]
)
"""The clouds of SkyPilot."""
PARTS = ("cloud", "region", "zone")
_FIX = "write cloud, cloud/region or cloud/region/zone, such as local, ssh/pool or aws/us-east-1"
_EXAMPLE = {"cloud": "aws", "region": "us-east-1", "zone": "us-east-1a"}


@lru_cache(maxsize=1)
def clouds() -> frozenset[str]:
    """Every cloud that may be named: SkyPilot's, and those installed here."""
    return SKY_CLOUDS | {"local"} | {p.name.lower() for p in entry_points(group="stix.clouds")}


def _cloud(name: str, field: str = "") -> str:
    if name == "local" or name in SKY_CLOUDS or name in clouds():
        return name
    raise bad(f"{name!r} is not a known cloud", choose(name, sorted(clouds())), field)


def infra(value: Any) -> str | None:
    """Canonical ``cloud/region/zone`` with ``*`` for holes; None where anything will do."""
    if not isinstance(value, str):
        raise bad(f"infra must be text, not {kind(value)}", _FIX)
    head, *rest = value.split("/")
    name = head.lower()
    if name == "k8s":
        name = "kubernetes"
    if name == "kubernetes" and len(rest) > 1 and not rest[-1]:
        rest.pop()
    rest = [part.strip() for part in rest]
    if not all(rest) or not name.strip() or (len(rest) > 2 and name != "kubernetes"):
        raise bad(f"{value!r} is not a place", _FIX)
    if name != "*":
        _cloud(name)
    return _joined(name, rest)


def _joined(cloud: str, rest: list[str]) -> str | None:
    parts = [cloud, *rest]
    while parts and parts[-1] == "*":
        parts.pop()
    return "/".join(parts) or None


def of_parts(given: Mapping[str, Any]) -> str | None:
    """The same of ``cloud``, ``region`` and ``zone``, none of which is null."""
    for key, value in given.items():
        if not isinstance(value, str):
            fix = f"write a name, such as {key}: {_EXAMPLE[key]}"
            raise bad(f"{key} must be text, not {kind(value)}", fix, key)
    cloud = "*"
    if "cloud" in given:
        cloud = _cloud(given["cloud"].lower(), "cloud")
    rest = [given.get(key, "").strip() or "*" for key in ("region", "zone")]
    if cloud != "kubernetes":
        for key, text in zip(("region", "zone"), rest, strict=True):
            if "/" in text:
                fix = f"write a name, such as {key}: {_EXAMPLE[key]}"
                raise bad(f"{text!r} is not a {key}", fix, key)
    if cloud == "ssh":
        rest[0] = rest[0].removeprefix("ssh-")
    return _joined(cloud, rest)


def split(text: str | None) -> tuple[str | None, str | None, str | None]:
    """Cloud, region and zone of a canonical place; None for each hole."""
    if text is None:
        return None, None, None
    cloud, _, rest = text.partition("/")
    parts = [cloud, rest] if cloud == "kubernetes" else text.split("/")
    holes = [part if part not in ("", "*") else None for part in parts]
    first, second, third = (*holes, None, None)[:3]
    return first, second, third
