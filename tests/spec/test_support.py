"""What is parsed and does not act is refused, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.loader import load_text
from stix.spec.models import StageSpec
from stix.spec.overrides import Overrides
from stix.spec.resources import Resources
from stix.spec.support import pipeline_refusals, refusals

REFUSED: list[dict[str, Any]] = [
    {"resources": {"image_id": "docker:ubuntu:22.04"}},
    {"resources": {"ports": 8080}},
    {"resources": {"autostop": 10}},
    {"resources": {"autostop": False}},
    {"resources": {"disk_size": 100}},
    {"resources": {"disk_tier": "high"}},
    {"resources": {"network_tier": "best"}},
    {"resources": {"local_disk": "nvme:1000+"}},
    {"resources": {"priority": 5}},
    {"resources": {"priority_class": "high"}},
    {"resources": {"accelerator_args": {"tpu_vm": True}}},
    {"resources": {"accelerators": "80GB+"}},
    {"resources": {"volumes": [{"path": "/d", "name": "v"}]}},
    {"resources": {"any_of": [{"cpus": 1}, {"ports": 1}]}},
    {"service": {"readiness_probe": "/"}},
    {"pool": {"workers": 2}},
    {"config": {"docker": {"run_options": "-v"}}},
    {"event_callback": "echo"},
    {"volumes": {"/mnt": "vol"}},
    {"managed_secrets": ["secrets:A"]},
    {"api_server_access": True},
    {"inputs": {"s3://b/x": 10}},
    {"outputs": {"s3://b/x": 0.5}},
    {"workdir": {"url": "https://example.com/a", "ref": "main"}},
    {"file_mounts": {"/d": {"source": "s3://b", "mode": "MOUNT"}}},
    {"file_mounts": {"/d": {"source": "s3://b", "mode": "MOUNT_CACHED"}}},
    {"file_mounts": {"/d": {"name": "bucket", "mode": "COPY"}}},
    {"file_mounts": {"/d": {"source": ["a", "b"], "mode": "COPY"}}},
    {"file_mounts": {"/d": {"source": "a", "mode": "COPY", "store": "gcs"}}},
    {"file_mounts": {"/d": {"source": "a", "mode": "COPY", "persistent": False}}},
    {"file_mounts": {"/d": "gs://bucket"}},
]


@pytest.mark.parametrize("fields", REFUSED, ids=str)
def test_refused(fields: dict[str, Any]) -> None:
    problems = refusals(StageSpec(run="x", **fields), ("stages", "a"))
    assert len(problems) >= 1
    for problem in problems:
        assert problem.path.startswith("stages.a.")
        assert problem.message
        assert problem.fix


def test_what_acts_passes() -> None:
    stage = StageSpec(
        run="x",
        setup="y",
        workdir=".",
        num_nodes=2,
        resources={
            "infra": "aws/r/z",
            "cpus": "4+",
            "memory": 16,
            "gpus": "A100:2",
            "use_spot": True,
            "max_hourly_cost": 2.5,
            "labels": {"a": "b"},
            "job_recovery": "FAILOVER",
            "any_of": [{"instance_type": "m5.large"}, {}],
        },
        file_mounts={"/a": "./a", "/b": "s3://b/c", "/c": {"source": "file:///c", "mode": "copy"}},
        envs={"A": "1"},
        secrets=["T"],
        api_server_access=False,
    )
    assert refusals(stage) == []


def test_every_field_is_decided() -> None:
    """A new field of a model must be listed as acting here, or be refused by the table above."""
    acting = {
        *("name", "workdir", "num_nodes", "resources", "file_mounts", "setup", "run", "envs"),
        *("secrets", "needs", "inputs", "outputs", "matrix", "max_parallel", "allowed_failures"),
        *("when", "recovery", "cache", "timeout"),
    }
    refused = {name for fields in REFUSED for name in fields}
    refused |= {"volume_mounts", "file_mounts_mapping", "egress_inputs", "egress_outputs"}
    assert set(StageSpec.model_fields) <= acting | refused
    acting = {
        *("infra", "cpus", "memory", "accelerators", "instance_type", "use_spot", "job_recovery"),
        *("max_hourly_cost", "labels", "any_of", "ordered"),
    }
    refused = {name for fields in REFUSED for name in fields.get("resources", {})}
    assert set(Resources.model_fields) <= acting | refused | {"ephemeral_storage"}
    kept = StageSpec(run="x", volume_mounts=[1], file_mounts_mapping={"a": "b"})
    kept.resources = Resources(ephemeral_storage=1)
    assert len(refusals(kept)) == 3


def test_refusals_have_places() -> None:
    text = """\
name: g
execution: parallel
termination_delay: 30s
---
name: a
run: x
resources:
  ports: 80
file_mounts:
  /d: {source: s3://b}
---
name: b
run: x
inputs: {s3://b/x: 3}
"""
    loaded = load_text(text, "g.yaml", Overrides())
    found = [loaded.locate(p) for p in pipeline_refusals(loaded.pipeline)]
    assert [(p.line, p.path) for p in found] == [
        (2, "execution"),
        (3, "termination_delay"),
        (8, "resources.ports"),
        (10, "file_mounts./d.mode"),
        (14, "inputs"),
    ]
