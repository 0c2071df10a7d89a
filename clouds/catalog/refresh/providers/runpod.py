"""RunPod: GraphQL ``gpuTypes``, one request per number of GPUs (api.runpod.io/graphql)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu
from stix.clouds.catalog.refresh.errors import Refused
from stix.clouds.catalog.rows import ANYWHERE, COMPUTED, LISTED, MARKET

COUNTS = (1, 2, 4, 8)
MARKETS = ("secure", "community")
QUERY = """
query Prices($one: GpuLowestPriceInput, $other: GpuLowestPriceInput) {
  gpuTypes {
    id displayName memoryInGb maxGpuCount
    secureCloud communityCloud
    securePrice communityPrice secureSpotPrice communitySpotPrice
    secure: lowestPrice(input: $one) { minVcpu minMemory }
    community: lowestPrice(input: $other) { minVcpu minMemory }
  }
}
"""


class RunPod(Refresher):
    """Prices are per GPU, the same in all data centres.

    vCPUs and memory are the least that one gets now; of machines in the catalog those stand there.
    """

    cloud = "runpod"
    url = "https://api.runpod.io"
    source = "RunPod API graphql gpuTypes"
    optional = ("RUNPOD_API_KEY",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        key = self.secret.get("RUNPOD_API_KEY")
        return {"Authorization": f"Bearer {key}"} if key else {}

    def first(self) -> list[Page]:
        return [_page(count) for count in COUNTS]

    def read(self, page: Page, answer: Answer) -> Found:
        data = answer.record()
        if "errors" in data:  # with status 200
            said = "; ".join(e.text("message") for e in data.records("errors"))
            raise Refused(f"{answer.name}: the provider answers: {said[:200]}")
        count = int(page.about)
        types = data.record("data").records("gpuTypes")
        return Found([item for entry in types for item in _items(entry, count)])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        kinds = self.known.kinds()
        for item in items:
            count = item["count"]
            about = gpu(item["name"], count, item["vram"])
            name = f"{count}x_{about['accelerator']}_{item['market'].upper()}"
            kind = kinds.get(name)
            if kind is None and not (item["cpus"] and item["memory"]):
                self.leave_out("sold out, and of unknown size")
                continue
            yield Quote(
                kind or self.machine(name, item["cpus"], item["memory"], **about),
                ANYWHERE,
                on_demand=item["price"] * count,
                spot=item["spot"] * count if item["spot"] else None,
                confidence=LISTED if count == 1 else COMPUTED,
                spot_confidence=MARKET,
            )


def _page(count: int) -> Page:
    variables = {
        "one": {"gpuCount": count, "secureCloud": True},
        "other": {"gpuCount": count, "secureCloud": False},
    }
    body = {"query": QUERY, "variables": variables}
    return Page(f"gpus {count}", "/graphql", json=body, about=str(count))


def _items(entry: Record, count: int) -> Iterator[Item]:
    if count > entry.number("maxGpuCount"):
        return
    for market in MARKETS:
        price = entry.maybe(f"{market}Price")
        if not entry.flag(f"{market}Cloud") or price is None:
            continue
        sizes = entry.record(market) if market in entry else Record({}, entry.where)
        spot = f"{market}SpotPrice"
        yield {
            "name": entry.text("displayName"),
            "vram": entry.number("memoryInGb"),
            "count": count,
            "market": market,
            "price": price,
            "spot": entry.number(spot) if spot in entry else 0.0,
            "cpus": sizes.number("minVcpu") if "minVcpu" in sizes else 0.0,
            "memory": sizes.number("minMemory") if "minMemory" in sizes else 0.0,
        }
