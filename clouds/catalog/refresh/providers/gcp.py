"""Google Cloud: the billing catalog, ``GET /v1/services/{id}/skus`` (cloud.google.com/billing).

A SKU is a price per vCPU, GiB or GPU of a family in some regions, and its name is a sentence. It
does not say which machines there are, nor where: the machines of the catalog are priced anew, each
in its places. What cannot be priced whole (TPUs, families with an own local disk) stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu
from stix.clouds.catalog.refresh.errors import ChangedSchema
from stix.clouds.catalog.rows import COMPUTED, SLICE, Kind, Row

SERVICE = "6F81-5844-456A"
MARKETS = {"OnDemand": "", "Preemptible": "spot "}
OTHER = (
    "Sole Tenancy",
    "Reserved",
    "Premium",
    "Custom",
    "suspended",
    "Commitment",
    "DWS",
    "Upgrade",
)
PART = re.compile(r"(?:Spot Preemptible )?(.+?) (?:Instance )?(Core|Ram) running in .+", re.I)
GPU = re.compile(
    r"(?:Spot Preemptible )?Nvidia (?:Tesla )?(.+?) GPU(?: attached.*)? running in .+", re.I
)
FAMILY = re.compile(r"([a-z]\d[a-z]?)\b", re.I)
NAMED = {"compute optimized": "c2", "memory-optimized": "m1", "a3plus": "a3-megagpu"}
RENAMED = {
    "H100 80GB Plus": "H100-MEGA",
    "H100 80GB Mega": "H100-MEGA",
    "RTX 6000 96GB": "RTX-PRO-6000",
}
LOCAL_GIB = {f"a2-ultragpu-{n}g": 375.0 * n for n in (1, 2, 4, 8)} | {
    "a3-highgpu-8g": 16 * 375.0,
    "a3-megagpu-8g": 16 * 375.0,
}
"""Local disks that are part of the price: cloud.google.com/compute/docs/disks/local-ssd."""
NOT_WHOLE = re.compile(
    r"(a3-highgpu-[124]g|a3-(ultra|edge)gpu|a4|c3.*lssd|z3|m[23]|g1|f1|e2-(mi|sm|me))"
)
"""Machines of which a part has no price here: another local disk, half a vCPU, a slice."""
HOURS = 730


class Google(Refresher):
    """Prices of machines are sums of list prices."""

    cloud = "gcp"
    url = "https://cloudbilling.googleapis.com"
    source = "Google Cloud Billing Catalog API"
    confidence = COMPUTED
    secrets = ("GOOGLE_API_KEY",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"X-Goog-Api-Key": self.secret["GOOGLE_API_KEY"]}

    def first(self) -> list[Page]:
        return [_page("")]

    def read(self, page: Page, answer: Answer) -> Found:
        data = answer.record()
        items = [item for sku in data.records("skus") if (item := _item(sku))]
        token = data.text("nextPageToken") if "nextPageToken" in data else ""
        return Found(items, [_page(token)] if token else [])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        prices: dict[tuple[str, str], float] = {}
        for item in items:
            for region in item["regions"]:
                prices[item["what"], region] = item["price"]
        for row in self.known.rows:
            if self._outside(row.kind):
                continue
            on_demand, spot = (_sum(row, prices, market) for market in MARKETS.values())
            if on_demand is None and spot is None:
                self.leave_out("no price for a part of the machine")
            yield Quote(row.kind, row.region, row.zone, on_demand, spot)

    def keeps(self, row: Row) -> bool:
        return True  # what has no price in the list is there all the same

    @staticmethod
    def _outside(kind: Kind) -> bool:
        return kind.scope == SLICE or bool(NOT_WHOLE.match(kind.instance_type))


def _sum(row: Row, prices: Mapping[tuple[str, str], float], market: str) -> float | None:
    kind = row.kind
    family = _family(kind.instance_type)
    parts = {
        f"{family} core": kind.cpus,
        f"{family} ram": kind.memory_gib,
        kind.accelerator: kind.accelerator_count,
        "local ssd": LOCAL_GIB.get(kind.instance_type, 0.0),
    }
    found = [
        (prices.get((market + what, row.region)), count) for what, count in parts.items() if count
    ]
    known = [price * count for price, count in found if price is not None]
    return sum(known) if len(known) == len(found) else None


def _family(machine: str) -> str:
    return "a3-megagpu" if machine.startswith("a3-megagpu") else machine.partition("-")[0]


def _page(token: str) -> Page:
    query = {"pageSize": "5000", "currencyCode": "USD"} | ({"pageToken": token} if token else {})
    return Page(f"skus {token}".strip(), f"/v1/services/{SERVICE}/skus", query)


def _item(sku: Record) -> Item | None:
    category, text = sku.record("category"), sku.text("description")
    market = MARKETS.get(category.text("usageType"))
    if market is None or any(word in text for word in OTHER):
        return None
    what = _what(category.text("resourceFamily"), text)
    if what is None:
        return None
    # The newest comes last; a list in steps has its first step at 0.
    told = sku.records("pricingInfo")
    rates = told[-1].record("pricingExpression").records("tieredRates") if told else []
    if not rates:
        return None
    price = rates[-1].record("unitPrice")
    parts = {name: price.number(name) for name in ("units", "nanos") if name in price}
    if not parts:
        raise ChangedSchema(f"{price.where} has neither units nor nanos")
    usd = parts.get("units", 0.0) + parts.get("nanos", 0.0) / 1e9
    return {
        "what": market + what,
        "price": usd / HOURS if what == "local ssd" else usd,
        "regions": sku.texts("serviceRegions"),
    }


def _what(resource: str, text: str) -> str | None:
    """What a SKU is the price of; None where it is nothing of a machine."""
    if resource == "Storage" and text.lower().startswith("ssd backed local storage"):
        return "local ssd"
    if resource != "Compute":
        return None
    if found := GPU.fullmatch(text):
        name = next((ours for theirs, ours in RENAMED.items() if theirs in found[1]), found[1])
        return str(gpu(name, 1)["accelerator"])
    if found := PART.fullmatch(text):
        said = found[1].lower()
        family = next((short for words, short in NAMED.items() if said.startswith(words)), None)
        short = FAMILY.match(said)
        return f"{family or (short[1].lower() if short else said)} {found[2].lower()}"
    return None
