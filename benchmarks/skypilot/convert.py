"""SkyPilot's catalog files as files of STIX's catalog, so that both answer from the same rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from stix.clouds.catalog.rows import MACHINE, SLICE, Kind, Row, Source
from stix.clouds.catalog.tables import SUFFIX, write

FROM = Source("benchmark", "2026")


def convert(catalogs: Path, out: Path) -> int:
    """Write one file per cloud into ``out``; gives the number of rows."""
    count = 0
    for file in sorted(catalogs.glob("*/vms.csv")):
        rows = list(_rows(file.parent.name, file))
        (out / f"{file.parent.name}{SUFFIX}").write_bytes(write(file.parent.name, rows, {}))
        count += len(rows)
    return count


def _rows(cloud: str, file: Path) -> Iterator[Row]:
    with file.open(encoding="utf-8", newline="") as lines:
        for fact in csv.DictReader(lines):
            price, spot = _number(fact["Price"]), _number(fact.get("SpotPrice"))
            zone = fact.get("AvailabilityZone") or None
            sources = (FROM if price else None, FROM if spot else None)
            kind = _kind(cloud, fact)
            yield Row(kind, fact["Region"], zone, price or None, spot or None, *sources)


def _kind(cloud: str, fact: dict[str, str]) -> Kind:
    """Accelerators without a machine of their own (GCP) are asked for by name, like slices."""
    name = fact["AcceleratorName"]
    sizes = _number(fact["vCPUs"]), _number(fact["MemoryGiB"])
    devices = (name, _number(fact["AcceleratorCount"]), 0.0) if name else ("", 0.0, 0.0)
    scope = MACHINE if fact["InstanceType"] else SLICE
    return Kind(
        cloud, fact["InstanceType"], fact.get("Arch", ""), *sizes, *devices, None, "", scope
    )


def _number(text: str | None) -> float:
    return float(text) if text else 0.0
