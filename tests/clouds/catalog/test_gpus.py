"""Accelerators for people: cheapest first, per accelerator and per machine, near misses named."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from stix.clouds.catalog import Catalog, Row
from stix.clouds.catalog.gpus import Gpu, Place, find
from stix.clouds.catalog.rows import Kind, Source
from stix.clouds.catalog.tables import write
from stix.errors import UsageError

CATALOG = Catalog.load()
LIST = Source("price list", "2026-08-03")
GUESS = Source("advisor", "2025", "estimate")


def kind(name: str, count: float = 1, accelerator: str = "H100") -> Kind:
    return Kind("moon", name, "x86_64", 8, 32, accelerator, count, 80, None, "", "machine")


@pytest.fixture
def moon(tmp_path: Path) -> Catalog:
    rows = [
        Row(kind("one"), "sea", "sea-a", 3.0, 1.0, LIST, GUESS),
        Row(kind("one"), "sea", "sea-b", 2.5, 2.0, LIST, LIST),
        Row(kind("one"), "crater", None, 2.75, None, LIST, None),
        Row(kind("eight", 8), "sea", None, 16.0, None, LIST, None),
        Row(kind("rare", 1, "H100-SXM"), "sea", None, None, 1.5, None, LIST),
        Row(kind("other", 1, "L4"), "crater", None, 0.5, None, LIST, None),
        Row(kind("half", 0.5, "L4"), "crater", None, 0.2, None, LIST, None),
        Row(kind("plain", 0, ""), "crater", None, 0.1, None, LIST, None),
        Row(kind("", 1, "T4")._replace(scope="accelerator"), "sea", None, 0.3, None, LIST, None),
    ]
    (tmp_path / "moon.cat").write_bytes(write("moon", rows, {}))
    return Catalog.load(folders=[tmp_path])


def names(found: list[Gpu]) -> list[str]:
    return [gpu.kind.instance_type for gpu in found]


def test_cheapest_first_by_the_price_of_one(moon: Catalog) -> None:
    assert names(find(moon)) == ["half", "other", "eight", "one", "rare"]
    assert names(moon.gpus("H100")) == ["eight", "one", "rare"]


def test_each_market_has_its_cheapest_place(moon: Catalog) -> None:
    (one,) = [gpu for gpu in find(moon, "h100") if gpu.kind.instance_type == "one"]
    assert one.on_demand is not None
    assert (one.on_demand.usd_per_hour, one.on_demand.zone) == (2.5, "sea-b")
    assert one.spot is not None
    assert (one.spot.usd_per_hour, one.spot.zone, one.spot.source.is_estimate) == (1, "sea-a", True)
    assert one.regions == 2


def test_estimates_can_be_left_out(moon: Catalog) -> None:
    (one,) = [g for g in find(moon, "H100:1", Place(estimates=False)) if g.on_demand]
    assert one.spot is not None
    assert one.spot.usd_per_hour == 2.0


def test_one_region_or_each(moon: Catalog) -> None:
    assert names(find(moon, None, Place(region="crater"))) == ["half", "other", "one"]
    assert names(find(moon, "H100", Place(region="sea", zone="sea-b"))) == ["eight", "one", "rare"]
    (_, one, _) = find(moon, "H100", Place(region="sea", zone="sea-a"))
    assert one.on_demand is not None
    assert one.on_demand.usd_per_hour == 3.0
    each = find(moon, "H100:1", Place(all_regions=True))
    places = [(g.kind.instance_type, (g.on_demand or g.spot or each[0].spot)) for g in each]
    assert [(name, deal.region if deal else "") for name, deal in places] == [
        ("one", "sea"),
        ("one", "crater"),
        ("rare", "sea"),
    ]


@pytest.mark.parametrize("name, machines", [("H100:8", ["eight"]), ("l4:0.5", ["half"])])
def test_a_count(moon: Catalog, name: str, machines: list[str]) -> None:
    assert names(find(moon, name)) == machines


def test_what_is_not_sold_costs_infinitely_much(moon: Catalog) -> None:
    (rare,) = find(moon, "H100-SXM")
    assert math.isinf(rare.each(spot=False))
    assert rare.to_dict()["on_demand"] is None


def test_a_part_of_an_accelerator_is_priced_as_a_whole_one(moon: Catalog) -> None:
    (half,) = find(moon, "L4:0.5")
    assert half.each(spot=False) == 0.4


@pytest.mark.parametrize(
    "name, fix",
    [("H1000", "did you mean H100"), ("K80", "no cloud of the catalog has a price"), ("?", "stix")],
)
def test_near_misses(name: str, fix: str) -> None:
    with pytest.raises(UsageError) as refused:
        find(CATALOG, name)
    assert name in refused.value.message
    assert fix in refused.value.fix


def test_every_accelerator_of_the_bundled_catalog_is_found() -> None:
    """None is missed: against a plain filter over all rows."""
    rows = [table.row(i) for table in CATALOG.tables() for i in range(table.size)]
    expected = {
        row.kind for row in rows if row.kind.accelerator and row.kind.scope != "accelerator"
    }
    found = find(CATALOG)
    assert {gpu.kind for gpu in found} == expected
    for gpu in found[::20]:
        own = [row.on_demand for row in rows if row.kind == gpu.kind and row.on_demand is not None]
        assert (gpu.on_demand.usd_per_hour if gpu.on_demand else None) == min(own, default=None)
    prices = [gpu.each(spot=False) for gpu in found]
    assert prices == sorted(prices)
