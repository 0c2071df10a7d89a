"""Oracle: the cost estimator's public files ``shapes.json`` and ``products.json``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu
from stix.clouds.catalog.rows import ANYWHERE, COMPUTED, Kind

FLEX = re.compile(r"(.+)\$_(\d+)_(\d+)")
OLDER = {"GPU4": "A100", "GPU3": "V100", "GPU2": "P100"}
USED = {"vm", "bm"}, {"standard", "gpu", "optimized"}
PREEMPTIBLE = 0.5
"""Of the price on demand, always: docs.oracle.com, Concepts/preemptible."""


class Oracle(Refresher):
    """One price for all regions, per OCPU, GiB or GPU; an OCPU is two vCPUs, of Arm one.

    Flexible shapes can be had in any size: those are priced that the catalog has.
    """

    cloud = "oci"
    url = "https://www.oracle.com"
    source = "Oracle cost estimator shapes.json and products.json"
    confidence = COMPUTED

    def first(self) -> list[Page]:
        base = "/a/ocom/docs/cloudestimator2/data"
        return [Page(name, f"{base}/{name}.json") for name in ("products", "shapes")]

    def read(self, page: Page, answer: Answer) -> Found:
        entries = answer.record().records("items")
        if page.key == "products":
            prices = [_price(entry) for entry in entries]
            return Found([{"prices": {k: v for k, v in prices if v is not None}}])
        return Found([item for entry in entries if (item := _shape(entry))])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        every = list(items)
        prices = {k: v for item in every for k, v in item.get("prices", {}).items()}
        flexible: dict[str, list[tuple[float, float]]] = {}
        for name in self.known.kinds():
            if found := FLEX.fullmatch(name):
                flexible.setdefault(found[1], []).append((float(found[2]), float(found[3])))
        for item in every:
            if "name" in item:
                yield from self._shape(item, prices, flexible.get(item["name"], []))

    def _shape(
        self, item: Item, prices: dict[str, float], sizes: list[tuple[float, float]]
    ) -> Iterator[Quote]:
        cores, memory = item["parts"].get("ocpu"), item["parts"].get("memory")
        if set(item["parts"]) - {"ocpu", "memory"} or not cores or cores[0] not in prices:
            self.leave_out("priced by parts that are not known")
            return
        per_core = prices[cores[0]]
        per_gib = prices.get(memory[0], 0.0) if memory else 0.0
        arm = item["arm"] and not item["gpus"]  # of machines with GPUs the list says Arm wrongly
        vcpus = 1 if arm else 2
        arch = "arm64" if arm else "x86_64"
        for cpus, gib in sizes:
            kind = self.machine(f"{item['name']}$_{cpus:g}_{gib:g}", cpus, gib, arch=arch)
            yield self._quote(kind, item, cpus / vcpus * per_core + gib * per_gib)
        if item["name"].endswith(".Flex"):
            return
        gib = item["bundle"] or (memory[1] if memory else 0.0)
        about = gpu(_name(item["name"]), item["gpus"], item["vram"] or None)
        kind = self.machine(item["name"], cores[1] * vcpus, gib, arch=arch, **about)
        # With GPUs the price is that of one of them, all else included.
        price = per_core * (item["gpus"] or cores[1])
        yield self._quote(kind, item, price + (0.0 if item["bundle"] else gib * per_gib))

    @staticmethod
    def _quote(kind: Kind, item: Item, price: float) -> Quote:
        spot = price * PREEMPTIBLE if item["preemptible"] else None
        return Quote(kind, ANYWHERE, on_demand=price, spot=spot)


def _name(shape: str) -> str:
    """``BM.GPU.H100.8`` has H100, ``BM.GPU4.8`` A100."""
    parts = re.split(r"[.-]", shape.upper())
    older = next((OLDER[part] for part in parts if part in OLDER), "")
    after = parts.index("GPU") + 1 if "GPU" in parts else len(parts)
    return older or (parts[after] if after < len(parts) else "")


def _price(entry: Record) -> tuple[str, float | None]:
    """Per hour in USD; None where it is something else, or in steps."""
    number = entry.text("partNumber")
    if entry.data.get("billingModel") != "UCM" or entry.text("pricetype") != "HOUR":
        return number, None
    told = [
        price.number("value")
        for place in entry.records("currencyCodeLocalizations")
        if place.text("currencyCode") == "USD"
        for price in place.records("prices")
        if price.text("model") == "PAY_AS_YOU_GO"
    ]
    return number, told[0] if len(told) == 1 else None


def _shape(entry: Record) -> Item | None:
    kinds, uses = USED
    if entry.flag("hidden") or entry.text("status") != "ACTIVE":
        return None
    if entry.record("shapeType").text("value") not in kinds:
        return None
    if entry.record("subType").text("value") not in uses:
        return None
    count = entry.number("gpuQty") if "gpuQty" in entry else 0.0
    parts = {
        part.record("type").text("value"): (
            part.text("partNumber"),
            part.number("qty") if "qty" in part else 0.0,
        )
        for part in entry.records("products")
    }
    return {
        "name": entry.text("name"),
        "preemptible": entry.flag("allowPreemptible"),
        "arm": entry.record("processorType").text("value") == "arm",
        "bundle": entry.number("bundleMemoryQty") if "bundleMemoryQty" in entry else 0.0,
        "gpus": count,
        "vram": entry.number("gpuMemoryQty") / count if count and "gpuMemoryQty" in entry else 0.0,
        "parts": parts,
    }
