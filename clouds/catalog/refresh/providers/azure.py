"""Azure: the public retail prices, ``GET /api/retail/prices`` (learn.microsoft.com, Billing).

The list names sizes and says nothing of vCPUs, memory or accelerators: sizes are priced that the
catalog has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from stix.clouds.catalog.refresh.answers import Answer, Record
from stix.clouds.catalog.refresh.base import Found, Item, Page, Quote, Refresher

FILTER = "serviceName eq 'Virtual Machines' and priceType eq 'Consumption' and armRegionName eq"
OTHER = ("Windows", "Dedicated", "CloudServices")
SPOT, OLD_SPOT = "Spot", "Low Priority"


class Azure(Refresher):
    """A list per region, a thousand prices a page; ``NextPageLink`` leads on."""

    cloud = "azure"
    url = "https://prices.azure.com"
    source = "Azure retail prices API"

    def first(self) -> list[Page]:
        return [
            Page(
                f"{region} 1",
                "/api/retail/prices",
                {"api-version": "2023-01-01-preview", "$filter": f"{FILTER} '{region}'"},
                about=region,
            )
            for region in sorted(self.known.regions)
        ]

    def read(self, page: Page, answer: Answer) -> Found:
        data = answer.record()
        items = [item for entry in data.records("Items") if (item := _item(entry))]
        link = data.text("NextPageLink") if "NextPageLink" in data else ""
        number = int(page.key.rpartition(" ")[2]) + 1
        more = [Page(f"{page.about} {number}", link, about=page.about)] if link else []
        return Found(items, more)

    def quotes(self, items: Iterable[Item]) -> Iterator[Quote]:
        kinds = self.known.kinds()
        today = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found: dict[tuple[str, str, bool], Item] = {}
        for item in items:
            if item["size"] not in kinds:
                self.leave_out("a size that the catalog does not have")
                continue
            if item["since"] > today:
                continue
            key = item["size"], item["region"], item["spot"]
            # Of a price that changes both stand in the list: the later one holds.
            if key not in found or found[key]["since"] <= item["since"]:
                found[key] = item
        for size, region, spot in found:
            item, other = found[size, region, spot], found.get((size, region, not spot))
            if spot and other:
                continue  # comes with the other
            listed, bid = (None, item) if spot else (item, other)
            yield Quote(
                kinds[size],
                region,
                on_demand=listed["price"] if listed else None,
                spot=bid["price"] if bid else None,
                currency=item["currency"],
            )


def _item(entry: Record) -> Item | None:
    meter, product = entry.text("meterName"), entry.text("productName")
    if OLD_SPOT in meter or any(word in product for word in OTHER):
        return None
    if entry.text("unitOfMeasure") != "1 Hour" or entry.text("type") != "Consumption":
        return None
    size = entry.text("armSkuName") if "armSkuName" in entry else ""
    return {
        "size": size,
        "region": entry.text("armRegionName"),
        "spot": meter.endswith(SPOT),
        "price": entry.number("retailPrice"),
        "currency": entry.text("currencyCode"),
        "since": entry.text("effectiveStartDate"),
    }
