"""The canonical form of resources: SkyPilot's rules, one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stix.spec.problems import SpecErrors
from stix.spec.sky import canonical
from stix.spec.sky.resources import autostop_hooks
from stix.spec.stage import StageSpec

LOGIN = {
    "SKYPILOT_DOCKER_USERNAME": "u",
    "SKYPILOT_DOCKER_PASSWORD": "p",
    "SKYPILOT_DOCKER_SERVER": "s",
}


def form(resources: Any, **more: Any) -> Any:
    """The canonical form of resources, which must be one of its own."""
    (task,) = canonical(json.dumps({"run": "x", "resources": resources, **more}))
    assert canonical(json.dumps(task)) == [task]
    return task["resources"]


@pytest.mark.parametrize("given", [None, {}, {"cpus": None}, {"any_of": []}, {"any_of": None}])
def test_nothing(given: Any) -> None:
    assert form(given) == {}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"cloud": "AWS", "region": "r"}, {"infra": "aws/r"}),
        ({"zone": "z"}, {"infra": "*/*/z"}),
        ({"infra": "*"}, {}),
        ({"infra": "k8s/a/b"}, {"infra": "kubernetes/a/b"}),
        ({"infra": "k8s/ssh-lab"}, {"infra": "kubernetes/lab"}),
        ({"infra": "ssh/lab/h"}, {"infra": "ssh/lab/h"}),
        ({"infra": "local"}, {"infra": "local"}),
        ({"cpus": 4, "memory": "16GB"}, {"cpus": "4", "memory": "16.0"}),
        ({"memory": "3x"}, {"memory": "3x"}),
        ({"infra": "slurm", "memory": 0}, {"infra": "slurm", "memory": "0"}),
        ({"gpus": "A100:8.0"}, {"accelerators": {"A100": 8}}),
        ({"accelerators": "A100:0.5"}, {"accelerators": {"A100": 0.5}}),
        ({"accelerator_args": {}}, {"accelerator_args": {}}),
        ({"disk_size": 256}, {}),
        ({"disk_size": "1TB"}, {"disk_size": 1024}),
        (
            {"disk_tier": "BEST", "network_tier": "Best"},
            {"disk_tier": "best", "network_tier": "best"},
        ),
        ({"local_disk": "nvme"}, {"local_disk": "nvme:100+"}),
        ({"ports": [8081, 8080]}, {"ports": ["8080-8081"]}),
        ({"use_spot": False}, {"use_spot": False}),
        ({"labels": {}}, {"labels": {}}),
        ({"labels": None}, {}),
        ({"priority": 5.0, "priority_class": " a "}, {"priority": 5, "priority_class": "a"}),
        ({"priority_class": ""}, {}),
        ({"max_hourly_cost": 2}, {"max_hourly_cost": 2}),
        ({"ephemeral_storage": "100GB"}, {}),
        ({"_is_image_managed": False}, {"_is_image_managed": False}),
        ({"_requires_fuse": False}, {"_requires_fuse": False}),
        ({"_docker_username_for_runpod": "u"}, {"_docker_username_for_runpod": "u"}),
        ({"_cluster_config_overrides": {}}, {"_cluster_config_overrides": {}}),
    ],
)
def test_fields(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert form(given) == wanted


@pytest.mark.parametrize(
    ("name", "args", "wanted"),
    [
        ("tpu-v4-8", None, {"runtime_version": "tpu-vm-base"}),
        ("tpu-v5litepod-8", None, {"runtime_version": "v2-alpha-tpuv5"}),
        ("tpu-v6e-8", None, {"runtime_version": "v2-alpha-tpuv6e"}),
        ("tpu-v2-8", {"tpu_vm": False}, {"tpu_vm": False, "runtime_version": "2.12.0"}),
        ("tpu-v2-8", {"runtime_version": "mine"}, {"runtime_version": "mine"}),
    ],
)
def test_tpus(name: str, args: Any, wanted: dict[str, Any]) -> None:
    given = {"accelerators": name, "region": "r", "accelerator_args": args}
    found = form(given)
    assert found == {"infra": "gcp/r", "accelerators": {name: 1}, "accelerator_args": wanted}


def test_tpus_of_kubernetes() -> None:
    wanted = {"infra": "kubernetes", "accelerators": {"tpu-v6e-slice": 1}, "accelerator_args": {}}
    assert form({"accelerators": "tpu-v6e-slice"}) == wanted
    assert form({"accelerators": "tpu-v4-8", "infra": "k8s"})["accelerator_args"] == {}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("failover", {"strategy": "FAILOVER"}),
        ("none", None),
        ({"strategy": "none", "max_restarts_on_errors": 1}, None),
        ({}, {"strategy": None}),
        ({"max_restarts_on_errors": 0}, {"strategy": None, "max_restarts_on_errors": 0}),
        ({"recover_on_exit_codes": 33}, {"strategy": None, "recover_on_exit_codes": 33}),
        ({"recover_on_exit_codes": [1]}, {"strategy": None, "recover_on_exit_codes": [1]}),
    ],
)
def test_job_recovery(given: Any, wanted: Any) -> None:
    assert form({"job_recovery": given}).get("job_recovery") == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (False, False),
        (True, {"idle_minutes": 0, "down": False}),
        ("2h", {"idle_minutes": 120, "down": False}),
        ({"wait_for": "JOBS"}, {"idle_minutes": 0, "down": False, "wait_for": "jobs"}),
    ],
)
def test_autostop(given: Any, wanted: Any) -> None:
    assert form({"autostop": given}) == {"autostop": wanted}


def test_the_hook_of_autostop_moves_to_config() -> None:
    stop = {"idle_minutes": 5, "down": True, "hook": "sync", "hook_timeout": 9}
    text = json.dumps({"run": "x", "resources": {"autostop": stop}})
    (task,) = canonical(text)
    assert task["resources"] == {"autostop": {"idle_minutes": 5, "down": True}}
    hook = {"run": "sync", "events": ["down"], "timeout": 9}
    assert task["config"] == {"hooks": [hook]}
    assert canonical(json.dumps(task)) == [task]
    plain = StageSpec.model_validate({"run": "x", "resources": {"autostop": {"hook": "sync"}}})
    assert autostop_hooks(plain) == [{"run": "sync", "events": ["stop"], "timeout": 3600}]
    assert autostop_hooks(StageSpec(run="x")) == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"image_id": "ami"}, {"null": "ami"}),
        ({"image_id": "ami", "infra": "aws/r"}, {"r": "ami"}),
        ({"image_id": "skypilot:tag", "infra": "oci/ap-seoul-1"}, {"ap-seoul-1": "skypilot:tag"}),
        ({"image_id": "ubuntu", "infra": "k8s"}, {"null": "docker:ubuntu"}),
        ({"image_id": "ubuntu", "infra": "k8s/c"}, {"c": "docker:ubuntu"}),
        ({"image_id": "ubuntu", "infra": "ssh/lab"}, {"ssh-lab": "docker:ubuntu"}),
        ({"image_id": {"r1": "a", "r2": "b"}, "infra": "aws/r1"}, {"r1": "a", "r2": "b"}),
        ({"image_id": {"docker": "docker:i"}, "infra": "k8s"}, {"docker": "i"}),
        ({"image_id": {"docker": "i", "r": "a"}}, {"docker": "i", "r": "a"}),
    ],
)
def test_images(given: dict[str, Any], wanted: dict[str, str]) -> None:
    assert form(given)["image_id"] == wanted


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"infra": "aws", "instance_type": "p4d.24xlarge"}, "1152.0"),
        ({"infra": "aws", "instance_type": "p4d.24xlarge", "memory": "2+"}, "2+"),
        ({"instance_type": "p4d.24xlarge"}, None),
        ({"infra": "aws", "instance_type": "p99.new"}, None),
        ({"infra": "oci", "instance_type": "VM.Standard.E4.Flex$_2_16"}, "16.0"),
    ],
)
def test_a_type_of_machine_has_memory(given: dict[str, Any], wanted: str | None) -> None:
    assert form(given).get("memory") == wanted


def test_disks() -> None:
    given = [
        {"path": "/a", "name": "d"},
        {"path": "/b", "storage_type": "INSTANCE", "name": "x", "disk_size": "10GB"},
        {
            "path": "/c",
            "name": "d",
            "storage_type": "odd",
            "attach_mode": "odd",
            "disk_tier": "odd",
        },
    ]
    network = {"storage_type": "network", "attach_mode": "read_write", "disk_tier": "best"}
    assert form({"volumes": given})["volumes"] == [
        {"path": "/a", "name": "d", "auto_delete": False, **network},
        {
            "path": "/b",
            "storage_type": "instance",
            "attach_mode": "read_write",
            "auto_delete": False,
            "disk_size": "10GB",
        },
        {"path": "/c", "name": "d", "auto_delete": False, **network},
    ]


def test_mounted_disks_stand_in_for_the_common_ones() -> None:
    mount = {"/d": {"name": "n", "store": "volume"}}
    own = [{"path": "/own", "name": "o"}]
    found = form({"volumes": own, "any_of": [{"cpus": 1}, {"volumes": own}]}, file_mounts=mount)
    assert [entry["volumes"][0]["path"] for entry in found["any_of"]] == ["/d", "/own"]


def test_a_mounted_bucket_needs_fuse_everywhere() -> None:
    mount = {"/d": {"name": "bucket", "store": "gcs", "mode": "MOUNT"}}
    found = form({"any_of": [{"cpus": 1}, {"_requires_fuse": False}]}, file_mounts=mount)
    assert [entry["_requires_fuse"] for entry in found["any_of"]] == [True, True]
    assert form({}, file_mounts=mount) == {"_requires_fuse": True}


def test_config_lies_in_every_alternative() -> None:
    found = form({"any_of": [{"cpus": 1}, {"cpus": 2}]}, config={"gcp": {"vpc_name": "v"}})
    overrides = [entry["_cluster_config_overrides"] for entry in found["any_of"]]
    assert overrides == [{"gcp": {"vpc_name": "v"}}] * 2


def test_a_login_lies_where_a_container_is() -> None:
    images = [{"image_id": "docker:a"}, {"image_id": "ami"}, {"image_id": {"docker": "b"}}, {}]
    found = form({"any_of": images}, envs=LOGIN)["any_of"]
    login = {"username": "u", "password": "p", "server": "s"}
    assert [entry.get("_docker_login_config") for entry in found] == [login, None, login, None]
    assert form({"image_id": "docker:a"}, secrets=LOGIN)["_docker_login_config"] == login
    with pytest.raises(SpecErrors, match="SKYPILOT_DOCKER_SERVER"):
        form({}, envs={k: v for k, v in LOGIN.items() if not k.endswith("SERVER")})


def test_the_user_of_runpod() -> None:
    found = form({"cpus": 1}, envs={"SKYPILOT_RUNPOD_DOCKER_USERNAME": "r"})
    assert found == {"cpus": "1", "_docker_username_for_runpod": "r"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"cpus": 1, "any_of": [{"infra": "aws"}]}, {"cpus": "1", "infra": "aws"}),
        ({"accelerators": ["A100"]}, {"accelerators": {"A100": 1}}),
        (
            {"accelerators": ["L4", "T4:2"]},
            {"ordered": [{"accelerators": {"L4": 1}}, {"accelerators": {"T4": 2}}]},
        ),
        (
            {"accelerators": {"L4": 1, "T4": 2}},
            {"any_of": [{"accelerators": {"L4": 1}}, {"accelerators": {"T4": 2}}]},
        ),
        ({"cpus": 1, "any_of": [{}, {}]}, {"any_of": [{"cpus": "1"}, {"cpus": "1"}]}),
        (
            {"cloud": "aws", "ordered": [{"region": "r"}, {"cloud": "gcp"}]},
            {"ordered": [{"infra": "aws/r"}, {"infra": "gcp"}]},
        ),
        (
            {"disk_size": 100, "any_of": [{"disk_size": 256}, {}]},
            {"any_of": [{}, {"disk_size": 100}]},
        ),
    ],
)
def test_alternatives(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert form(given) == wanted


def test_common_labels_are_shared_by_all_alternatives() -> None:
    own = [{"labels": {"b": "1"}}, {"labels": {"a": "2"}}, {"cpus": 1}]
    found = form({"labels": {"a": "0"}, "any_of": own})["any_of"]
    assert [entry["labels"] for entry in found] == [{"a": "2", "b": "1"}] * 3
    apart = form({"any_of": own})["any_of"]
    assert [entry.get("labels") for entry in apart] == [{"b": "1"}, {"a": "2"}, None]


def test_a_memory_says_that_it_chose() -> None:
    found = form({"accelerators": {"V100": 1, "32GB": 1}})["any_of"]
    by_name = {next(iter(e["accelerators"])): e.get("_no_missing_accel_warnings") for e in found}
    assert by_name["V100"] is None
    assert by_name["V100-32GB"] is True
