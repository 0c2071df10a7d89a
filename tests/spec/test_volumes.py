"""Entries of volumes, and of volume_mounts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stix.spec.loader import load_text
from stix.spec.models import PipelineSpec, StageSpec
from stix.spec.problems import SpecErrors
from stix.spec.volumes import VolumeMount
from stix.spec.wire import from_wire, to_wire

KNOWN: dict[str, Any] = {
    "name": "v",
    "type": "k8s-pvc",
    "cloud": "kubernetes",
    "region": None,
    "zone": None,
    "name_on_cloud": "v-1",
    "size": "10",
}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
volumes = st.one_of(
    texts,
    st.fixed_dictionaries({"name": texts}, optional={"sub_path": texts}),
    st.fixed_dictionaries(
        {"size": st.one_of(st.integers(1, 99), st.sampled_from(["10Gi", "1TB"]))},
        optional={
            "labels": st.dictionaries(texts, texts, max_size=2),
            "config": st.dictionaries(texts, st.one_of(texts, st.integers()), max_size=2),
        },
    ),
    st.fixed_dictionaries({"host_path": texts}, optional={"mode": st.sampled_from(["ro", "rw"])}),
)


def test_forms() -> None:
    stage = StageSpec(
        volumes={"/a": "v", "/b": {"name": "v"}, "/c": {"size": 10}, "/d": VolumeMount(name="w")}
    )
    assert [v.written() for v in stage.volumes.values()] == ["v", None, None, None]
    assert stage.volumes["/a"].name == stage.volumes["/b"].name == "v"


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("[a]", "volumes", "must be a map"),
        ("{/m: 5}", "volumes./m", "must be text or a map, not a number"),
        ("{/m: null}", "volumes./m", "not nothing"),
        ("{/m: {name: 5}}", "volumes./m.name", "must be text"),
        ("{/m: {size: true}}", "volumes./m.size", "must be"),
        ("{/m: {labels: {a: 5}}}", "volumes./m.labels.a", "must be text"),
        ("{/m: {config: x}}", "volumes./m.config", "must be a map"),
    ],
)
def test_refused(text: str, path: str, said: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        load_text(f"run: x\nvolumes: {text}\n")
    assert caught.value.problems[0].path == path
    assert said in caught.value.problems[0].message


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(texts, volumes, max_size=3))
def test_volumes_survive_the_wire(given_volumes: dict[str, Any]) -> None:
    pipeline = PipelineSpec(stages={"a": {"run": "x", "volumes": given_volumes}})
    wire = json.loads(json.dumps(to_wire(pipeline)))
    again = from_wire(wire)
    assert again.stages["a"].volumes == pipeline.stages["a"].volumes
    assert to_wire(again) == wire
    for target, written in given_volumes.items():
        kept = again.stages["a"].volumes[target].written()
        assert kept == (written if isinstance(written, str) else None)


def test_what_a_server_has_looked_up() -> None:
    [found] = StageSpec(volume_mounts=[{"path": "/m", "volume_config": KNOWN}]).volume_mounts or []
    assert (found.path, found.is_ephemeral, found.volume_config.size) == ("/m", False, "10")


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({}, "volume_mounts[0]"),
        ({"volume_config": KNOWN, "foo": 1}, "volume_mounts[0].foo"),
        ({"volume_config": KNOWN, "sub_path": "/x"}, "volume_mounts[0].sub_path"),
        ({"volume_config": KNOWN, "is_ephemeral": None}, "volume_mounts[0].is_ephemeral"),
        ({"volume_config": {**KNOWN, "name": 5}}, "volume_mounts[0].volume_config.name"),
        ({"volume_config": {}}, "volume_mounts[0].volume_config"),
    ],
)
def test_what_a_server_would_not_write(entry: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        load_text(json.dumps({"run": "x", "volume_mounts": [entry]}))
    assert path in {p.path for p in caught.value.problems}
