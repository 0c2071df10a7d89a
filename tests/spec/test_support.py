"""What is parsed and does not act is refused, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.changes.overrides import Overrides
from stix.spec.loader import load_text
from stix.spec.models import StageSpec
from stix.spec.resources import Resources
from stix.spec.support import pipeline_refusals, refusals

REFUSED: list[dict[str, Any]] = [
    {"resources": {"disk_tier": "high"}},
    {"resources": {"network_tier": "best"}},
    {"resources": {"priority": 5}},
    {"resources": {"priority_class": "high"}},
    {"resources": {"accelerator_args": {"tpu_vm": True}}},
    {"resources": {"volumes": [{"path": "/d", "name": "v"}]}},
    {"resources": {"any_of": [{"cpus": 1}, {"priority": 1}]}},
    {"service": {"readiness_probe": "/"}},
    {"pool": {"workers": 2}},
    {"config": {"docker": {"run_options": "-v"}}},
    {"event_callback": "echo"},
    {"volumes": {"/mnt": {"host_path": "/x"}}},
    {"managed_secrets": ["secrets:A"]},
    {"api_server_access": True},
    {"file_mounts": {"/d": {"source": "hf://a/b", "mode": "MOUNT"}}},
    {"file_mounts": {"/d": {"source": "file:///a", "mode": "MOUNT_CACHED"}}},
    {"file_mounts": {"/d": {"source": "https://a/b", "mode": "STREAM"}}},
    {"file_mounts": {"/d": {"source": "s3://b", "config": {"mount": {"hf_mount_args": ["a"]}}}}},
    {"file_mounts": {"/d": {"source": ["a", "b"], "mode": "COPY"}}},
    {"file_mounts": {"/d": {"name": "owner/bucket", "store": "hf"}}},
    {"file_mounts": {"/d": {"name": "disk", "store": "volume", "mode": "COPY", "source": "a"}}},
    {"file_mounts": {"/d": "ftp://bucket"}},
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
            "gpus": "40GB+:2",
            "use_spot": True,
            "max_hourly_cost": 2.5,
            "autostop": {"idle_minutes": 10},
            "job_recovery": "FAILOVER",
            "any_of": [{"instance_type": "m5.large"}, {}],
        },
        file_mounts={"/a": "./a", "/b": "s3://b/c", "/c": {"source": "file:///c", "mode": "copy"}},
        envs={"A": "1"},
        secrets=["T"],
        api_server_access=False,
        config={},
        volumes={"/v": {"name": "v", "sub_path": "a"}},
    )
    assert refusals(stage) == []


def test_fields_that_only_skypilot_writes() -> None:
    known = {**dict.fromkeys(("name", "type", "name_on_cloud"), "x"), "cloud": "aws"}
    volume = {"path": "/v", "volume_config": known | dict.fromkeys(("region", "zone", "size"))}
    kept = StageSpec(run="x", volume_mounts=[volume], file_mounts_mapping={"a": "b"})
    kept.resources = Resources(ephemeral_storage=1)
    assert {p.path for p in refusals(kept)} == {"volume_mounts", "file_mounts_mapping"}


def test_a_mode_that_is_written_is_shown() -> None:
    stage = StageSpec(run="x", file_mounts={"/d": {"source": "hf://a/b", "mode": "mount_cached"}})
    [problem] = refusals(stage)
    assert problem.path == "file_mounts./d.mode"
    assert "hf:// is not mounted" in problem.message


@pytest.mark.parametrize("mode", ["MOUNT", "MOUNT_CACHED", "STREAM"])
@pytest.mark.parametrize("source", ["s3://b", "gs://b/part", "az://b", "sftp://h/p", "r2://b"])
def test_buckets_are_mounted(mode: str, source: str) -> None:
    assert not refusals(StageSpec(run="x", file_mounts={"/d": {"source": source, "mode": mode}}))


def test_options_of_a_mount_act() -> None:
    cached = {"mount_cached": {"transfers": 4, "vfs_write_back": "5s", "read_only": True}}
    entry = {"source": "s3://b", "mode": "MOUNT_CACHED", "type": "DATASET_RO", "config": cached}
    assert not refusals(StageSpec(run="x", file_mounts={"/d": entry}))


def test_a_refusal_names_the_value() -> None:
    [problem] = refusals(StageSpec(run="x", file_mounts={"/d": "ftp://bucket"}))
    assert "ftp://" in problem.message


def test_refusals_have_places() -> None:
    text = """\
name: g
execution: parallel
termination_delay: 30s
---
name: a
run: x
resources:
  priority: 8
file_mounts:
  /d: {source: hf://a/b}
---
name: b
run: x
volumes: {/v: {host_path: /x}}
resources: {infra: slurm}
"""
    loaded = load_text(text, "g.yaml", Overrides())
    found = [loaded.locate(p) for p in pipeline_refusals(loaded.pipeline)]
    assert [(p.line, p.path) for p in found] == [
        (2, "execution"),
        (3, "termination_delay"),
        (8, "resources.priority"),
        (10, "file_mounts./d"),
        (14, "volumes./v.host_path"),
    ]
