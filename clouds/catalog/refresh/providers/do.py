"""DigitalOcean: ``GET /v2/sizes``, paged by links (github digitalocean/openapi, sizes)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu

GIB = {"gib": 1.0, "tib": 1024.0}


class DigitalOcean(Refresher):
    """Prices are in USD and the same in every region of a size."""

    cloud = "do"
    url = "https://api.digitalocean.com"
    source = "DigitalOcean API /v2/sizes"
    secrets = ("DIGITALOCEAN_TOKEN",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.secret['DIGITALOCEAN_TOKEN']}"}

    def first(self) -> list[Page]:
        return [self._page(1)]

    def read(self, page: Page, answer: Answer) -> Found:
        data = answer.record()
        items = [_item(size) for size in data.records("sizes")]
        links = data.record("links") if "links" in data else Record({}, answer.name)
        pages = links.record("pages") if "pages" in links else links
        more = [self._page(int(page.about) + 1)] if "next" in pages else []
        return Found(items, more)

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        for item in items:
            model, count = item["gpu"], item["gpus"]
            # nvidia_h100, amd_mi300x, nvidia_rtx6000_ada; the memory is that of all together.
            name = model.partition("_")[2].replace("_", " ")
            about = gpu(name, count, item["vram"] / count if count else None)
            kind = self.machine(
                item["slug"], item["cpus"], item["mib"] / 1024, local_disk_gib=item["disk"], **about
            )
            if not item["regions"]:
                self.leave_out("sold out, in no region")
            for region in item["regions"]:
                yield Quote(kind, region, on_demand=item["price"])

    @staticmethod
    def _page(number: int) -> Page:
        query = {"per_page": "200", "page": str(number)}
        return Page(f"sizes {number}", "/v2/sizes", query, about=str(number))


def _item(size: Record) -> Item:
    item: Item = {
        "slug": size.text("slug"),
        "cpus": size.number("vcpus"),
        "mib": size.number("memory"),
        "disk": size.number("disk"),
        "price": size.number("price_hourly"),
        "regions": size.texts("regions"),
        "gpu": "",
        "gpus": 0,
        "vram": 0.0,
    }
    if "gpu_info" in size:
        told = size.record("gpu_info")
        memory = told.record("vram")
        unit = GIB.get(memory.text("unit").lower(), 1.0)
        item |= {"gpu": told.text("model"), "gpus": told.number("count")}
        item["vram"] = memory.number("amount") * unit
    return item
