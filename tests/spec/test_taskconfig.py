"""Configuration of clouds in a task, and lifecycle hooks."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.loader import load_text
from stix.spec.problems import SpecErrors
from stix.spec.stage import StageSpec
from stix.spec.taskconfig import TaskConfig
from stix.spec.wire import from_wire, to_wire
from tests.spec.refused import refusal

EVERY: dict[str, Any] = {
    "docker": {"run_options": ["--ipc=host"]},
    "nvidia_gpus": {"disable_ecc": True},
    "ssh": {"custom_metadata": {"labels": {"a": "b"}}, "pod_config": {}, "provision_timeout": 10},
    "kubernetes": {
        "custom_metadata": {"annotations": {}},
        "pod_config": {"spec": {"containers": [{"env": None}]}},
        "provision_timeout": -1,
        "dws": {"enabled": True, "max_run_duration": "10m"},
        "kueue": {"local_queue_name": "q", "admission_timeout": 60},
        "quota": {"queue": "q", "share": 3},
        "remote_identity": {"context": "account"},
        "enable_docker": {"mode": "BUILD", "cache_volume": "v"},
        "set_pod_resource_limits": 1.5,
    },
    "azure": {"remote_identity": [{"a-*": "b"}, {"*": "c"}], "vpc_name": None},
    "gcp": {
        "vpc_name": "project-1/vpc",
        "subnet_names": None,
        "managed_instance_group": {"run_duration": 3600, "provision_timeout": 900},
        "enable_gvnic": True,
        "enable_gpu_direct": False,
        "placement_policy": "compact",
    },
    "vast": {"datacenter_only": True, "create_instance_kwargs": {"a": 1}},
    "slurm": {
        "sbatch_options": {"qos": "high", "nice": 5, "exclusive": True, "mem": None},
        "quota": {"account": "a"},
        "cpu_partition": "p",
    },
    "active_workspace": "w",
}


def test_every_field_is_kept_as_written() -> None:
    assert TaskConfig.model_validate(EVERY).overrides() == EVERY


def test_hooks_are_no_override() -> None:
    config = TaskConfig.model_validate({"hooks": [{"run": "a"}], "docker": {}})
    assert config.overrides() == {"docker": {}}
    (hook,) = config.hooks
    assert (hook.events, hook.timeout) == (["stop", "preemption", "down"], 3600)


def test_what_a_server_may_know_passes() -> None:
    given = {
        "aws": {"vpc_name": "x"},
        "jobs": 3,
        "kubernetes": {"ports": "ingress", "mine": None, "quota": {"queues": [1]}},
    }
    assert TaskConfig.model_validate(given).overrides() == given


def test_keys_in_free_parts_become_text_and_dates_are_refused() -> None:
    text = "run: x\nconfig: {kubernetes: {pod_config: {made: '2020-01-01', 5: a}}}\n"
    config = load_text(text).pipeline.stages["task"].config
    assert config is not None
    assert config.overrides() == {"kubernetes": {"pod_config": {"made": "2020-01-01", "5": "a"}}}
    with pytest.raises(SpecErrors, match=r"pod_config\.made: a date is no text"):
        load_text(text.replace("'", ""))


def test_the_wire_keeps_what_was_given_and_adds_nothing() -> None:
    text = "run: x\nconfig: {gcp: {vpc_name: null}, kubernetes: {mine: 1}, hooks: [{run: a}]}\n"
    pipeline = load_text(text).pipeline
    form = to_wire(pipeline)
    assert form["stages"]["task"]["config"] == {
        "gcp": {"vpc_name": None},
        "kubernetes": {"mine": 1},
        "hooks": [{"run": "a"}],
    }
    again = from_wire(form).stages["task"].config
    assert again is not None
    assert again.overrides() == {"gcp": {"vpc_name": None}, "kubernetes": {"mine": 1}}


@pytest.mark.parametrize(
    ("config", "path", "fix"),
    [
        ({"docker": None}, "docker", "a map"),
        ({"docker": {"run_options": [1]}}, "docker.run_options", "in quotes"),
        ({"docker": {"options": []}}, "docker.options", "did you mean 'run_options'?"),
        ({"dockre": {}}, "dockre", "did you mean 'docker'?"),
        ({"kubernetes": {"pod_configs": {}}}, "kubernetes.pod_configs", "did you mean"),
        ({"kubernetes": {"provision_timeout": "soon"}}, "kubernetes.provision_timeout", "number"),
        (
            {"kubernetes": {"custom_metadata": {"name": "x"}}},
            "kubernetes.custom_metadata.name",
            "remove name",
        ),
        ({"kubernetes": {"quota": {"queue": 5}}}, "kubernetes.quota.queue", "in quotes"),
        ({"kubernetes": {"enable_docker": "all"}}, "kubernetes.enable_docker", "BUILD"),
        (
            {"kubernetes": {"set_pod_resource_limits": 0.5}},
            "kubernetes.set_pod_resource_limits",
            "1",
        ),
        (
            {"kubernetes": {"dws": {"max_run_duration": "10s"}}},
            "kubernetes.dws.max_run_duration",
            "2h",
        ),
        ({"kubernetes": {"remote_identity": {"a": 1}}}, "kubernetes.remote_identity.a", "quotes"),
        ({"ssh": {"namespace": "x"}}, "ssh.namespace", "use one of"),
        ({"azure": {"remote_identity": ""}}, "azure.remote_identity", "remote_identity"),
        ({"azure": {"remote_identity": [{}]}}, "azure.remote_identity", "write"),
        ({"gcp": {"vpc_name": "a/b/c"}}, "gcp.vpc_name", "project-1/vpc-1"),
        ({"gcp": {"managed_instance_group": {}}}, "gcp.managed_instance_group", "run_duration"),
        ({"gcp": {"remote_identity": "x"}}, "gcp.remote_identity", "use one of"),
        ({"vast": {"datacenter_only": "yes"}}, "vast.datacenter_only", "true"),
        ({"slurm": {"quota": {"queue": ""}}}, "slurm.quota.queue", "queue"),
        ({"slurm": {"sbatch_options": {"a": "x\ny"}}}, "slurm.sbatch_options.a", "one line"),
        ({"active_workspace": 5}, "active_workspace", "quotes"),
        ({"hooks": None}, "hooks", "write hooks"),
        ({"hooks": [{}]}, "hooks[0]", "add run"),
        ({"hooks": [{"run": ""}]}, "hooks[0].run", "remove the hook"),
        ({"hooks": [{"run": "x" * 16385}]}, "hooks[0].run", "workdir"),
        ({"hooks": [{"run": "x", "events": []}]}, "hooks[0].events", "remove it"),
        ({"hooks": [{"run": "x", "events": ["stopp"]}]}, "hooks[0].events", "'stop'"),
        ({"hooks": [{"run": "x", "events": ["stop", "stop"]}]}, "hooks[0].events", "once"),
        ({"hooks": [{"run": "x", "timeout": 0}]}, "hooks[0].timeout", "from 1"),
        ({"hooks": [{"run": "x", "event": "stop"}]}, "hooks[0].event", "'events'"),
        ({"hooks": [{"run": "x"}] * 33}, "hooks", "join"),
    ],
)
def test_refused(config: dict[str, Any], path: str, fix: str) -> None:
    problem = refusal({"run": "x", "config": config})
    assert problem.path == f"config.{path}"
    assert fix in problem.fix


def test_overrides_in_two_places_are_refused() -> None:
    again: dict[str, Any] = {"_cluster_config_overrides": {"docker": {}}}
    assert refusal({"config": {"docker": {}}, "resources": again}).path == "config"
    both = {"config": {"hooks": [{"run": "x"}]}, "resources": again}
    assert StageSpec.model_validate(both).config is not None


def test_the_input_is_not_changed() -> None:
    given = {"config": {"hooks": [{"run": "x"}], "kubernetes": {"pod_config": {5: [1]}}}}
    StageSpec.model_validate(given)
    assert given == {"config": {"hooks": [{"run": "x"}], "kubernetes": {"pod_config": {5: [1]}}}}
