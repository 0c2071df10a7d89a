"""Doubles of AWS, Azure, Google Cloud and Oracle: price lists apart from the API of the cloud."""

from __future__ import annotations

import csv
import io
from typing import Any
from urllib.parse import parse_qsl

from stix.clouds.catalog.testing.world import Asked, Machine, World
from tests.support.pricing.shop import machine, need, pages, part

VERSION = "20261118220000"
HEADS = (
    *("SKU", "OfferTermCode", "TermType", "PriceDescription", "EffectiveDate", "Unit"),
    *("PricePerUnit", "Currency", "Product Family", "Instance Type", "Current Generation", "vCPU"),
    *("Physical Processor", "Memory", "Storage", "Network Performance", "Tenancy"),
    *("Operating System", "operation", "CapacityStatus", "GPU", "GPU Memory", "MarketOption"),
    *("Pre Installed S/W", "Region Code"),
)
EC2 = (
    machine("p5.48xlarge", 55.04, 18.2, region="us-east-1", cpus=192, gib="2,048 GiB", gpu="8"),
    machine("m7i.xlarge", 0.2016, 0.081, region="us-east-1", cpus=4, gib="16 GiB"),
    machine("g6.xlarge", 0.8048, 0.31, region="us-east-1", cpus=4, gib="16 GiB", gpu="1"),
    machine("c7g.large", 0.0725, None, region="us-east-1", cpus=2, gib="4 GiB", cpu="Graviton3"),
    machine("m7i.xlarge", 0.2241, 0.09, region="eu-west-1", cpus=4, gib="16 GiB"),
    machine("inf9.xlarge", 1.5, None, region="us-east-1", cpus=4, gib="16 GiB"),
)
SPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def aws(world: World, asked: Asked, url: str) -> Any:
    """The index of regions, a CSV per region, and the query API of EC2."""
    root = "/offers/v1.0/aws/AmazonEC2"
    every = world.machines(EC2)
    if asked.path == f"{root}/current/region_index.json":
        return {
            "formatVersion": "v1.0",
            "publicationDate": "2026-11-18T22:00:00Z",
            "regions": {
                region: {
                    "regionCode": region,
                    "currentVersionUrl": f"{root}/{VERSION}/{region}/index.json",
                }
                for region in ("us-east-1", "eu-west-1", "us-east-1-wl1-bos1", "ap-east-1")
            },
        }
    if asked.method == "POST":
        return _spot(every, asked)
    region = asked.path.split("/")[-2]
    return _csv([entry for entry in every if entry["region"] == region])


def _csv(entries: list[Machine]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["FormatVersion", "v1.0"])
    writer.writerow(["Disclaimer", "This pricing list is for informational purposes only."])
    writer.writerow(["Publication Date", "2026-11-18T22:00:00Z"])
    writer.writerow(["Version", VERSION])
    writer.writerow(["OfferCode", "AmazonEC2"])
    writer.writerow(HEADS)
    for entry in entries:
        usual = _line(entry)
        writer.writerow(usual.values())
        for other in (
            {"TermType": "Reserved", "PricePerUnit": "0.01"},
            {"Operating System": "Windows", "PricePerUnit": "9.9"},
            {"Tenancy": "Dedicated", "PricePerUnit": "9.8"},
            {"CapacityStatus": "UnusedCapacityReservation", "PricePerUnit": "0.02"},
            {"Pre Installed S/W": "SQL Web", "operation": "RunInstances:0200"},
        ):
            writer.writerow({**usual, **other}.values())
    return text.getvalue()


def _line(entry: Machine) -> dict[str, str]:
    more = entry.more
    told = dict.fromkeys(HEADS, "") | {
        "SKU": "2223B6PCG6QAUYY6",
        "TermType": "OnDemand",
        "Unit": "Hrs",
        "PricePerUnit": f"{entry.price:.10f}",
        "Currency": "USD",
        "Product Family": "Compute Instance",
        "Instance Type": entry.name,
        "Current Generation": "Yes",
        "vCPU": str(more["cpus"]),
        "Physical Processor": more.get("cpu", "Intel Xeon Scalable"),
        "Memory": more["gib"],
        "Storage": "1 x 250 NVMe SSD" if "gpu" in more else "EBS only",
        "Network Performance": "Up to 12500 Megabit",
        "Tenancy": "Shared",
        "Operating System": "Linux",
        "operation": "RunInstances",
        "CapacityStatus": "Used",
        "GPU": more.get("gpu", ""),
        "MarketOption": "OnDemand",
        "Pre Installed S/W": "NA",
        "Region Code": more["region"],
    }
    return told


