"""From a folder of facts (CSV files) to rows of the catalog; what is dropped is counted."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stix.clouds.catalog.rows import (
    ACCELERATOR,
    ANYWHERE,
    COMPUTED,
    ESTIMATE,
    LISTED,
    MACHINE,
    SLICE,
    Kind,
    Row,
    Source,
)
from stix.spec.words import accelerators
from tools.catalog_extra import EXTRA
from tools.catalog_sources import (
    ATTACHED,
    EUR_IN_USD,
    HOSTS,
    PLACEHOLDERS,
    RETIRED,
    SHEETS,
    SPOT_KINDS,
    UNRESOLVED,
    Sheet,
)

Fact = dict[str, str]
GB_IN_GIB = 1e9 / 2**30
SCOPE = {"machine": MACHINE, "accelerator_only": ACCELERATOR, "tpu_vm": SLICE}
ARM = ("GH200", "GB200", "VM.Standard.A1")


@dataclass
class Facts:
    """A folder of facts.

    Attributes:
        folder: Where the CSV files are.
        dropped: Why a row was left out, to how many were.
    """

    folder: Path
    dropped: Counter[str] = field(default_factory=Counter)

    def rows(self) -> Iterator[Row]:
        """All rows of the catalog, in no special order."""
        for sheet in SHEETS:
            for fact in self._facts(sheet):
                yield from self._small(sheet, fact)
        for cloud in ("aws", "azure", "runpod"):
            for fact in self.read(f"snapshot_{cloud}.csv"):
                yield from self._big(fact)
        gcp = [row for fact in self.read("snapshot_gcp.csv") for row in self._big(fact)]
        yield from attached(gcp)

    def countries(self) -> dict[tuple[str, str], str]:
        """(Cloud, region) to the country, for the clouds of which the facts have it."""
        regions = self.read("sparecores_regions.csv")
        return {(r["vendor_id"], r["api_reference"]): r["country_id"] for r in regions}

    def read(self, name: str) -> list[Fact]:
        """The rows of one file; lines with ``#`` are remarks."""
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(line for line in file if not line.startswith("#")))

    @cached_property
    def _ec2(self) -> dict[str, Fact]:
        return {r["InstanceType"]: r for r in self.read("aws_moto_instance_types.csv")}

    def _facts(self, sheet: Sheet) -> Iterator[Fact]:
        yield from EXTRA[sheet.cloud]() if sheet.cloud in EXTRA else self.read(sheet.file)

    def _small(self, sheet: Sheet, fact: Fact) -> Iterator[Row]:
        if not fact["Region"]:
            self.dropped[f"{sheet.cloud}: sold out, in no region"] += 1
            return
        rate = EUR_IN_USD if sheet.currency == "EUR" else 1.0
        prices = [self._price(sheet.cloud, fact[name], rate) for name in ("Price", "SpotPrice")]
        region = ANYWHERE if fact["Region"] == "default" else fact["Region"]
        yield from self._made(
            kind_of(sheet.cloud, fact),
            (region, fact["AvailabilityZone"] or None),
            (prices[0], prices[1]),
            (sheet.source, sheet.spot_source),
        )

    def _big(self, fact: Fact) -> Iterator[Row]:
        cloud = fact["Cloud"]
        for family, types in RETIRED.get(cloud, {}).items():
            if fact["InstanceType"] in types:
                self.dropped[f"{cloud}: retired family {family}"] += 1
                return
        kind = kind_of(cloud, fact)
        if cloud == "aws":
            kind = self._aws(kind)
        # The zone of an AWS row is the id of the cheapest spot zone, whose name differs by account.
        zone = None if cloud == "aws" else fact["AvailabilityZone"] or None
        yield from self._made(
            kind,
            (fact["Region"], zone),
            (self._price(cloud, fact["Price"]), self._price(cloud, fact["SpotPrice"])),
            (_source(fact, kind), _spot_source(fact, kind)),
        )

    def _made(
        self,
        kind: Kind,
        place: tuple[str, str | None],
        prices: tuple[float | None, float | None],
        sources: tuple[Source, Source],
    ) -> Iterator[Row]:
        on_demand, spot = prices
        if on_demand is not None and spot is not None and spot >= on_demand:
            self.dropped[f"{kind.cloud}: spot price not below on demand (the price alone)"] += 1
            spot = None
        if on_demand is None and spot is None:
            self.dropped[f"{kind.cloud}: no price"] += 1
            return
        source = sources[0] if on_demand is not None else None
        spot_source = sources[1] if spot is not None else None
        yield Row(kind, *place, on_demand, spot, source, spot_source)

    def _price(self, cloud: str, text: str, rate: float = 1.0) -> float | None:
        if not text:
            return None
        if float(text) in PLACEHOLDERS:
            self.dropped[f"{cloud}: placeholder {text} (the price alone)"] += 1
            return None
        return round(float(text) * rate, 6)

    def _aws(self, kind: Kind) -> Kind:
        spec = self._ec2[kind.instance_type]
        disk = round(float(spec["InstanceStorageGB"] or 0) * GB_IN_GIB, 1)
        return kind._replace(local_disk_gib=disk, network=spec["Network"])


