"""Hyperstack: ``GET /v1/core/flavors`` and ``/v1/pricebook`` (docs.hyperstack.cloud)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu
from stix.clouds.catalog.rows import COMPUTED

SPOT = "-spot"


class Hyperstack(Refresher):
    """The price book has a price per GPU and hour, vCPUs and memory included."""

    cloud = "hyperstack"
    url = "https://infrahub-api.nexgencloud.com"
    source = "Hyperstack API /v1/pricebook and /v1/core/flavors"
    confidence = COMPUTED
    secrets = ("HYPERSTACK_API_KEY",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"api_key": self.secret["HYPERSTACK_API_KEY"]}

    def first(self) -> list[Page]:
        return [Page("pricebook", "/v1/pricebook"), Page("flavors", "/v1/core/flavors")]

    def read(self, page: Page, answer: Answer) -> Found:
        if page.key == "pricebook":
            prices = {p.text("name"): p.number("value") for p in answer.records()}
            return Found([{"prices": prices}])
        groups = answer.record().records("data")
        return Found([_item(f) for group in groups for f in group.records("flavors")])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        every = list(items)
        prices = {k: v for item in every for k, v in item.get("prices", {}).items()}
        for item in every:
            if "name" not in item:
                continue
            price = prices.get(item["gpu"])
            if not item["gpus"] or price is None or item["name"].endswith(SPOT):
                self.leave_out("not priced per GPU")
                continue
            kind = self.machine(
                item["name"],
                item["cpus"],
                item["memory"],
                local_disk_gib=item["disk"],
                **gpu(item["gpu"], item["gpus"]),
            )
            yield Quote(kind, item["region"], on_demand=price * item["gpus"])


def _item(entry: Record) -> Item:
    return {
        "name": entry.text("name"),
        "region": entry.text("region_name"),
        "cpus": entry.number("cpu"),
        "memory": entry.number("ram"),
        "disk": entry.number("ephemeral") if "ephemeral" in entry else None,
        "gpu": entry.text("gpu") if "gpu" in entry else "",
        "gpus": entry.number("gpu_count"),
    }
