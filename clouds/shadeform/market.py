"""What Shadeform offers now, as offers of ours. Source: ``InstanceType`` of its API document.

An offer's type is ``cloud:shade_instance_type``. Prices are in cents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stix.plan.offers import Offer
from stix.spec.words import accelerators

CLOUD = "shadeform"


def offers_of(types: Sequence[Mapping[str, Any]]) -> list[Offer]:
    """One per type and region where it is to be had; of two of one name, the cheaper one."""
    best: dict[tuple[str, str], Offer] = {}
    for kind in types:
        for place in kind.get("availability") or ():
            offer = _offer(kind, place["region"]) if place.get("available") else None
            if offer is None:
                continue
            name = (offer.region, offer.instance_type)
            if name not in best or offer.price < best[name].price:
                best[name] = offer
    return list(best.values())


def _offer(kind: Mapping[str, Any], region: str) -> Offer | None:
    """None where the machine is not described."""
    what = kind["configuration"]
    cpus, memory, gpus = what.get("vcpus"), what.get("memory_in_gb"), what.get("num_gpus") or 0
    if not cpus or not memory:
        return None
    gpu = _gpu(str(what.get("gpu_type") or "")) if gpus else ""
    return Offer(
        cloud=CLOUD,
        region=region,
        zone=None,
        instance_type=f"{kind['cloud']}:{kind['shade_instance_type']}",
        cpus=float(cpus),
        memory_gib=float(memory),
        accelerators={gpu: float(gpus)} if gpu else {},
        price=kind["hourly_price"] / 100,
        local_disk_gib=float(what["storage_in_gb"]) if what.get("storage_in_gb") else None,
        accelerator_memory_gib=float(what.get("vram_per_gpu_in_gb") or 0) if gpu else 0.0,
    )


def _gpu(name: str) -> str:
    """``A100_80G`` and ``H100_sxm5`` as we spell them."""
    spellings = (name, f"{name}B", name.partition("_")[0])
    known = (accelerators.canonical(each) for each in spellings)
    return next((each for each in known if each), name)
