"""Shadeform: ``GET /v1/instances/types`` (api-evangelist/shadeform, instance-types-api)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu


class Shadeform(Refresher):
    """A broker: a machine is named by its cloud and its type there; prices are in cents."""

    cloud = "shadeform"
    url = "https://api.shadeform.ai"
    source = "Shadeform API /v1/instances/types"
    secrets = ("SHADEFORM_API_KEY",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"X-API-KEY": self.secret["SHADEFORM_API_KEY"]}

    def first(self) -> list[Page]:
        return [Page("types", "/v1/instances/types")]

    def read(self, page: Page, answer: Answer) -> Found:
        return Found([_item(entry) for entry in answer.record().records("instance_types")])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        for item in items:
            kind = self.machine(
                f"{item['cloud']}_{item['type']}",
                item["cpus"],
                item["memory"],
                local_disk_gib=item["disk"],
                **gpu(item["gpu"], item["gpus"], item["vram"]),
            )
            for region in item["regions"]:
                yield Quote(kind, region, on_demand=item["cents"] / 100)


def _item(entry: Record) -> Item:
    told = entry.record("configuration")
    count = told.number("num_gpus")
    return {
        "cloud": entry.text("cloud"),
        "type": entry.text("shade_instance_type"),
        "cents": entry.number("hourly_price"),
        "cpus": told.number("vcpus"),
        "memory": told.number("memory_in_gb"),
        "disk": told.number("storage_in_gb"),
        "gpus": count,
        "gpu": told.text("gpu_type") if count else "",
        "vram": told.number("vram_per_gpu_in_gb") if count else 0.0,
        "regions": [place.text("region") for place in entry.records("availability")],
    }
