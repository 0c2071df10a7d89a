"""Every form of ``ports``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from stix.spec.words.ports import port_list


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (8080, ["8080"]),
        ("08080", ["8080"]),
        ([8080, 8081, 8082, 9000], ["8080-8082", "9000"]),
        ("80, 443", ["80", "443"]),
        (["443", "80,22"], ["22", "80", "443"]),
        (["1-3", "2-5", 6], ["1-6"]),
        (["8080", 8080], ["8080"]),
        ("80,,443", ["80", "443"]),
        ("", []),
        ([], []),
        (None, []),
        ("1-65535", ["1-65535"]),
    ],
)
def test_ports(value: Any, wanted: list[str]) -> None:
    assert port_list(value) == wanted


@pytest.mark.parametrize(
    "value",
    [
        0,
        70000,
        -1,
        True,
        1.5,
        {},
        [[1]],
        [None],
        "a",
        "9-8",
        "1-2-3",
        "1 - 2",
        "-5",
        "1-",
        "1-70000",
    ],
)
def test_wrong_ports(value: Any) -> None:
    with pytest.raises(PydanticCustomError):
        port_list(value)


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 20)), max_size=20))
def test_merging_keeps_each_port_once(pairs: list[tuple[int, int]]) -> None:
    merged = port_list([f"{low}-{low + more}" for low, more in pairs])
    wanted = {port for low, more in pairs for port in range(low, low + more + 1)}
    found: list[int] = []
    for text in merged:
        low, _, high = text.partition("-")
        found += range(int(low), int(high or low) + 1)
    assert found == sorted(wanted)
    assert port_list(merged) == merged
