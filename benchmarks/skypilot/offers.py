"""SkyPilot's candidates and SkyPilot's prices for movement, from its catalog files.

For each request and cloud the cheapest machine, in every region that has it (every zone for spot,
and for GCP), for one hour. Data costs where it leaves a cloud; inside one it is free.
"""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stix.plan.solve import Movement, Option, Rate

Wish = dict[str, object]
"""What ``sky.Resources`` takes: ``cpus``, ``memory``, ``accelerators``, ``use_spot``."""

FREE: dict[str, tuple[float | None, str]] = {
    # without a wish for memory: at least this many GiB per vCPU, of these machines
    "aws": (4, r"(m6i|m6id|m7i|r6i|r6id|r7i|c6i|c6id|c7i)\."),
    "azure": (4, r"Standard_(D\d+s_v5|E\d+s_v5|F\d+s_v2)$"),
    "gcp": (4, r"n[124]-(standard|highmem|highcpu)-"),
    "ibm": (None, r"bx2-"),
    "oci": (4, r"VM\.Standard|BM\.Standard"),
    "cudo": (2, ""),
    "fluidstack": (4, ""),
    "lambda": (4, ""),
    "scp": (2, ""),
}
LEAST_GIB = {"ibm": 32.0}
HOSTS = {  # GCP sells accelerators apart from their hosts
    ("a100", 4): "a2-highgpu-4g",
    ("a100", 8): "a2-highgpu-8g",
    ("a100-80gb", 8): "a2-ultragpu-8g",
    ("h100", 8): "a3-highgpu-8g",
    ("h200", 8): "a3-ultragpu-8g",
    ("l4", 1): "g2-standard-4",
    ("l4", 4): "g2-standard-48",
}
HOST_CPUS = {("v100", 1): 8, ("v100", 8): 64, ("t4", 4): 48}


@dataclass
class Machine:
    """One instance type of one cloud: where it is, on demand and spot."""

    cloud: str
    name: str
    cpus: float
    memory: float
    places: list[tuple[str, str, float, float]] = field(default_factory=list)

    def least(self, spot: bool) -> float:
        return min(place[3 if spot else 2] for place in self.places)


