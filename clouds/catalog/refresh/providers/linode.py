"""Linode: ``GET /v4/linode/types`` and ``/v4/regions``, public (techdocs.akamai.com/linode-api)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu

# "RTX4000 Ada x1 Small", "Dedicated 32GB + RTX6000 GPU x1"
NAME = re.compile(r"(?:.* \+ )?(.+?)(?: GPU)? x\d+\b")
WITH_GPUS = "GPU Linodes"


class Linode(Refresher):
    """One price for all regions but those in ``region_prices``."""

    cloud = "linode"
    url = "https://api.linode.com"
    source = "Linode API /v4/linode/types"

    def first(self) -> list[Page]:
        return [_page("regions", 1), _page("linode/types", 1)]

    def read(self, page: Page, answer: Answer) -> Found:
        data = answer.record()
        item = _region if page.about == "regions" else _type
        items = [item(entry) for entry in data.records("data")]
        number = int(data.number("page"))
        more = [_page(page.about, number + 1)] if number < data.number("pages") else []
        return Found(items, more)

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        every = list(items)
        regions = [item for item in every if "country" in item]
        self.countries |= {region["id"]: region["country"] for region in regions}
        for item in every:
            if "price" in item:
                yield from self._type(item, regions)

    def _type(self, item: Item, regions: list[Item]) -> Iterator[Quote]:
        count = item["gpus"]
        found = NAME.match(item["label"])
        about = gpu(found[1] if found else item["label"], count)
        kind = self.machine(
            item["id"],
            item["cpus"],
            item["mib"] / 1024,
            local_disk_gib=item["disk"] / 1024,
            **about,
        )
        for region in regions:
            if not count or region["gpus"]:
                price = item["prices"].get(region["id"], item["price"])
                yield Quote(kind, region["id"], on_demand=price)


def _page(path: str, number: int) -> Page:
    query = {"page": str(number), "page_size": "500"}
    return Page(f"{path} {number}", f"/v4/{path}", query, about=path)


def _region(entry: Record) -> Item:
    return {
        "id": entry.text("id"),
        "country": entry.text("country").upper(),
        "gpus": WITH_GPUS in entry.texts("capabilities"),
    }


def _type(entry: Record) -> Item:
    places = entry.records("region_prices") if "region_prices" in entry else []
    return {
        "id": entry.text("id"),
        "label": entry.text("label"),
        "cpus": entry.number("vcpus"),
        "mib": entry.number("memory"),
        "disk": entry.number("disk"),
        "gpus": entry.number("gpus"),
        "price": entry.record("price").number("hourly"),
        "prices": {p.text("id"): p.number("hourly") for p in places if "hourly" in p},
    }
