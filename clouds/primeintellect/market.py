"""What Prime Intellect offers now, as offers of ours. Source: ``GpuAvailability`` of its document.

An offer's type is ``provider:cloudId``; its region is theirs, and its zone their data centre.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stix.clouds.errors import InvalidRequest
from stix.plan.offers import Offer
from stix.spec.words import accelerators

CLOUD = "primeintellect"
GONE = "Unavailable"


def offers_of(items: Sequence[Mapping[str, Any]]) -> list[Offer]:
    """Those that can be rented by the hour in USD; of two of one name, the cheaper one."""
    best: dict[tuple[str, str, bool], Offer] = {}
    for item in items:
        offer = offer_of(item)
        if offer is None:
            continue
        name = (offer.infra, offer.instance_type, offer.spot)
        if name not in best or offer.price < best[name].price:
            best[name] = offer
    return list(best.values())


def offer_of(item: Mapping[str, Any]) -> Offer | None:
    """None where it is not for us: out of stock, prepaid, of another currency, or not described."""
    price = _price(item)
    cpus, memory = _count(item, "vcpu"), _count(item, "memory")
    if item.get("stockStatus") == GONE or item.get("prepaidTime"):
        return None
    if price is None or not cpus or not memory:
        return None
    gpu = "" if item["gpuType"] == "CPU_NODE" else _gpu(item["gpuType"])
    return Offer(
        cloud=CLOUD,
        region=item.get("region") or "-",
        zone=item.get("dataCenter") or None,
        instance_type=f"{item['provider']}:{item['cloudId']}",
        cpus=float(cpus),
        memory_gib=float(memory),
        accelerators={gpu: float(item["gpuCount"])} if gpu else {},
        price=price,
        spot=bool(item.get("isSpot")),
        accelerator_memory_gib=float(item.get("gpuMemory") or 0) if gpu else 0.0,
    )


def pod_of(item: Mapping[str, Any], disk_gib: int | None) -> dict[str, Any]:
    """The part of an order that says what is rented.

    Raises:
        InvalidRequest: the disk cannot have that size.
    """
    disk = item.get("disk") or {}
    least, most = disk.get("minCount"), disk.get("maxCount")
    fits = (least is None or least <= (disk_gib or least)) and (
        most is None or (disk_gib or 0) <= most
    )
    if disk_gib is not None and not (fits and (least or most)):
        raise InvalidRequest(
            f"{CLOUD}: a disk of {disk_gib} GiB, where {least} to {most} are possible",
            fix="change or remove `disk_size`",
        )
    wanted = {
        "cloudId": item["cloudId"],
        "gpuType": item["gpuType"],
        "socket": item["socket"],
        "gpuCount": item["gpuCount"],
        "diskSize": disk_gib or _count(item, "disk"),
        "vcpus": _count(item, "vcpu"),
        "memory": _count(item, "memory"),
        "dataCenterId": item.get("dataCenter"),
        "country": item.get("country"),
        "security": item["security"],
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _gpu(name: str) -> str:
    """``RTX4090_24GB`` is ``RTX4090``; the memory counts where it makes another accelerator."""
    plain = re.sub(r"_\d+GB$", "", name)
    return accelerators.canonical(name) or accelerators.spelled(plain)


def _count(item: Mapping[str, Any], name: str) -> int | None:
    found: int | None = (item.get(name) or {}).get("defaultCount")
    return found


def _price(item: Mapping[str, Any]) -> float | None:
    """USD/h of all that is ordered: what is not in the price is paid by the unit."""
    prices = item["prices"]
    names = ("onDemand", "communityPrice")
    if item["security"] == "community_cloud":
        names = ("communityPrice", "onDemand")
    base = next((prices[name] for name in names if prices.get(name) is not None), None)
    if base is None or prices["currency"] != "USD":
        return None
    more = 0.0
    for name in ("disk", "vcpu", "memory"):
        spec = item.get(name) or {}
        if spec.get("defaultIncludedInPrice") is False:
            more += (spec.get("defaultCount") or 0) * (spec.get("pricePerUnit") or 0.0)
    return round(float(base) + more, 5)