def _spot(every: list[Machine], asked: Asked) -> str:
    signature = asked.headers["authorization"]
    if not signature.startswith("AWS4-HMAC-SHA256 Credential=hidden-aws_access_key_id/"):
        raise PermissionError(signature)
    form = dict(parse_qsl(asked.body.decode()))
    region = signature.split("/")[2]
    if asked.path != f"/ec2/{region}/":
        raise PermissionError(asked.path)
    prices = [
        (entry.name, f"{region}{zone}", entry.spot * times)
        for entry in every
        if entry["region"] == region and entry.spot is not None
        # The newest first: what a zone cost before does not count.
        for zone, times in (("a", 1.1), ("b", 1.0), ("b", 0.5))
    ]
    number = int(form.get("NextToken", "1"))
    token = str(number + 1) if number < pages(prices, 4) else ""
    items = "".join(_item(*price) for price in part(prices, number, 4))
    body = f"<requestId>1</requestId><spotPriceHistorySet>{items}</spotPriceHistorySet>"
    body += f"<nextToken>{token}</nextToken>"
    name = f"{form['Action']}Response"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{SPACE}">{body}</{name}>'


def _item(name: str, zone: str, price: float) -> str:
    return (
        f"<item><instanceType>{name}</instanceType>"
        "<productDescription>Linux/UNIX</productDescription>"
        f"<spotPrice>{price:.6f}</spotPrice><timestamp>2026-11-20T08:00:00.000Z</timestamp>"
        f"<availabilityZone>{zone}</availabilityZone></item>"
    )


METERS = (
    machine("Standard_ND96isr_H100_v5", 98.32, 18.2, series="NDsr H100 v5", region="eastus"),
    machine("Standard_D4s_v5", 0.192, 0.0354, series="Dsv5", region="eastus"),
    machine("Standard_E4s_v5", 0.252, 0.05, series="Esv5", region="eastus"),
    machine("Standard_D4s_v5", 0.224, None, series="Dsv5", region="westeurope"),
    machine("Standard_New_v9", 3.0, None, series="New", region="eastus"),
)


def azure(world: World, asked: Asked, url: str) -> Any:
    """``/api/retail/prices`` of one region, three meters a page; links are absolute."""
    region = asked.query["$filter"].rpartition(" eq ")[2].strip("'")
    every = [e for e in world.machines(METERS) if e["region"] == region]
    meters = [meter for entry in every for meter in _meters(entry)]
    number = int(asked.query.get("$skip", "0")) // 3 + 1
    more = number < pages(meters, 3)
    link = f"{url}/api/retail/prices?$filter=x eq '{region}'&$skip={number * 3}" if more else None
    return {
        "BillingCurrency": "USD",
        "CustomerEntityId": "Default",
        "Items": part(meters, number, 3),
        "NextPageLink": link.replace(" ", "%20") if link else None,
        "Count": 3,
    }


def _meters(entry: Machine) -> list[dict[str, Any]]:
    name = entry.name.removeprefix("Standard_").replace("_", " ")
    product = f"Virtual Machines {entry['series']} Series"
    usual = {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": entry.price,
        "unitPrice": entry.price,
        "armRegionName": entry["region"],
        "effectiveStartDate": "2024-01-01T00:00:00Z",
        "meterName": name,
        "productName": product,
        "skuName": name,
        "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": entry.name,
    }
    found = [
        # what it cost before, and what it will cost
        {**usual, "retailPrice": entry.price * 3, "effectiveStartDate": "2022-01-01T00:00:00Z"},
        usual,
        {**usual, "retailPrice": entry.price * 2, "effectiveStartDate": "2999-01-01T00:00:00Z"},
        {**usual, "productName": f"{product} Windows", "retailPrice": entry.price * 1.5},
        {**usual, "meterName": f"{name} Low Priority", "retailPrice": entry.price / 9},
    ]
    if entry.spot is not None:
        found.append({**usual, "meterName": f"{name} Spot", "retailPrice": entry.spot})
    return found


SKUS = (
    machine("Nvidia Tesla T4 GPU running in Americas", 0.35, 0.11),
    machine("N1 Predefined Instance Core running in Americas", 0.031611, 0.00698),
    machine("N1 Predefined Instance Ram running in Americas", 0.004237, 0.00094),
    machine("A3Plus Instance Core running in Americas", 0.029),
    machine("A3Plus Instance Ram running in Americas", 0.0025),
    machine("Nvidia H100 80GB Plus GPU running in Americas", 9.0),
    machine("SSD backed Local Storage", 0.08, storage=True),
    machine("N1 Custom Instance Core running in Americas", 9.9),
    machine("Compute optimized Core running in Americas", 0.03398),
    machine("Compute optimized Ram running in Americas", 0.00455),
)


