"""Matrix points: their keys, their order and their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stix.errors import StixError
from stix.spec.expand import MAX_POINTS, order, point_key, points
from stix.spec.models import PipelineSpec, StageSpec


def test_points_in_order_with_needs() -> None:
    pipeline = PipelineSpec(
        stages={
            "report": {"run": "x", "inputs": {"m": "train.model"}},
            "train": {
                "run": "x",
                "needs": ["prepare"],
                "matrix": {"model": ["svm", "rf"], "seed": [1, 2]},
                "outputs": {"model": "m"},
            },
            "prepare": {"run": "x"},
        }
    )
    found = points(pipeline)
    keys = [f"train[model={m},seed={s}]" for m in ("svm", "rf") for s in (1, 2)]
    assert [p.key for p in found] == ["prepare", *keys, "report"]
    assert found[1].needs == ("prepare",)
    assert found[-1].needs == tuple(keys)
    assert [p.index for p in found if p.stage == "train"] == [0, 1, 2, 3]
    assert found[2].params == {"model": "svm", "seed": "2"}
    assert found[2].values == {"model": "svm", "seed": 2}


def test_a_matrix_of_defaults_is_expanded() -> None:
    pipeline = PipelineSpec(defaults={"matrix": {"k": [True, 0.5]}}, stages={"a": {"run": "x"}})
    assert [p.key for p in points(pipeline)] == ["a[k=True]", "a[k=0.5]"]


def test_too_many_points() -> None:
    wide = {"run": "x", "matrix": {"a": list(range(101)), "b": list(range(100))}}
    with pytest.raises(StixError, match="10100 points"):
        points(PipelineSpec(stages={"a": wide}))
    assert MAX_POINTS == 10_000


def test_a_wide_fan_in_shares_its_needs() -> None:
    wide = {"run": "x", "matrix": {"a": list(range(70)), "b": list(range(70))}}
    found = points(PipelineSpec(stages={"a": wide, "b": {**wide, "needs": ["a"]}}))
    assert len(found) == 9_800
    assert found[-1].needs is found[-2].needs


def test_cycle() -> None:
    stages = {"a": {"run": "x", "needs": ["b"]}, "b": {"run": "x", "needs": ["a"]}}
    with pytest.raises(StixError, match="a, b"):
        points(PipelineSpec(stages=stages))


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.text(max_size=8), min_size=3)))
def test_keys_are_unique(matrices: list[dict[str, str]]) -> None:
    ordered = [dict(sorted(m.items())) for m in matrices]
    distinct = {tuple(m.items()) for m in ordered}
    assert len({point_key("s", m) for m in ordered}) == len(distinct)


@given(st.lists(st.lists(st.integers(0, 11), max_size=4), min_size=1, max_size=12))
def test_order_is_topological(edges: list[list[int]]) -> None:
    stages = {
        f"s{i}": StageSpec(run="x", needs=[f"s{j}" for j in needs if j < i])
        for i, needs in enumerate(edges)
    }
    shuffled = dict(sorted(stages.items(), reverse=True))
    found = order(PipelineSpec(stages=shuffled))
    place = {name: i for i, name in enumerate(found)}
    assert sorted(found) == sorted(stages)
    assert all(place[u] < place[n] for n, s in stages.items() for u in s.upstream())
