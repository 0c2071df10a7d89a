"""Every form of ``accelerators``."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from stix.spec.words.accelforms import Choices, asked, counts


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("A100", {"A100": 1.0}),
        ("a100:8", {"a100": 8.0}),
        ("A100:8.0", {"A100": 8.0}),
        ("A100:0.5", {"A100": 0.5}),
        ({"A100": 2}, {"A100": 2.0}),
        ({"A100": None}, {"A100": 1.0}),
        ({"H200:8": None}, {"H200": 8.0}),
        (["V100:4"], {"V100": 4.0}),
        (["T4", "T4"], {"T4": 1.0}),
        ("RTX PRO 4500", {"RTX PRO 4500": 1.0}),
    ],
)
def test_one_accelerator(given: Any, wanted: dict[str, float]) -> None:
    found = asked(given)
    assert found == wanted
    assert type(found) is dict


def test_several_keep_their_counts_and_order() -> None:
    found = asked(["A100:1", "A100:8", "T4"])
    assert isinstance(found, Choices)
    assert [(one.name, one.count) for one in found.entries] == [("A100", 1), ("A100", 8), ("T4", 1)]
    assert found.ordered
    either = asked({"A100": 1, "V100": 2})
    assert isinstance(either, Choices)
    assert not either.ordered


def test_a_name_wins_over_the_memory_that_means_it_too() -> None:
    found = asked({"A100-80GB": 1, "80GB": 1})
    assert isinstance(found, Choices)
    named = [one.name for one in found.entries if one.named]
    assert named == ["A100-80GB"]
    assert [one.name for one in found.entries].count("A100-80GB") == 1


@pytest.mark.parametrize("text", ["80GB:2", "NVIDIA:80GB:2", "nvidia:80gb:2", "81920MB:2"])
def test_memories(text: str) -> None:
    found = asked(text)
    assert isinstance(found, Choices)
    names = {one.name for one in found.entries}
    assert {"H100", "A100-80GB"} <= names
    assert "H200" not in names
    assert {one.count for one in found.entries} == {2.0}


def test_what_a_host_has_is_all_there() -> None:
    assert counts({"A100": 2, "T4": 1}) == {"A100": 2.0, "T4": 1.0}


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        ":2",
        "A100 :2",
        "A100:",
        "A100:0",
        "A100:-1",
        "A100:x",
        "A100:nan",
        "A100:inf",
        "A100:1..4",
        "A100:1:2",
        "NVIDIA:80GB:1.5",
        "80GB:0.5",
        [],
        [5],
        [["A100"]],
        [{"A100": 1}],
        {"A100": "two"},
        {"A100": True},
        {"A100": 0},
        {"A100:2": 1},
        5,
        True,
        date(2026, 1, 1),
    ],
)
def test_wrong_accelerators(given: Any) -> None:
    with pytest.raises(PydanticCustomError) as refusal:
        asked(given)
    assert refusal.value.context and refusal.value.context["fix"]


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ("81GB", "write 94GB, or 94GB+"),
        ("NVIDA:80GB", "did you mean 'NVIDIA'?"),
        ("A100:80GB", "'A100-80GB'"),
    ],
)
def test_memories_that_nothing_has(given: str, fix: str) -> None:
    with pytest.raises(PydanticCustomError) as refusal:
        asked(given)
    assert refusal.value.context and fix in refusal.value.context["fix"]