def gcp(world: World, asked: Asked, url: str) -> Any:
    """``/v1/services/{id}/skus``, four a page."""
    need(asked, "X-Goog-Api-Key", "hidden-google_api_key")
    skus = [sku for entry in world.machines(SKUS) for sku in _skus(entry)]
    number = int(asked.query.get("pageToken", "1"))
    token = str(number + 1) if number < pages(skus, 4) else ""
    return {"skus": part(skus, number, 4), "nextPageToken": token}


def _skus(entry: Machine) -> list[dict[str, Any]]:
    found = [_sku(entry.name, "OnDemand", entry.price, entry)]
    found.append(_sku(entry.name, "Commit1Yr", 1e-3, entry))
    if entry.spot is not None:
        found.append(_sku(f"Spot Preemptible {entry.name}", "Preemptible", entry.spot, entry))
    return found


def _sku(text: str, usage: str, price: float, entry: Machine) -> dict[str, Any]:
    units, nanos = divmod(round(price * 1e9), 10**9)
    unit = {"currencyCode": "USD", "units": str(units), "nanos": nanos}
    storage = "storage" in entry.more
    return {
        "name": "services/6F81-5844-456A/skus/039F-D0DA-4055",
        "skuId": "039F-D0DA-4055",
        "description": text,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": "Storage" if storage else "Compute",
            "resourceGroup": "LocalSSD" if storage else "GPU" if "GPU" in text else "CPU",
            "usageType": usage,
        },
        "serviceRegions": ["us-central1", "us-east1"],
        "pricingInfo": [
            {
                "summary": "",
                "pricingExpression": {
                    "usageUnit": "GiBy.mo" if storage else "h",
                    "tieredRates": [{"startUsageAmount": 0, "unitPrice": unit}],
                },
                "currencyConversionRate": 1,
                "effectiveTime": "2026-11-01T10:52:50.681Z",
            }
        ],
    }


SHAPES = (
    machine("VM.Standard.E5.Flex", 0.03, gib=0.002, sub="standard", spot=True),
    machine("BM.GPU.H100.8", 10.0, sub="gpu", gpus=8, vram=640, bundle=2048),
    machine("VM.Standard.A1.Flex", 0.01, gib=0.0015, sub="standard", arm=True),
    machine("VM.GPU.A10.2", 2.0, sub="gpu", gpus=2, vram=48, bundle=480),
    machine("BM.DenseIO.E5.128", 0.03, gib=0.002, sub="dense"),
)


def oci(world: World, asked: Asked, url: str) -> Any:
    """``shapes.json`` and ``products.json`` of the cost estimator."""
    every = world.machines(SHAPES)
    if asked.path.endswith("/shapes.json"):
        return {"items": [_shape(number, entry) for number, entry in enumerate(every)]}
    prices = [("C", n, entry.price) for n, entry in enumerate(every)]
    prices += [("M", n, entry.more.get("gib", 0.0)) for n, entry in enumerate(every)]
    return {"items": [_product(f"{kind}{n}", price) for kind, n, price in prices]}


def _shape(number: int, entry: Machine) -> dict[str, Any]:
    more = entry.more
    parts = [{"partNumber": f"C{number}", "qty": 56, "type": {"value": "ocpu"}}]
    if "gib" in more:
        parts.append({"partNumber": f"M{number}", "qty": 64, "type": {"value": "memory"}})
    return {
        "name": entry.name,
        "hidden": False,
        "status": "ACTIVE",
        "allowPreemptible": bool(more.get("spot")),
        "bundleMemoryQty": more.get("bundle"),
        "gpuQty": more.get("gpus"),
        "gpuMemoryQty": more.get("vram"),
        "processorType": {"value": "arm" if more.get("arm") else "amd"},
        "shapeType": {"value": entry.name[:2].lower()},
        "subType": {"value": more["sub"]},
        "products": parts,
    }


def _product(number: str, price: float) -> dict[str, Any]:
    euros = {"currencyCode": "EUR", "prices": [{"model": "PAY_AS_YOU_GO", "value": price * 0.9}]}
    dollars = {"currencyCode": "USD", "prices": [{"model": "PAY_AS_YOU_GO", "value": price}]}
    return {
        "partNumber": number,
        "billingModel": "UCM",
        "pricetype": "HOUR",
        "currencyCodeLocalizations": [euros, dollars],
    }
