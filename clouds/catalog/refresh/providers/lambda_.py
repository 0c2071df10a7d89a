"""Lambda: ``GET /api/v1/instance-types`` (api-evangelist/lambda, lambda-instance-types-api)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher, gpu

NAME = re.compile(r"(?:(\d+)x )?(?:NVIDIA )?(?:Tesla )?([^()]+?) ?\((\d+) GB ?(\S*)\)")
COUNT = re.compile(r"gpu_(\d+)x_")
GRACE = ("GH200", "GB200")


class Lambda(Refresher):
    """One price per type in all regions; the answer names only regions that have it right now."""

    cloud = "lambda"
    url = "https://cloud.lambda.ai"
    source = "Lambda Cloud API /api/v1/instance-types"
    secrets = ("LAMBDA_API_KEY",)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.secret['LAMBDA_API_KEY']}"}

    def first(self) -> list[Page]:
        return [Page("instance-types", "/api/v1/instance-types")]

    def read(self, page: Page, answer: Answer) -> Found:
        types = answer.record().members("data")
        return Found([_item(entry) for entry in types.values()])

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        every = list(items)
        # A price is that of the type: where it is sold out today it costs the same tomorrow.
        regions = {*self.known.regions, *(region for item in every for region in item["regions"])}
        for item in every:
            count = item["gpus"]
            about = self._gpu(item["about"], count) if count else {}
            arch = "arm64" if about.get("accelerator") in GRACE else "x86_64"
            kind = self.machine(
                item["name"],
                item["cpus"],
                item["memory"],
                local_disk_gib=item["disk"],
                arch=arch,
                **about,
            )
            for region in sorted(regions):
                yield Quote(kind, region, on_demand=item["cents"] / 100)

    def _gpu(self, said: str, count: float) -> Item:
        found = NAME.match(said)
        if found is None:
            return gpu(said, count)
        _, name, memory, form = found.groups()
        return gpu(f"{name} {form}".strip(), count, float(memory))


def _item(entry: Record) -> Item:
    told = entry.record("instance_type")
    specs = told.record("specs")
    name = told.text("name")
    counted = COUNT.match(name)
    usual = float(counted[1]) if counted else 0.0
    about = told.text("gpu_description") if "gpu_description" in told else told.text("description")
    return {
        "name": name,
        "cents": told.number("price_cents_per_hour"),
        "cpus": specs.number("vcpus"),
        "memory": specs.number("memory_gib"),
        "disk": specs.number("storage_gib"),
        "gpus": specs.number("gpus") if "gpus" in specs else usual,
        "about": about,
        "regions": [r.text("name") for r in entry.records("regions_with_capacity_available")],
    }
