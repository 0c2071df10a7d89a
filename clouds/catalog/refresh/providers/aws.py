"""AWS: the public price list, a CSV per region; with credentials also the spot prices of EC2.

``/offers/v1.0/aws/AmazonEC2/current/region_index.json`` leads to the lists
(docs.aws.amazon.com, awsaccountbilling, Price List Bulk API).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import MIB, Found, Item, Page, Quote, Refresher, gpu
from stix.clouds.catalog.refresh.providers import ec2_spot
from stix.clouds.catalog.rows import MARKET, Kind

ROOT = "/offers/v1.0/aws/AmazonEC2/current/region_index.json"
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
WANTED = {
    "TermType": "OnDemand",
    "Tenancy": "Shared",
    "Operating System": "Linux",
    "CapacityStatus": "Used",
    "Unit": "Hrs",
    "Currency": "USD",
    "MarketOption": "OnDemand",
}
QUOTED = tuple(dict.fromkeys(f'"{value}"' for value in WANTED.values()))
DISKS = re.compile(r"(?:(\d+) x )?(\d+) ?(GB)?\b.*")
DEVICES = ("inf", "trn", "dl")
GB_IN_GIB = 1e9 / 2**30


class Amazon(Refresher):
    """Of the regions that the catalog has; without credentials spot prices stay as they were."""

    cloud = "aws"
    url = "https://pricing.us-east-1.amazonaws.com"
    hosts: ClassVar[Mapping[str, str]] = {ec2_spot.HOST: ec2_spot.URL}
    source = "AWS price list AmazonEC2"
    optional: ClassVar[tuple[str, ...]] = ec2_spot.SECRETS
    page_bytes = 4096 * MIB

    @property
    def tells_spot(self) -> bool:
        return ec2_spot.usable(self.secret)

    def headers(self, page: Page, url: str, content: bytes) -> Mapping[str, str]:
        if page.host != ec2_spot.HOST:
            return {}
        return ec2_spot.signed(self.secret, page.about, url, content)

    def first(self) -> list[Page]:
        return [Page("regions", ROOT)]

    def read(self, page: Page, answer: Answer) -> Found:
        if page.host == ec2_spot.HOST:
            return ec2_spot.read(page, answer)
        if page.key == "regions":
            return Found([], self._lists(answer.record()))
        lines = answer.table("SKU", QUOTED)
        rows = (Record(dict(line), f"{answer.name}: a line") for line in lines)
        return Found([item for row in rows if (item := _item(row))])

    def _lists(self, data: Record) -> list[Page]:
        pages = []
        for region, entry in data.members("regions").items():
            wanted = (
                region in self.known.regions if self.known.regions else REGION.fullmatch(region)
            )
            if wanted:
                path = entry.text("currentVersionUrl").removesuffix(".json") + ".csv"
                pages.append(Page(region, path, about=region))
                pages += [ec2_spot.page(region)] if self.tells_spot else []
        return pages

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        kinds = self.known.kinds()
        families = {name.partition(".")[0]: kind for name, kind in kinds.items()}
        every = list(items)
        spot = ec2_spot.cheapest(item for item in every if "zone" in item)
        for item in every:
            if "zone" in item:
                continue
            name = item["name"]
            kind = kinds.get(name) or self._kind(item, families.get(name.partition(".")[0]))
            if kind is None:
                self.leave_out("accelerators that the list does not name")
                continue
            yield Quote(
                kind,
                item["region"],
                on_demand=item["price"],
                spot=spot.get((name, item["region"])),
                spot_confidence=MARKET,
            )

    def _kind(self, item: Item, sibling: Kind | None) -> Kind | None:
        """A machine that the catalog does not have; a sibling of its family names its GPUs."""
        about: Item = {}
        if item["gpus"] or item["name"].startswith(DEVICES):
            if not item["gpus"] or sibling is None or not sibling.accelerator:
                return None
            about = gpu(sibling.accelerator, item["gpus"])
        return self.machine(
            item["name"],
            item["cpus"],
            item["memory"],
            arch=item["arch"],
            local_disk_gib=item["disk"],
            network=item["network"],
            **about,
        )


def _item(row: Record) -> Item | None:
    if any(row.text(name) != value for name, value in WANTED.items()):
        return None
    if row.text("Pre Installed S/W") not in ("", "NA") or row.text("Current Generation") == "No":
        return None
    if row.text("operation") not in ("", "RunInstances"):
        return None
    memory = row.text("Memory").removesuffix("GiB").strip().replace(",", "")
    gpus = row.text("GPU")
    return {
        "name": row.text("Instance Type"),
        "region": row.text("Region Code"),
        "price": row.number("PricePerUnit"),
        "cpus": row.number("vCPU"),
        "memory": Record({"Memory": memory}, row.where).number("Memory"),
        "gpus": row.number("GPU") if gpus and gpus != "NA" else 0.0,
        "arch": "arm64" if "Graviton" in row.text("Physical Processor") else "x86_64",
        "disk": _disk(row.text("Storage")),
        "network": row.text("Network Performance"),
    }


def _disk(text: str) -> float | None:
    """``EBS only``, ``1 x 950 NVMe SSD``, ``900 GB NVMe SSD``."""
    if text == "EBS only":
        return 0.0
    found = DISKS.fullmatch(text)
    return round(int(found[1] or 1) * int(found[2]) * GB_IN_GIB, 1) if found else None
