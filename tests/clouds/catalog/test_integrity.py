"""The bundled catalog: every row is whole, priced, placed, sourced and dated."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from stix.clouds.catalog import Catalog, Row
from stix.clouds.catalog.catalog import BUNDLED
from stix.clouds.catalog.rows import ACCELERATOR, ANYWHERE, CONFIDENCE, ESTIMATE, MACHINE, SLICE
from stix.spec.words import accelerators, instances

ROOT = Path(__file__).resolve().parents[3]
CATALOG = Catalog.load()
ROWS = [table.row(i) for table in CATALOG.tables() for i in range(table.size)]
MACHINES = [row for row in ROWS if row.kind.scope == MACHINE]
DAY = re.compile(r"20(1[5-9]|2\d)(-(0[1-9]|1[0-2])(-[0-3]\d)?)?")
EURO = {"ovh", "scaleway", "seeweb"}


def wrong(rows: list[Row]) -> list[tuple[str, ...]]:
    """A few of them, short enough to read."""
    return [(r.kind.cloud, r.kind.instance_type, r.kind.accelerator, r.region) for r in rows[:5]]


def test_there_are_enough_clouds_and_rows() -> None:
    counts = Counter(row.kind.cloud for row in ROWS)
    spot = sum(row.spot is not None for row in ROWS)
    kinds = {row.kind for row in ROWS}
    sure = Counter(s.confidence for r in ROWS for s in (r.source, r.spot_source) if s)
    print(f"\n{len(counts)} clouds, {len(ROWS)} rows, {len(kinds)} kinds, {spot} spot prices")
    print(dict(counts), dict(sure), f"{len(CATALOG.accelerators())} accelerators")
    assert len(counts) >= 20
    assert {"aws", "azure", "gcp", "runpod", "lambda", "nebius", "oci"} <= set(counts)
    assert min(counts[big] for big in ("aws", "azure", "gcp")) > 500
    assert set(sure) == set(CONFIDENCE)


def test_prices_are_positive() -> None:
    prices = [price for row in ROWS for price in (row.on_demand, row.spot) if price is not None]
    assert min(prices) > 0
    assert 700.0 not in prices  # a placeholder of one of the sources
    assert wrong([row for row in ROWS if row.on_demand is None and row.spot is None]) == []


def test_spot_is_at_most_on_demand() -> None:
    both = [row for row in ROWS if row.on_demand is not None and row.spot is not None]
    assert len(both) > 5000
    assert wrong([row for row in both if (row.spot or 0) > (row.on_demand or 0)]) == []


def test_machines_have_vcpus_memory_and_a_name() -> None:
    assert len(MACHINES) > 0.9 * len(ROWS)
    bare = [r for r in MACHINES if r.kind.cpus <= 0 or r.kind.memory_gib <= 0]
    assert wrong(bare) == []
    assert wrong([row for row in MACHINES if not row.kind.instance_type]) == []
    assert {row.kind.arch for row in MACHINES} == {"x86_64", "arm64"}


def test_what_is_no_machine_is_an_accelerator() -> None:
    others = [row for row in ROWS if row.kind.scope != MACHINE]
    assert {row.kind.scope for row in others} == {SLICE, ACCELERATOR}
    assert wrong([row for row in others if not row.kind.accelerator]) == []
    slices = {row.kind.accelerator for row in others if row.kind.scope == SLICE}
    assert all(name.startswith("tpu-v") for name in slices)


def test_no_row_is_there_twice() -> None:
    keys = Counter(
        (*row.kind._replace(network="", local_disk_gib=None), row.region, row.zone) for row in ROWS
    )
    assert [key for key, count in keys.items() if count > 1] == []
    names = Counter((r.kind.cloud, r.kind.instance_type, r.kind.accelerator,
                     r.kind.accelerator_count, r.region, r.zone) for r in ROWS)  # fmt: skip
    assert [name for name, count in names.items() if count > 1] == []


def test_regions_are_known() -> None:
    """Each has a country; ``*`` stands alone in its cloud, and zones lie in their region."""
    for table in CATALOG.tables():
        for region, country in zip(table.regions, table.countries, strict=True):
            assert region == ANYWHERE or re.fullmatch("[A-Z]{2}", country), (table.cloud, region)
        assert ANYWHERE not in table.regions or list(table.regions) == [ANYWHERE], table.cloud
    gcp = [row for row in ROWS if row.kind.cloud == "gcp" and row.zone]
    assert gcp
    assert wrong([row for row in gcp if not (row.zone or "").startswith(f"{row.region}-")]) == []


def test_every_price_is_sourced_and_dated() -> None:
    for row in ROWS:
        for price, source in ((row.on_demand, row.source), (row.spot, row.spot_source)):
            assert (price is None) == (source is None), wrong([row])
            if source is not None:
                assert len(source.name) > 10, wrong([row])
                assert DAY.fullmatch(source.as_of), source
                assert source.confidence in CONFIDENCE


def test_what_was_converted_is_an_estimate() -> None:
    converted = [r for r in ROWS if r.source and r.source.currency != "USD"]
    assert {row.kind.cloud for row in converted} == EURO
    assert {row.source.confidence for row in converted if row.source} == {ESTIMATE}


def test_accelerators_have_one_spelling_and_their_memory() -> None:
    for name in CATALOG.accelerators():
        assert accelerators.canonical(name) == name
    for kind in {row.kind for row in ROWS if row.kind.accelerator}:
        assert kind.accelerator_count > 0, kind
        if kind.scope != SLICE:
            usual = accelerators.memory_gib(kind.accelerator)
            assert usual and abs(kind.accelerator_memory_gib - usual) <= usual / 4, kind


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp", "lambda", "do", "runpod", "verda"])
def test_memory_agrees_with_the_table_of_the_spec(cloud: str) -> None:
    kinds = [kind for kind in CATALOG.table(cloud).kinds if kind.scope == MACHINE]
    told = {k.instance_type: instances.memory_gib(cloud, k.instance_type) for k in kinds}
    assert sum(gib is not None for gib in told.values()) > len(told) / 2
    differing = [
        (kind.instance_type, kind.memory_gib, told[kind.instance_type])
        for kind in kinds
        if told[kind.instance_type] not in (None, kind.memory_gib)
    ]
    assert differing == []


def test_what_cannot_be_had_is_not_there() -> None:
    azure = {kind.instance_type for kind in CATALOG.table("azure").kinds}
    assert not azure & {"Standard_NC6s_v3", "Standard_ND40rs_v2", "Standard_NV12s_v3"}
    assert "Standard_ND96isr_H100_v5" in azure
    assert not {"MI25", "M60"} & set(CATALOG.accelerators())
    assert "fluidstack" not in CATALOG.clouds


def test_the_documentation_has_the_right_counts() -> None:
    text = " ".join((ROOT / "docs" / "catalog.md").read_text(encoding="utf-8").split())
    prices = sum(p is not None for row in ROWS for p in (row.on_demand, row.spot))
    spot = sum(row.spot is not None for row in ROWS)
    assert f"{len(CATALOG.clouds)} clouds, {len(ROWS):,} rows, {prices:,} prices" in text
    assert f"({spot:,} of them spot), {len({row.kind for row in ROWS}):,} machines" in text
    assert f"{len(CATALOG.accelerators())} accelerators" in text


def test_it_is_small() -> None:
    files = list(BUNDLED.glob("*.cat"))
    assert len(files) == len(CATALOG.clouds)
    assert sum(file.stat().st_size for file in files) < 400_000
