"""Scaleway: ``GET /instance/v1/zones/{zone}/products/servers``, in EUR (www.scaleway.com)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu

COUNTRIES = {"fr-par": "FR", "nl-ams": "NL", "pl-waw": "PL", "it-mil": "IT"}
ZONES = (
    *("fr-par-1", "fr-par-2", "fr-par-3", "nl-ams-1", "nl-ams-2", "nl-ams-3"),
    *("pl-waw-1", "pl-waw-2", "pl-waw-3", "it-mil-1"),
)
PER_PAGE = 100
GIB = 2**30


class Scaleway(Refresher):
    """One list per zone, in pages until an empty one."""

    cloud = "scaleway"
    url = "https://api.scaleway.com"
    source = "Scaleway API /instance/v1/zones/{zone}/products/servers"
    secrets = ("SCW_SECRET_KEY",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"X-Auth-Token": self.secret["SCW_SECRET_KEY"]}

    def first(self) -> list[Page]:
        return [_page(zone, 1) for zone in ZONES]

    def read(self, page: Page, answer: Answer) -> Found:
        servers = answer.record().members("servers")
        items = [_item(name, entry, page.about) for name, entry in servers.items()]
        number = int(page.query["page"])
        more = [_page(page.about, number + 1)] if items else []
        return Found(items, more)

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        self.countries |= COUNTRIES
        for item in items:
            if item["ended"]:
                self.leave_out("no longer sold")
                continue
            count = item["gpus"]
            about = gpu(item["gpu"], count, round(item["vram"] / GIB) if count else None)
            kind = self.machine(
                item["name"], item["cpus"], item["ram"] / GIB, arch=item["arch"], **about
            )
            region = item["zone"].rpartition("-")[0]
            yield Quote(kind, region, item["zone"], item["price"], currency="EUR")


def _page(zone: str, number: int) -> Page:
    query = {"page": str(number), "per_page": str(PER_PAGE)}
    path = f"/instance/v1/zones/{zone}/products/servers"
    return Page(f"{zone} {number}", path, query, about=zone)


def _item(name: str, entry: Record, zone: str) -> Item:
    count = entry.number("gpu") if "gpu" in entry else 0.0
    told = entry.record("gpu_info") if count and "gpu_info" in entry else None
    return {
        "name": name,
        "zone": zone,
        "price": entry.number("hourly_price"),
        "cpus": entry.number("ncpus"),
        "ram": entry.number("ram"),
        "arch": entry.text("arch"),
        "ended": entry.flag("end_of_service") if "end_of_service" in entry else False,
        "gpus": count,
        # Older answers name no model: it stands in the type (H100-1-80G).
        "gpu": told.text("gpu_name") if told else name.partition("-")[0],
        "vram": told.number("gpu_memory") if told else 0.0,
    }
