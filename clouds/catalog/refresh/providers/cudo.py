"""Cudo: ``GET /v1/vms/machine-types``: prices per vCPU, GiB and GPU (rest.compute.cudo.org)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu
from stix.clouds.catalog.rows import COMPUTED

SIZES = ((1, 2, 4), (1, 4, 8), (1, 8, 16), (2, 8, 16), (2, 16, 32), (4, 16, 32), (8, 32, 64))
"""GPUs, vCPUs and GiB of machines to price: any size can be had."""


class Cudo(Refresher):
    """Machines are made to measure; some sizes stand for all. Disk and IPv4 come on top."""

    cloud = "cudo"
    url = "https://rest.compute.cudo.org"
    source = "Cudo API /v1/vms/machine-types"
    confidence = COMPUTED
    secrets = ("CUDO_API_KEY",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.secret['CUDO_API_KEY']}"}

    def first(self) -> list[Page]:
        return [Page("machine-types", "/v1/vms/machine-types")]

    def read(self, page: Page, answer: Answer) -> Found:
        return Found([_item(entry) for entry in answer.record().records("machineTypes")])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        for item in items:
            if not item["model"]:
                self.leave_out("without accelerators")
                continue
            for gpus, cpus, memory in SIZES:
                if not item["least"] <= cpus / gpus <= item["most"]:
                    continue
                name = f"{item['type']}_{gpus}x{cpus}v{memory}gb"
                kind = self.machine(name, cpus, memory, **gpu(item["model"], gpus, item["vram"]))
                price = cpus * item["cpu"] + memory * item["gib"] + gpus * item["gpu"]
                yield Quote(kind, item["place"], on_demand=price if item["gpu"] > 0 else 0.0)


def _item(entry: Record) -> Item:
    model = entry.text("gpuModel") if "gpuModel" in entry else ""
    return {
        "type": entry.text("machineType"),
        "place": entry.text("dataCenterId"),
        "model": model,
        "vram": entry.number("gpuMemoryGib") if "gpuMemoryGib" in entry else None,
        "least": entry.number("minVcpuPerGpu") if "minVcpuPerGpu" in entry else 0.0,
        "most": entry.number("maxVcpuPerGpu") if "maxVcpuPerGpu" in entry else 1e9,
        "cpu": _price(entry, "vcpuPriceHr"),
        "gib": _price(entry, "memoryGibPriceHr"),
        "gpu": _price(entry, "gpuPriceHr") if model else 0.0,
    }


def _price(entry: Record, name: str) -> float:
    return entry.record(name).number("value")
