"""The file of one cloud: what is written is read, the same rows are the same bytes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stix.clouds.catalog import Catalog, Row
from stix.clouds.catalog.catalog import BUNDLED
from stix.clouds.catalog.rows import Kind, Source
from stix.clouds.catalog.tables import CatalogError, read, write

LIST = Source("price list", "2026-08-03")
GUESS = Source("advisor", "2025", "estimate", "EUR")
BIG = Kind("moon", "big", "arm64", 8, 32.5, "A100", 2, 40, 100.5, "10 Gigabit", "machine")
ODD = BIG._replace(memory_gib=64, local_disk_gib=None)
SLICE = Kind("moon", "TPU-VM", "", 0, 0, "tpu-v6e-8", 1, 0, None, "", "slice")
ROWS = [
    Row(BIG, "sea", "sea-a", 1.25, 0.5, LIST, GUESS),
    Row(ODD, "crater", None, 0.000001, None, GUESS, None),
    Row(BIG, "crater", None, None, 0.3, None, LIST),
    Row(SLICE, "*", None, 25_000.5, None, LIST, None),
    Row(BIG, "sea", "sea-b", 1.25, None, LIST, None),
]
COUNTRIES = {"sea": "IS", "crater": "NO"}


def written(folder: Path, rows: list[Row] = ROWS) -> Path:
    file = folder / "moon.cat"
    file.write_bytes(write("moon", rows, COUNTRIES))
    return file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table = read(written(tmp_path))
    rows = [table.row(index) for index in range(table.size)]
    assert sorted(rows, key=repr) == sorted(ROWS, key=repr)
    assert dict(zip(table.regions, table.countries, strict=True)) == {**COUNTRIES, "*": ""}


def test_the_rows_of_a_machine_lie_side_by_side(tmp_path: Path) -> None:
    table = read(written(tmp_path))
    assert table.starts[-1] == len(ROWS)
    for number, kind in enumerate(table.kinds):
        span = range(table.starts[number], table.starts[number + 1])
        assert span
        assert {table.row(index).kind for index in span} == {kind}


def test_the_order_of_rows_does_not_count() -> None:
    mixed = ROWS.copy()
    random.Random(1).shuffle(mixed)
    assert mixed != ROWS
    assert write("moon", mixed, COUNTRIES) == write("moon", ROWS, COUNTRIES)


@pytest.mark.parametrize("cloud", Catalog.load().clouds)
def test_the_bundled_files_are_written_the_same_again(cloud: str) -> None:
    file = BUNDLED / f"{cloud}.cat"
    table = read(file)
    rows = [table.row(index) for index in range(table.size)]
    countries = dict(zip(table.regions, table.countries, strict=True))
    assert write(cloud, rows, countries) == file.read_bytes()


@pytest.mark.parametrize("keep", [-1, -40, 200])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    file = written(tmp_path)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CatalogError, match="cut short") as refused:
        read(file)
    assert refused.value.fix


@pytest.mark.parametrize("content", [b"", b"cloud,price\n", b"stix-catalog 2\n{}\n"])
def test_what_is_no_catalog_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "moon.cat"
    file.write_bytes(content)
    with pytest.raises(CatalogError, match="no catalog"):
        read(file)


@pytest.mark.parametrize("header", [b"{", b"{}", b'{"cloud":"moon","rows":"x"}', b"[]"])
def test_a_header_that_makes_no_sense_is_refused(tmp_path: Path, header: bytes) -> None:
    file = tmp_path / "moon.cat"
    file.write_bytes(b"stix-catalog 1\n" + header + b"\n")
    with pytest.raises(CatalogError, match="cut short"):
        read(file)
