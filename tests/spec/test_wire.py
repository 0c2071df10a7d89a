"""The canonical form: JSON-safe, deterministic, and read back to an equal pipeline."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stix.spec.changes.overrides import Overrides
from stix.spec.checks.check import check
from stix.spec.loader import load_text
from stix.spec.models import PipelineSpec
from stix.spec.wire import from_wire, stage_to_wire, to_wire, to_yaml

names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,3}(_[a-z0-9])?", fullmatch=True)
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=30
)
scripts = texts.map(lambda t: "echo " + t)
durations = st.sampled_from([5, "10m", "1h30m", 0.25, "2d"])
resources = st.fixed_dictionaries(
    {},
    optional={
        "infra": st.sampled_from(["local", "ssh/lab", "aws/*/z", "k8s/a/b"]),
        "cpus": st.sampled_from([1, "4+", 0.5]),
        "memory": st.sampled_from(["16GB", 2, "1TB+"]),
        "accelerators": st.sampled_from(
            ["A100:2", {"T4": 0.5}, ["A100", "V100"], {"A": 1, "B": 2}]
        ),
        "use_spot": st.booleans(),
        "labels": st.dictionaries(names, texts, max_size=2),
        "ports": st.sampled_from([80, "80-90", ["1", 2]]),
        "disk_size": st.integers(1, 9),
        "job_recovery": st.sampled_from(
            ["none", "FAILOVER", {"max_restarts_on_errors": 2, "recover_on_exit_codes": [3]}]
        ),
    },
)
recoveries = st.sampled_from(
    ["none", {"preempted": 3}, {"capacity": {"retries": "unlimited", "backoff": "1m"}}, {}]
)
scalars = st.one_of(st.integers(-9, 9), st.floats(-1, 1), st.booleans(), names)
fields: dict[str, st.SearchStrategy[Any]] = {
    "setup": scripts,
    "num_nodes": st.integers(1, 4),
    "workdir": st.sampled_from([".", "$HOME_DIR/x", None]),
    "resources": resources,
    "envs": st.dictionaries(names, st.one_of(texts, scalars), max_size=3),
    "file_mounts": st.sampled_from(
        [
            {"/a": "s3://b/$A"},
            {"/b": {"source": "gs://bucket"}},
            {"/c": {"name": "bucket", "store": "s3"}},
        ]
    ),
    "outputs": st.dictionaries(names, names, max_size=2),
    "matrix": st.dictionaries(names, st.lists(scalars, min_size=1, max_size=3, unique_by=str)),
    "allowed_failures": st.sampled_from([0, 2, "20%", "12.5%"]),
    "max_parallel": st.integers(1, 5),
    "cache": st.sampled_from([True, False, None]),
    "timeout": durations,
    "recovery": recoveries,
    "secrets": st.lists(names, max_size=2),
}
stages = st.fixed_dictionaries({"run": scripts}, optional=fields)


@st.composite
def pipelines(draw: st.DrawFn) -> PipelineSpec:
    bodies = draw(st.lists(stages, min_size=1, max_size=4))
    given_stages = {f"s{i}": body for i, body in enumerate(bodies)}
    for i in range(1, len(bodies)):
        earlier = draw(st.integers(0, i - 1))
        given_stages[f"s{i}"]["needs"] = [f"s{earlier}"]
        made = list(given_stages[f"s{earlier}"].get("outputs", {}))
        if made:
            given_stages[f"s{i}"]["inputs"] = {"i": f"s{earlier}.{made[0]}"}
    return PipelineSpec(
        name=draw(names),
        envs=draw(st.dictionaries(names, texts, max_size=2)),
        defaults=draw(st.none() | st.fixed_dictionaries({}, optional=fields)),
        stages=given_stages,
        **draw(st.fixed_dictionaries({}, optional={"deadline": durations})),
    )


quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(pipelines())
def test_round_trip(pipeline: PipelineSpec) -> None:
    wire = to_wire(pipeline)
    text = json.dumps(wire, allow_nan=False)
    again = from_wire(json.loads(text))
    assert json.dumps(to_wire(again)) == text
    for name, stage in again.stages.items():
        assert stage.upstream() == pipeline.stages[name].upstream()
    assert from_wire(to_wire(again)) == again


@quick
@given(pipelines())
def test_yaml_round_trip(pipeline: PipelineSpec) -> None:
    assume(not [p for p in check(pipeline) if p.severity == "error"])
    loaded = load_text(to_yaml(pipeline), given=Overrides(complete=False))
    whole = pipeline.resolved()
    whole.stages = {name: stage.substituted() for name, stage in whole.stages.items()}
    assert to_wire(loaded.pipeline) == to_wire(whole)


def test_canonical_values() -> None:
    pipeline = PipelineSpec(
        name="p",
        deadline="2h",
        defaults={"timeout": "1m"},
        secrets={"K": "hunter2"},
        stages={"a": {"run": "x", "recovery": {"preempted": {"backoff": "1m", "retries": None}}}},
    )
    wire = to_wire(pipeline)
    assert (wire["deadline"], wire["version"]) == (7200.0, 1)
    stage = wire["stages"]["a"]
    assert stage["timeout"] == 60.0
    assert stage["secrets"] == {"K": None}
    assert stage["recovery"]["preempted"]["retries"] is None
    assert "hunter2" not in json.dumps(wire) + to_yaml(pipeline) + repr(pipeline)
    assert "defaults" not in wire


def test_one_stage() -> None:
    pipeline = PipelineSpec(stages={"a": {"run": "x", "outputs": {"o": "o.txt"}}})
    stage = pipeline.resolved().stages["a"]
    assert stage_to_wire(stage) == {"name": "a", "run": "x", "outputs": {"o": {"path": "o.txt"}}}


def test_equal_pipelines_written_differently_have_one_form() -> None:
    one = load_text("stages:\n  a: {run: x, timeout: 10m, resources: {gpus: A100, cloud: aws}}\n")
    two = load_text(
        "defaults: {resources: {infra: AWS}}\nstages:\n  a:\n    run: x\n    timeout: 600\n"
        "    resources: {accelerators: {A100: 1}}\n"
    )
    assert to_wire(one.pipeline) == to_wire(two.pipeline)


def test_what_is_no_wire_form() -> None:
    with pytest.raises(ValueError, match="form 9"):
        from_wire({"version": 9, "stages": {}})
    with pytest.raises(ValidationError):
        from_wire({"stages": {"a": {"run": 1}}})
