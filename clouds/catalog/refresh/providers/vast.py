"""Vast: ``POST /api/v0/bundles/``, the offers of hosts (github vast-ai/docs, api-reference)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu
from stix.clouds.catalog.rows import MARKET

COUNTRY = re.compile(r"[A-Z]{2}")
MOST = 10_000
ASKED = {
    "rentable": {"eq": True},
    "rented": {"eq": False},
    "verified": {"eq": True},
    "type": "on-demand",
    "order": [["dph_total", "asc"]],
    "limit": MOST,
}


class Vast(Refresher):
    """A market: of machines of one shape in one country the cheapest counts; spot is its bid.

    The shape is rounded down to whole vCPUs and GiB: no two hosts are the same. Disk and traffic
    come on top.
    """

    cloud = "vast"
    url = "https://console.vast.ai"
    source = "Vast API /api/v0/bundles"
    confidence = MARKET
    optional = ("VAST_API_KEY",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        key = self.secret.get("VAST_API_KEY")
        return {"Authorization": f"Bearer {key}"} if key else {}

    def first(self) -> list[Page]:
        return [Page("offers", "/api/v0/bundles/", json=ASKED)]

    def read(self, page: Page, answer: Answer) -> Found:
        offers = answer.record().records("offers")
        if len(offers) >= MOST:
            self.leave_out(f"dearer than the first {MOST} offers")
        return Found([_item(offer) for offer in offers])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        for item in items:
            # "Texas, US"; some hosts say nothing.
            country = item["place"].rpartition(",")[2].strip()
            cpus, memory = int(item["cpus"]), int(item["memory"])
            if not COUNTRY.fullmatch(country):
                self.leave_out("in no known country")
                continue
            if not item["gpus"]:
                self.leave_out("without accelerators")
                continue
            count = int(item["gpus"])
            name = f"{count}x-{item['gpu'].replace(' ', '_')}-{cpus}-{memory * 1024}"
            about = gpu(item["gpu"], count, round(item["vram"] / 1024))
            self.countries[country] = country
            yield Quote(
                self.machine(name, cpus, memory, **about),
                country,
                on_demand=item["price"],
                spot=item["bid"] or None,
            )


def _item(offer: Record) -> Item:
    """``cpu_ram`` is that of the whole host; an offer gets its part of it, as of the vCPUs."""
    every = offer.number("cpu_cores") if "cpu_cores" in offer else 0.0
    own = offer.maybe("cpu_cores_effective") or 0.0
    return {
        "gpu": offer.text("gpu_name"),
        "gpus": offer.number("num_gpus"),
        "vram": offer.number("gpu_ram"),
        "cpus": own,
        "memory": (offer.maybe("cpu_ram") or 0.0) * own / every / 1000 if every else 0.0,
        "price": offer.maybe("dph_base"),
        "bid": offer.number("min_bid") if "min_bid" in offer else 0.0,
        "place": offer.text("geolocation") if "geolocation" in offer else "",
    }
