"""Verda (DataCrunch): ``GET /v1/instance-types``, ``/v1/locations`` (api-evangelist/datacrunch)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu

GRACE = ("GH200", "GB200", "GB300")
NAME = re.compile(r"\d+x (.+?)(?: (\d+)GB)?$")


class Verda(Refresher):
    """One price for all locations, on demand and spot; a token comes first."""

    cloud = "verda"
    url = "https://api.verda.com"
    source = "Verda API /v1/instance-types"
    secrets = ("VERDA_CLIENT_ID", "VERDA_CLIENT_SECRET")
    _token = ""

    def login(self) -> Page:
        body = {
            "grant_type": "client_credentials",
            "client_id": self.secret["VERDA_CLIENT_ID"],
            "client_secret": self.secret["VERDA_CLIENT_SECRET"],
        }
        return Page("login", "/v1/oauth2/token", json=body)

    def logged_in(self, answer: Answer) -> None:
        self._token = answer.record().text("access_token")

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def first(self) -> list[Page]:
        return [Page("locations", "/v1/locations"), Page("instance-types", "/v1/instance-types")]

    def read(self, page: Page, answer: Answer) -> Found:
        item = _place if page.key == "locations" else _item
        return Found([item(entry) for entry in answer.records()])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        every = list(items)
        self.countries |= {i["code"]: i["country"] for i in every if "code" in i}
        for item in every:
            if "code" in item:
                continue
            found = NAME.match(item["gpu"])
            name = found[1] if found else item["gpu"]
            about = gpu(name, item["gpus"], item["vram"] or None)
            arch = "arm64" if about.get("accelerator") in GRACE else "x86_64"
            kind = self.machine(item["name"], item["cpus"], item["memory"], arch=arch, **about)
            for place in self.countries:
                yield Quote(kind, place, None, item["price"], item["spot"], item["currency"])


def _place(entry: Record) -> Item:
    return {"code": entry.text("code"), "country": entry.text("country_code")}


def _item(entry: Record) -> Item:
    told = entry.record("gpu")
    count = told.number("number_of_gpus")
    memory = entry.record("gpu_memory").number("size_in_gigabytes") if count else 0.0
    return {
        "name": entry.text("instance_type"),
        "cpus": entry.record("cpu").number("number_of_cores"),
        "memory": entry.record("memory").number("size_in_gigabytes"),
        "gpu": told.text("description") if count else "",
        "gpus": count,
        "vram": memory / count if count else 0.0,
        "price": entry.number("price_per_hour"),
        "spot": entry.number("spot_price") if "spot_price" in entry else None,
        "currency": entry.text("currency").upper() if "currency" in entry else "USD",
    }