class Offers:
    """All machines of some clouds, found by what they are asked for by."""

    def __init__(self, catalogs: Path, clouds: list[str]) -> None:
        self.clouds = clouds
        self._machines: dict[str, dict[str, Machine]] = {cloud: {} for cloud in clouds}
        self._gpus: dict[tuple[str, float], dict[str, list[Machine]]] = defaultdict(dict)
        for cloud in clouds:
            for row in _rows(catalogs / cloud / "vms.csv"):
                self._add(cloud, row)
        self.places: dict[tuple[str, str], int] = {}

    def _add(self, cloud: str, row: dict[str, str]) -> None:
        name, gpu = row["InstanceType"], row["AcceleratorName"].lower()
        count = _number(row["AcceleratorCount"]) if gpu else 0.0
        key = name or f"{gpu}:{count:g}"
        machines = self._machines[cloud]
        if key not in machines:
            sizes = _number(row["vCPUs"]), _number(row["MemoryGiB"])
            machines[key] = Machine(cloud, name, *sizes)
            if gpu:
                self._gpus[gpu, count].setdefault(cloud, []).append(machines[key])
        price, spot = _number(row["Price"]), _number(row.get("SpotPrice", ""))
        zone = row.get("AvailabilityZone") or ""
        machines[key].places.append((row["Region"], zone, price, spot))

    def options(self, wishes: list[Wish], ordered: bool) -> tuple[Option, ...]:
        """The candidates of a stage, in tiers where the wishes are ordered."""
        found = []
        for tier, wish in enumerate(wishes):
            for cloud in self.clouds:
                for name, region, zone, price in self._candidates(cloud, wish):
                    place = self.places.setdefault((cloud, region), len(self.places))
                    key = (cloud, name, region, zone)
                    found.append(Option(place, price, 3600.0, tier if ordered else 0, key))
        return tuple(found)

    def _candidates(self, cloud: str, wish: Wish) -> Iterator[tuple[str, str, str, float]]:
        spot = bool(wish.get("use_spot"))
        gpu, _, count = str(wish.get("accelerators") or "").lower().partition(":")
        if gpu and cloud == "gcp":
            yield from self._gcp(gpu, int(count), spot)
            return
        machines = self._gpus[gpu, float(count)].get(cloud, []) if gpu else self._cpu(cloud, wish)
        priced = [m for m in machines if not math.isnan(_least(m, spot and bool(gpu)))]
        if not priced:
            return
        machine = min(priced, key=lambda m: _least(m, spot and bool(gpu)))
        by_region: dict[str, float] = {}
        for region, zone, price, cheaper in machine.places:
            paid = cheaper if spot else price
            if math.isnan(paid):
                continue
            if (spot and zone) or cloud == "gcp":
                yield machine.name, region, zone, paid
            else:
                by_region[region] = min(paid, by_region.get(region, math.inf))
        for region, paid in by_region.items():
            yield machine.name, region, "", paid

    def _cpu(self, cloud: str, wish: Wish) -> list[Machine]:
        ratio, names = FREE.get(cloud, (None, ""))
        cpus = float(str(wish["cpus"]).rstrip("+"))
        memory = float(str(wish.get("memory") or LEAST_GIB.get(cloud, 0.0)).rstrip("+"))
        per_cpu = 0.0 if wish.get("memory") else ratio or 0.0
        pattern = re.compile(names)
        return [
            m
            for m in self._machines[cloud].values()
            if m.cpus >= cpus
            and m.memory >= max(memory, per_cpu * m.cpus)
            and pattern.match(m.name)
        ]

    def _gcp(self, gpu: str, count: int, spot: bool) -> Iterator[tuple[str, str, str, float]]:
        devices = self._gpus[gpu, float(count)].get("gcp")
        if not devices:
            return
        name = HOSTS.get((gpu, count)) or self._host(HOST_CPUS.get((gpu, count), 0))
        machine = self._machines["gcp"].get(name)
        if machine is None:
            return
        column = 3 if spot else 2
        there = {place[1]: place[column] for place in devices[0].places}
        for place in machine.places:
            if place[1] in there and not math.isnan(place[column] + there[place[1]]):
                yield name, place[0], place[1], place[column] + there[place[1]]

    def _host(self, cpus: int) -> str:
        hosts = [
            m
            for m in self._machines["gcp"].values()
            if m.name.startswith("n1-") and m.cpus >= cpus > 0 and m.memory >= 4 * cpus
        ]
        return min(hosts, key=lambda m: m.least(False)).name if hosts else ""

    def movement(self) -> Movement:
        """Between all places asked for so far."""
        names = ["", "aws", "azure", "gcp", "oci"]
        rates = [Rate(), *map(Egress, names[1:])]
        places = list(self.places)
        costs = [names.index(c) if c in names else 0 for c, _ in places]
        ways = [
            [0 if a == b else cost for b, _ in places]
            for (a, _), cost in zip(places, costs, strict=True)
        ]
        return Movement(rates, ways)


def _least(machine: Machine, spot: bool) -> float:
    prices = [place[3 if spot else 2] for place in machine.places]
    return min((p for p in prices if not math.isnan(p)), default=math.nan)


class Egress(Rate):
    """SkyPilot's price for data that leaves a cloud, GB."""

    def __init__(self, cloud: str) -> None:
        super().__init__(gib_per_second=10 / 8)
        object.__setattr__(self, "cloud", cloud)

    def usd_for(self, gib: float) -> float:
        cloud: str = self.cloud  # type: ignore[attr-defined]
        if cloud == "oci":
            return max(0.0, gib - 10 * 1024) * 0.0085
        if cloud == "gcp":
            return gib * (0.12 if gib <= 1024 else 0.11 if gib <= 10 * 1024 else 0.08)
        if gib > 150 * 1024:
            return 0.05 * gib
        steps = {"aws": (0.07, 0.085, 0.09), "azure": (0.07, 0.083, 0.0875)}[cloud]
        usd = 0.0
        for floor, price in zip((50 * 1024, 10 * 1024, 1), steps, strict=True):
            if gib >= floor:
                usd += (gib - floor) * price
                gib -= 0 if floor == 1 else floor
        return usd


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _number(text: str) -> float:
    return float(text) if text else math.nan
