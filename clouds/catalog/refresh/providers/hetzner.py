"""Hetzner Cloud: ``GET /v1/server_types`` and ``/v1/pricing`` (docs.hetzner.cloud)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher

ARCH = {"x86": "x86_64", "arm": "arm64"}
COUNTRIES = {"fsn1": "DE", "nbg1": "DE", "hel1": "FI", "ash": "US", "hil": "US", "sin": "SG"}


class Hetzner(Refresher):
    """Net prices, in the currency of the account: ``/pricing`` says which."""

    cloud = "hetzner"
    url = "https://api.hetzner.cloud"
    source = "Hetzner Cloud API /v1/server_types"
    secrets = ("HCLOUD_TOKEN",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.secret['HCLOUD_TOKEN']}"}

    def first(self) -> list[Page]:
        return [Page("pricing", "/v1/pricing"), _page(1)]

    def read(self, page: Page, answer: Answer) -> Found:
        data = answer.record()
        if page.key == "pricing":
            return Found([{"currency": data.record("pricing").text("currency")}])
        items = [_item(entry) for entry in data.records("server_types")]
        pagination = data.record("meta").record("pagination")
        following = int(pagination.number("next_page")) if "next_page" in pagination else 0
        return Found(items, [_page(following)] if following else [])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        self.countries |= COUNTRIES
        every = list(items)
        currency = next(item["currency"] for item in every if "currency" in item)
        for item in every:
            if "name" not in item:
                continue
            disk = item["disk"] if item["local"] else 0.0
            arch = ARCH.get(item["arch"], item["arch"])
            kind = self.machine(
                item["name"], item["cpus"], item["memory"], arch=arch, local_disk_gib=disk
            )
            for region, price in item["prices"].items():
                if item["places"].get(region, False):
                    yield Quote(kind, region, on_demand=price, currency=currency)
                else:
                    self.leave_out("deprecated, or not sold in the location")


def _page(number: int) -> Page:
    query = {"page": str(number), "per_page": "50"}
    return Page(f"server_types {number}", "/v1/server_types", query)


def _item(entry: Record) -> Item:
    prices = {
        p.text("location"): p.record("price_hourly").number("net") for p in entry.records("prices")
    }
    return {
        "name": entry.text("name"),
        "cpus": entry.number("cores"),
        "memory": entry.number("memory"),
        "disk": entry.number("disk"),
        "local": entry.text("storage_type") == "local",
        "arch": entry.text("architecture"),
        "prices": prices,
        "places": {p.text("name"): "deprecation" not in p for p in entry.records("locations")},
    }
