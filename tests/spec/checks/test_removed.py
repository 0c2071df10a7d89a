"""Fields that SkyPilot no longer has."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from stix.spec.checks.removed import INSTEAD, instead, mapped
from stix.spec.loader import load_text
from stix.spec.sky import canonical
from stix.spec.stage import StageSpec
from tests.spec.refused import refusal

SERVICE = {"readiness_probe": "/"}


@pytest.mark.parametrize(
    ("task", "now", "path"),
    [
        (
            {"resources": {"spot_recovery": "FAILOVER"}},
            {"resources": {"job_recovery": "FAILOVER"}},
            "resources.spot_recovery",
        ),
        (
            {"resources": {"spot_recovery": "aggressive_failover"}},
            {"resources": {"job_recovery": "EAGER_NEXT_REGION"}},
            "resources.spot_recovery",
        ),
        (
            {"resources": {"ordered": [{"spot_recovery": "none"}, {"cpus": 1}]}},
            {"resources": {"ordered": [{"job_recovery": "none"}, {"cpus": 1}]}},
            "resources.ordered[0].spot_recovery",
        ),
        (
            {"experimental": {"config_overrides": {"docker": {"run_options": "a"}}}},
            {"config": {"docker": {"run_options": "a"}}},
            "experimental",
        ),
        ({"experimental": None}, {}, "experimental"),
        ({"service": SERVICE | {"port": 80}}, {"service": SERVICE | {"ports": 80}}, "service.port"),
        (
            {"service": SERVICE | {"auto_restart": True}},
            {"service": SERVICE},
            "service.auto_restart",
        ),
        (
            {"service": {"replica_policy": {"min_replicas": 1, "auto_restart": True}}},
            {"service": {"replica_policy": {"min_replicas": 1}}},
            "service.replica_policy.auto_restart",
        ),
    ],
)
def test_mapped(task: dict[str, Any], now: dict[str, Any], path: str) -> None:
    before = copy.deepcopy(task)
    out, told = mapped(task)
    assert out == now
    assert [(problem.severity, problem.path) for problem in told] == [("warning", path)]
    assert told[0].fix
    assert task == before


@pytest.mark.parametrize(
    "task",
    [
        {"run": "x", "resources": {"any_of": [{"cpus": 1}]}, "service": SERVICE},
        {"resources": {"job_recovery": "failover", "spot_recovery": "failover"}},
        {"service": {"port": 1, "ports": 2}},
        {"experimental": {"config_overrides": {}, "other": 1}},
        {"experimental": {"config_overrides": {"docker": {}}}, "config": {"docker": {}}},
        {"service": {"replica_policy": {"auto_restart": False}}},
        {"resources": "none", "service": []},
        "text",
    ],
)
def test_left_as_it_is(task: Any) -> None:
    assert mapped(task) == (task, [])


def test_a_file_with_an_old_name_loads_and_tells() -> None:
    text = "run: x\nresources: {use_spot: true, spot_recovery: FAILOVER}\n"
    loaded = load_text(text)
    (told,) = loaded.warnings
    assert (told.path, told.line) == ("resources.spot_recovery", 2)
    recovery = loaded.pipeline.stages["task"].resources.job_recovery
    assert recovery is not None
    assert recovery.strategy == "FAILOVER"
    (form,) = canonical(text)
    assert form["resources"]["job_recovery"]["strategy"] == "FAILOVER"


def test_stages_and_defaults_map_as_well() -> None:
    text = (
        "defaults: {resources: {spot_recovery: FAILOVER}}\n"
        "stages: {a: {run: x, resources: {spot_recovery: FAILOVER}}}\n"
    )
    told = [problem.path for problem in load_text(text).warnings]
    assert told == ["defaults.resources.spot_recovery", "stages.a.resources.spot_recovery"]


@pytest.mark.parametrize(("area", "name"), list(INSTEAD))
def test_no_removed_field_is_a_field(area: str, name: str) -> None:
    models = StageSpec.model_fields
    service = models["service"].annotation.__args__[0]  # type: ignore[union-attr]
    known = {
        "": StageSpec.accepted(),
        "resources": models["resources"].annotation.accepted(),  # type: ignore[union-attr]
        "service": service.accepted(),
        "replica_policy": service.model_fields["replica_policy"].annotation.__args__[0].accepted(),
    }
    assert name not in known[area]


@pytest.mark.parametrize(
    ("task", "path", "fix"),
    [
        ({"spot_recovery": "x"}, "spot_recovery", "job_recovery"),
        ({"hooks": []}, "hooks", "below config"),
        ({"resources": {"hooks": []}}, "resources.hooks", "below config"),
        (
            {"service": {"replica_policy": {"min_replicas": 1, "qps_upper_threshold": 10}}},
            "service.replica_policy.qps_upper_threshold",
            "target_qps_per_replica: 2",
        ),
        (
            {"service": {"replica_policy": {"min_replicas": 1, "auto_restart": False}}},
            "service.replica_policy.auto_restart",
            "remove it",
        ),
        (
            {"service": {"replica_policy": {"min_replicas": 1, "use_spot_fallback": True}}},
            "service.replica_policy.use_spot_fallback",
            "dynamic_ondemand_fallback: true",
        ),
        ({"experimental": {"other": 1}}, "experimental", "config"),
    ],
)
def test_refused_with_what_to_write(task: dict[str, Any], path: str, fix: str) -> None:
    problem = refusal({"run": "x", **task})
    assert problem.path == path
    assert fix in problem.fix


def test_instead_looks_at_the_nearest_name() -> None:
    assert "job_recovery" in instead(("resources", "any_of", 0, "spot_recovery"))
    assert instead(("labels", "experimental")) == ""
    assert instead(()) == ""


def test_python_warns() -> None:
    config = {"run": "x", "resources": {"spot_recovery": "FAILOVER"}}
    with pytest.warns(FutureWarning, match=r"resources\.spot_recovery: .* read as job_recovery"):
        task = StageSpec.from_yaml_config(config)
    assert task.resources.job_recovery is not None
    assert config == {"run": "x", "resources": {"spot_recovery": "FAILOVER"}}


def test_python_warns_of_files(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text("run: x\nresources: {spot_recovery: FAILOVER}\n")
    with pytest.warns(FutureWarning, match="spot_recovery is an old name"):
        task = StageSpec.from_yaml(str(file))
    assert task.resources.job_recovery is not None
