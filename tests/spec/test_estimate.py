"""What the user expects of a stage: its forms, what is refused, and its way to the server."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stix.spec.estimate import EstimateSpec, gigabytes
from stix.spec.loader import load_text
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.wire import from_wire, to_wire, to_yaml

FULL = """
name: p
stages:
  a:
    run: "true"
    outputs: {model: out}
    estimate:
      time: 2h
      accelerators: A100:8
      outputs: {model: 500MB}
      inputs: {"s3://bucket/data": 1.5TB}
      checkpoint: 10m
"""


def estimate(value: Any) -> EstimateSpec:
    found = StageSpec.model_validate({"run": "true", "estimate": value}).estimate
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("given", "gb"),
    [(10, 10), (2.5, 2.5), ("10", 10), ("10GB", 10), ("512 mb", 0.5), ("1.5TB", 1536), (0, 0)],
)
def test_sizes(given: Any, gb: float) -> None:
    assert gigabytes(given) == gb


def test_a_time_alone_stands_for_the_map() -> None:
    assert estimate("2h") == estimate({"time": 7200}) == estimate(7200)


def test_all_of_it() -> None:
    found = load_text(FULL).pipeline.stages["a"].estimate
    assert found is not None
    assert (found.time, found.checkpoint, found.accelerators) == (7200, 600, {"A100": 8})
    assert found.outputs == {"model": 500 / 1024}
    assert found.inputs == {"s3://bucket/data": 1536}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("soon", "not a duration"),
        ({"time": 0}, "above zero"),
        ({"accelerators": "80GB+"}, "does not name one"),
        ({"accelerators": ["A100"]}, "not an accelerator"),
        ({"outputs": {"m": "-1GB"}}, "not a size"),
        ({"outputs": {"m": True}}, "not a size"),
        ({"inputs": ["s3://b"]}, "must be a map"),
        ({"inputs": {"s3://b": float("nan")}}, "a size cannot be"),
        ({"duration": 1}, "not permitted"),
        ([1], "valid dictionary"),
    ],
)
def test_what_is_refused(value: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        estimate(value)


def test_its_form_on_the_wire_and_as_a_file() -> None:
    pipeline = load_text(FULL).pipeline
    assert to_wire(from_wire(to_wire(pipeline))) == to_wire(pipeline)
    assert (
        load_text(to_yaml(pipeline)).pipeline.stages["a"].estimate == pipeline.stages["a"].estimate
    )


def test_defaults_lie_beneath() -> None:
    pipeline = PipelineSpec.model_validate(
        {
            "defaults": {"estimate": {"time": "1h", "checkpoint": "5m"}},
            "stages": {"a": {"run": "true", "estimate": "10m"}, "b": {"run": "true"}},
        }
    ).resolved()
    found = [stage.estimate for stage in pipeline.stages.values()]
    assert [e and (e.time, e.checkpoint) for e in found] == [(600, 300), (3600, 300)]


def test_a_size_of_no_output_is_told() -> None:
    (problem,) = load_text(FULL.replace("{model: 500MB}", "{modle: 500MB}")).warnings
    assert problem.severity == "warning"
    assert "no output 'modle'" in problem.message
    assert "model" in problem.fix
    assert not load_text(FULL).warnings
