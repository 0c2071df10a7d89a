"""Amounts, sizes of disks and whole numbers, in every spelling."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from stix.spec.words import amounts

ODD: list[Any] = [True, None, date(2026, 1, 1), [], {}, b"4"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(4, "4"), (4.5, "4.5"), ("4+", "4+"), ("2.0", "2.0"), ("08", "08"), (" 4", " 4")],
)
def test_cpus_keep_their_spelling(given: Any, wanted: str) -> None:
    assert amounts.cpus(given) == wanted


@pytest.mark.parametrize("given", [*ODD, 0, -1, "", "+", "4++", "4-8", "many", "nan", "inf"])
def test_wrong_cpus(given: Any) -> None:
    with pytest.raises(PydanticCustomError) as refusal:
        amounts.cpus(given)
    assert "cpus" in refusal.value.message()
    assert refusal.value.context and refusal.value.context["fix"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (16, "16"),
        (16.5, "16.5"),
        ("16+", "16+"),
        ("16GB", "16.0"),
        ("16gb+", "16.0+"),
        ("64Gi", "64.0"),
        ("16 GB", "16.0"),
        ("1TB", "1024.0"),
        ("512MB", "0.5"),
        ("1PB", "1048576.0"),
        ("3x", "3x"),
        ("16GBx", "16.0x"),
        (0, "0"),
    ],
)
def test_memory(given: Any, wanted: str) -> None:
    assert amounts.memory(given) == wanted


@pytest.mark.parametrize(
    "given",
    [*ODD, -1, "", "x", "GB", "16G", "16GiB", "16GB ", "3x+", "3+x", "16+GB", "nan", "infGB"],
)
def test_wrong_memory(given: Any) -> None:
    with pytest.raises(PydanticCustomError):
        amounts.memory(given)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(100, 100), ("100", 100), ("100GB", 100), ("1tb", 1024), ("2Ti", 2048), ("2048MB", 2)],
)
def test_disk_sizes(given: Any, wanted: int) -> None:
    assert amounts.disk_gib(given) == wanted


@pytest.mark.parametrize(
    "given", [*ODD, 0, -5, 1.5, 100.0, "100MB", "100G", "100 GB", "100gB", "1.5TB", "", "big"]
)
def test_wrong_disk_sizes(given: Any) -> None:
    with pytest.raises(PydanticCustomError):
        amounts.disk_gib(given)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("nvme", "nvme:100+"),
        ("SSD", "ssd:100+"),
        ("1000+", "nvme:1000+"),
        (" nvme:1000+ ", "nvme:1000+"),
        ("ssd:500", "ssd:500"),
        ("nvme:1.5", "nvme:1.5"),
    ],
)
def test_local_disks(given: str, wanted: str) -> None:
    assert amounts.local_disk(given) == wanted


@pytest.mark.parametrize("given", [*ODD, 500, "", "hdd", "nvme:", "nvme:0", "a:b:c", "500++", ":5"])
def test_wrong_local_disks(given: Any) -> None:
    with pytest.raises(PydanticCustomError):
        amounts.local_disk(given)


def test_whole_numbers() -> None:
    check = amounts.whole(0, 9, "fix")
    assert [check(0), check(9), check(5.0)] == [0, 9, 5]
    for wrong in (*ODD, -1, 10, 1.5, "5", float("nan"), float("inf")):
        with pytest.raises(PydanticCustomError):
            check(wrong)


def test_numbers_of_amounts() -> None:
    assert amounts.split_amount(None) == (0.0, True)
    assert amounts.split_amount("4") == (4.0, False)
    assert amounts.split_amount("4+") == (4.0, True)
    assert amounts.split_amount("3x") == (3.0, True)
