"""Accelerators by memory, and names that were meant."""

from __future__ import annotations

import pytest

from stix.spec.words import accelerators, gpus


def test_the_table_holds_what_the_names_hold() -> None:
    assert [one.name for one in gpus.table()] == accelerators.known()
    for one in gpus.table():
        assert accelerators.memory_gib(one.name) == one.memory_gib > 0
        assert one.maker


def test_by_memory() -> None:
    exact = gpus.by_memory(80, more=False)
    more = gpus.by_memory(80, more=True)
    assert {"H100", "A100-80GB"} <= set(exact) < set(more)
    assert "H200" in more and "H200" not in exact
    assert set(gpus.by_memory(0, more=True, maker="nvidia")) < set(gpus.by_memory(0, more=True))
    assert "Inferentia2" in gpus.by_memory(32, more=False, maker="aws")
    assert "Inferentia2" not in gpus.by_memory(32, more=False)
    assert gpus.by_memory(80, more=False, maker="nobody") == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("A10O", "A100"),
        ("H10", "H100"),
        ("A1OO", "A100"),
        ("HI00", "H100"),
        ("RTX409", "RTX4090"),
        ("L4OS", "L40S"),
        ("A100-80BG", "A100-80GB"),
    ],
)
def test_slips(name: str, wanted: str) -> None:
    assert gpus.meant(name) == wanted


@pytest.mark.parametrize(
    "name",
    ["A100", "a100", "A100-80GB", "A6000", "tpu-v4-8", "tpu-v5-lite-podslice", "our-own-card"],
)
def test_names_that_may_be_meant(name: str) -> None:
    assert gpus.meant(name) is None