def kind_of(cloud: str, fact: Fact) -> Kind:
    """The machine of a row."""
    name = accelerators.spelled(fact["AcceleratorName"]) if fact["AcceleratorName"] else ""
    told = float(fact["AcceleratorMemoryGiB"] or 0)
    usual = accelerators.memory_gib(name) or 0.0
    arch = fact.get("Arch") or ("arm64" if _is_arm(fact, name) else "x86_64")
    scope = SCOPE[fact.get("PriceScope", "machine")]
    return Kind(
        cloud=cloud,
        instance_type=fact["InstanceType"] or ("TPU-VM" if scope == SLICE else ""),
        arch=arch,
        cpus=float(fact["vCPUs"] or 0),
        memory_gib=float(fact["MemoryGiB"] or 0),
        accelerator=name,
        accelerator_count=float(fact["AcceleratorCount"] or 0) if name else 0.0,
        # A source may say more than is possible (512 GiB of a Trainium2): a device is what it is.
        accelerator_memory_gib=told if told and abs(told - usual) <= usual / 4 else usual,
        local_disk_gib=None,
        network="",
        scope=scope,
    )


def _is_arm(fact: Fact, accelerator: str) -> bool:
    return accelerator in ARM or fact["InstanceType"].startswith(ARM)


def _source(fact: Fact, kind: Kind) -> Source:
    confidence = LISTED
    if "+" in fact["source"] or (kind.cloud == "runpod" and kind.accelerator_count > 1):
        confidence = COMPUTED
    if {(kind.cloud, kind.instance_type), (kind.cloud, kind.accelerator)} & UNRESOLVED:
        confidence = ESTIMATE
    return Source(fact["source"], _day(fact["as_of"]), confidence, fact["Currency"])


def _spot_source(fact: Fact, kind: Kind) -> Source:
    confidence = SPOT_KINDS.get(fact["SpotKind"], ESTIMATE)
    if {(kind.cloud, kind.instance_type), (kind.cloud, kind.accelerator)} & UNRESOLVED:
        confidence = ESTIMATE
    return Source(fact["spot_source"], _day(fact["spot_as_of"]), confidence, fact["Currency"])


def _day(text: str) -> str:
    """``2026-H2`` is the half year from July."""
    return text.replace("-H2", "-07").replace("-H1", "-01")


def attached(rows: list[Row]) -> Iterator[Row]:
    """The rows, with accelerators to attach as machines that have them.

    Where the region's machines have no price, the accelerator stays a row by itself.
    """
    hosts: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        if row.kind.instance_type.startswith(HOSTS) and not row.kind.accelerator:
            hosts.setdefault((row.region, row.kind.cpus), []).append(row)
    for row in rows:
        kind = row.kind
        if kind.scope != ACCELERATOR or kind.instance_type:
            yield row
            continue
        cpus = ATTACHED[kind.accelerator] * kind.accelerator_count
        found = hosts.get((row.region, cpus), [])
        yield from (_joined(host, row) for host in found)
        if not found:
            yield row


def _joined(host: Row, part: Row) -> Row:
    device = part.kind
    kind = host.kind._replace(
        accelerator=device.accelerator,
        accelerator_count=device.accelerator_count,
        accelerator_memory_gib=device.accelerator_memory_gib,
    )
    return Row(
        kind,
        part.region,
        part.zone,
        _sum(host.on_demand, part.on_demand),
        _sum(host.spot, part.spot),
        _both(host.source, part.source),
        _both(host.spot_source, part.spot_source),
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else round(one + other, 6)


def _both(host: Source | None, part: Source | None) -> Source | None:
    if host is None or part is None:
        return None
    name = f"{host.name} (machine) + {part.name} (accelerator)"
    return Source(name, min(host.as_of, part.as_of), COMPUTED, host.currency)
