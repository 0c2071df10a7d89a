"""Tasks put together at random from the forms of fields, right ones and odd ones."""

from __future__ import annotations

import random
from typing import Any

RESOURCES: dict[str, list[Any]] = {
    "infra": ["aws", "AWS/us-east-1", "gcp/*/us-central1-a", "k8s/my/context", "*", "", "lambda"],
    "cloud": ["aws", "GCP", "k8s", "nimbus"],
    "region": ["us-east-1", "us-central1"],
    "accelerators": [
        "A100",
        "a100:8",
        "A100:0.5",
        {"A100": 1},
        {"A100": None},
        {"A100": 1, "V100": 2},
        ["A100", "V100:2"],
        "tpu-v5litepod-4",
        "A100:x",
        [],
    ],
    "gpus": ["H100:2", {"L4": 1}],
    "cpus": [4, 4.5, "4+", "8", "many", 0, None],
    "memory": [16, "16+", "64GB+", "512MB", "3x", "1TB", -1, "16 GB"],
    "use_spot": [True, False, None, "yes"],
    "job_recovery": ["failover", "none", {"max_restarts_on_errors": 3}, {"strategy": None}, 5],
    "disk_size": [256, 100, "100GB", "1TB", "100MB", "0", -5],
    "disk_tier": ["best", "HIGH", "none", "turbo"],
    "network_tier": ["best", "standard", "Best", "fast"],
    "local_disk": ["nvme", "nvme:1000+", "ssd:500", "300+", "hdd:1"],
    "max_hourly_cost": [2.5, 3, 0, "1"],
    "ports": [8080, "8000-8010", [8080, 8081, "9000"], "80,443", [], "9-8", 70000],
    "labels": [{"a": "b"}, {}, {"a": 1}, {"team": "x", "b": "c"}],
    "image_id": ["docker:ubuntu:22.04", "ami-1", {"us-east-1": "ami-1"}, {"docker": "img"}, None],
    "autostop": [True, False, 10, "2h", "1d", {"idle_minutes": 5, "down": True}, {"minutes": 1}],
    "priority": [5, 0, 5000, "5"],
    "priority_class": ["high", None],
    "ephemeral_storage": ["10GB"],
    "any_of": [
        [{"infra": "aws"}, {"infra": "gcp", "use_spot": True}],
        [{"accelerators": "A100:8"}],
        [{"labels": {"c": "d"}}, {"cpus": 8}],
        [],
        [{"any_of": []}],
    ],
    "ordered": [[{"infra": "aws"}, {"infra": "gcp"}], [{"cpus": 2}]],
}
TASK: dict[str, list[Any]] = {
    "name": ["train", "a.b-c_d", None],
    "workdir": [".", "~/x", {"url": "https://host/a.git", "ref": "main"}, {"ref": "main"}, 5],
    "num_nodes": [1, 4, None, 0, "2", 1.5],
    "setup": ["pip install x", None, ["a"]],
    "envs": [
        {"A": "1", "B": 2},
        {"A": True, "C": 1.5},
        {"A": 'q"u\\o'},
        {},
        {"1A": "x"},
        {"A": None},
    ],
    "secrets": [{"T": "v"}, ["secrets:HF"], {"T": "v", "secrets:HF": None}, {"K": None}, ["plain"]],
    "file_mounts": [
        {"/d": "s3://b/p", "/e": "~/local"},
        {"/d": {"source": "gs://b", "mode": "copy"}},
        {"/d": {"name": "bkt-x", "store": "gcs"}, "/$A": "./x"},
        {"/d": {"name": "bkt-x", "store": "dropbox"}},
        {"/d": {"source": "s3://b", "mode": "MOUNT_CACHED", "type": "DATASET_RO"}},
        {"/d": {"name": "v1", "store": "volume", "config": {"disk_size": 10}}},
        {},
        None,
    ],
    "volumes": [{"/mnt": "vol"}, {"/mnt": {"size": "10Gi"}}, {"mnt": "vol"}, ["a"]],
    "inputs": [{"s3://b/x": 10}, {"a": 1, "b": 2}],
    "outputs": [{"s3://b/y": 2.5}],
    "event_callback": ["echo $x", 5],
    "api_server_access": [True, False],
    "config": [
        {"hooks": [{"run": "echo bye"}]},
        {"kubernetes": {"provision_timeout": 10, "pod_config": {"spec": {}}}},
        {"aws": {"vpc_name": "x"}},
        {"docker": {"run_options": ["--ipc=host"]}},
        {"kubernetes": {"provision_timeout": "soon"}},
    ],
    "service": [
        "/health",
        {"readiness_probe": "/v1", "replicas": 2},
        {"readiness_probe": {"path": "/v1", "post_data": '{"a": 1}'}, "replicas": 1},
        {"replica_policy": {"min_replicas": 1, "max_replicas": 3, "target_qps_per_replica": 2}},
        {"replica_policy": {"min_replicas": 1, "max_replicas": 3}},
        {"pool": {"workers": 2}},
        {"ports": 8080, "load_balancing_policy": "round_robin"},
        {},
    ],
    "pool": [{"workers": 2}, {"min_workers": 0, "max_workers": 5}, {"min_workers": 1}],
    "unknown": [1],
}


def task(pick: random.Random) -> dict[str, Any]:
    """One task: a few fields of each kind, of which most are right."""
    out: dict[str, Any] = {"run": "echo hi"}
    out |= _some(pick, TASK, pick.choice((0, 1, 1, 2, 3)))
    if pick.random() < 0.8:
        out["resources"] = _some(pick, RESOURCES, pick.choice((0, 1, 2, 2, 3, 4)))
    return out


def _some(pick: random.Random, fields: dict[str, list[Any]], count: int) -> dict[str, Any]:
    return {name: pick.choice(fields[name]) for name in pick.sample(sorted(fields), count)}
