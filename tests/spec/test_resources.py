"""Every form of ``resources`` that SkyPilot's files use."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from typing import Any

import pytest

from stix.spec.problems import SpecErrors
from stix.spec.resources import Resources
from stix.spec.sky import canonical
from stix.spec.stage import StageSpec
from stix.spec.wire import stage_to_wire


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("A100", {"A100": 1.0}),
        ("A100:8", {"A100": 8.0}),
        ("A100:0.5", {"A100": 0.5}),
        ({"A100": 2}, {"A100": 2.0}),
        ({"H200:8": None}, {"H200": 8.0}),
        (["V100:4"], {"V100": 4.0}),
    ],
)
def test_accelerators(given: Any, wanted: dict[str, float]) -> None:
    assert Resources(accelerators=given).accelerators == wanted
    assert Resources(gpus=given) == Resources(accelerators=given)


def test_several_accelerators_are_a_choice() -> None:
    choice = Resources(accelerators={"A100": 1, "V100": 2}, cpus=4)
    assert [r.accelerators for r in choice.alternatives()] == [{"A100": 1.0}, {"V100": 2.0}]
    assert {r.cpus for r in choice.alternatives()} == {"4"}
    ranked = Resources(accelerators=["T4", "L4:2"])
    assert [r.accelerators for r in ranked.ordered] == [{"T4": 1.0}, {"L4": 2.0}]


def test_a_choice_of_accelerators_times_any_of() -> None:
    both = Resources(
        accelerators={"A100": 1, "V100": 1}, any_of=[{"use_spot": True}, {"use_spot": False}]
    )
    shown = {(next(iter(r.accelerators)), r.use_spot) for r in both.alternatives()}
    assert shown == {("A100", True), ("A100", False), ("V100", True), ("V100", False)}


@pytest.mark.parametrize(
    ("given", "cpus", "memory"),
    [
        ({"cpus": 4, "memory": 16}, "4", "16"),
        ({"cpus": "4+", "memory": "16+"}, "4+", "16+"),
        ({"cpus": 0.5, "memory": "16GB"}, "0.5", "16.0"),
        ({"cpus": "2.0", "memory": "1TB+"}, "2.0", "1024.0+"),
        ({"memory": "512MB"}, None, "0.5"),
        ({"memory": "64Gi"}, None, "64.0"),
        ({"memory": "3x"}, None, "3x"),
    ],
)
def test_amounts(given: dict[str, Any], cpus: str | None, memory: str | None) -> None:
    resources = Resources(**given)
    assert (resources.cpus, resources.memory) == (cpus, memory)


def test_amounts_in_numbers() -> None:
    resources = Resources(cpus="4+", memory=2)
    assert resources.cpus_at_least == (4.0, True)
    assert resources.memory_at_least == (2.0, False)
    assert Resources().cpus_at_least == (0.0, True)
    assert Resources(cpus=4, memory="3x").memory_at_least == (12.0, True)


@pytest.mark.parametrize(
    ("given", "infra", "parts"),
    [
        ({"infra": "AWS/us-east-1"}, "aws/us-east-1", ("aws", "us-east-1", None)),
        ({"infra": "aws/*/z"}, "aws/*/z", ("aws", None, "z")),
        ({"infra": "*"}, None, (None, None, None)),
        ({"infra": "ssh/lab/host-1"}, "ssh/lab/host-1", ("ssh", "lab", "host-1")),
        ({"infra": "k8s/my/context"}, "kubernetes/my/context", ("kubernetes", "my/context", None)),
        ({"cloud": "GCP", "zone": "a"}, "gcp/*/a", ("gcp", None, "a")),
        ({"region": "r"}, "*/r", (None, "r", None)),
    ],
)
def test_places(given: dict[str, str], infra: str, parts: tuple[str, ...]) -> None:
    resources = Resources(**given)
    assert resources.infra == infra
    assert (resources.cloud, resources.region, resources.zone) == parts


def test_labels_do_not_leak_between_alternatives() -> None:
    resources = Resources(
        labels={"a": "1"}, any_of=[{"labels": {"b": "2"}}, {"labels": {"a": "3"}}, {}]
    )
    labels = [r.labels for r in resources.alternatives()]
    assert labels == [{"a": "1", "b": "2"}, {"a": "3"}, {"a": "1"}]


def test_ports_and_disks() -> None:
    resources = Resources(ports=[8080, "9000-9010", "80,443"], disk_size="1TB", disk_tier="BEST")
    assert resources.ports == ["80", "443", "8080", "9000-9010"]
    assert (resources.disk_size, resources.disk_tier) == (1024, "best")


@pytest.mark.parametrize(
    "given",
    [
        {"cpus": -1},
        {"cpus": True},
        {"memory": "much"},
        {"accelerators": "A100:0"},
        {"accelerators": {"A100": "two"}},
        {"accelerators": ""},
        {"infra": "aws//z"},
        {"infra": "aws", "region": "r"},
        {"cloud": 5},
        {"ports": "9-8"},
        {"ports": 70000},
        {"disk_size": "100MB"},
        {"disk_tier": "turbo"},
        {"max_hourly_cost": 0},
        {"any_of": [{"any_of": [{}]}]},
        {"any_of": [{}], "ordered": [{}]},
        {"accelerators": {"A100": 1, "V100": 1}, "ordered": [{"infra": "aws"}]},
        {"labels": {"a": 1}},
        {"priority": 5000},
        {"job_recovery": "HOPE"},
        {"job_recovery": "None"},
        {"job_recovery": {"recover_on_exit_codes": None}},
        {"cloud": "k8s"},
        {"infra": "awss"},
        {"gpus": "A100", "accelerators": "A100"},
        {"any_of": [{"cpus": None}]},
        {"any_of": [{"accelerators": ["A100"]}]},
        {"any_of": [{"accelerators": {"A100": None}}]},
        {"any_of": [None]},
        {"any_of": {"cpus": 4}},
        {"any_of": [], "ordered": [{}]},
        {"infra": "aws", "any_of": [{"region": "us-east-1"}]},
        {"cloud": "aws", "any_of": [{"infra": "gcp"}]},
        {"any_of": [{"priority": 1}, {"priority": 2}]},
        {"accelerators": ["A100", "V100"], "any_of": [{"infra": "aws"}]},
        {"memory": 0},
        {"infra": "aws", "accelerators": "tpu-v4-8"},
        {"infra": "aws", "any_of": [{"accelerators": "tpu-v4-8"}]},
        {"accelerators": "tpu-v4-8", "instance_type": "n1-highmem-8"},
        {"infra": "k8s", "instance_type": "m5.large"},
        {"infra": "gcp", "instance_type": "m5.large"},
        {"infra": "k8s", "image_id": {"docker": "a", "us-east-1": "ami-1"}},
        {"use_spot": "yes"},
        {"use_spot": 1},
        {"cpus": date(2026, 1, 1)},
        {"instance_type": date(2026, 1, 1)},
        {"accelerators": date(2026, 1, 1)},
        {"max_hourly_cost": float("nan")},
        {"spot_recovery": "FAILOVER"},
        {"accelerator_args": {"tpu_vm": 1}},
        {"accelerator_args": {"tpu": True}},
        {"accelerator_args": {"tpu_name": None}},
        {"_docker_login_config": {"username": "u"}},
        {"_requires_fuse": "yes"},
    ],
)
def test_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Resources(**given)


@pytest.mark.parametrize("name", [n for n in Resources.model_fields if not n.startswith("_")])
def test_null_is_the_same_as_nothing(name: str) -> None:
    key = Resources.model_fields[name].alias or name
    assert Resources.model_validate({key: None}) == Resources()


def test_the_parts_of_a_place_are_merged_before_they_are_joined() -> None:
    resources = Resources.model_validate(
        {"cloud": "AWS", "region": "r1", "any_of": [{"region": "r2"}, {"cloud": "gcp"}, {}]}
    )
    assert [r.infra for r in resources.alternatives()] == ["aws/r2", "gcp/r1", "aws/r1"]


def test_a_memory_is_any_accelerator_that_has_it() -> None:
    resources = Resources(accelerators="80GB+:2", cpus="4+")
    found = {name: count for r in resources.any_of for name, count in r.accelerators.items()}
    assert {"A100-80GB", "H100", "H200"} <= set(found)
    assert not {"A100", "L4", "Trainium2"} & set(found)
    assert set(found.values()) == {2.0}
    assert all(r.no_missing_accel_warnings for r in resources.any_of)
    amd = Resources(accelerators={"amd:192GB": None})
    assert (amd.accelerators, amd.no_missing_accel_warnings) == ({"MI300X": 1.0}, True)


def test_a_memory_within_an_alternative_becomes_several() -> None:
    resources = Resources(any_of=[{"accelerators": "32GB", "infra": "aws"}, {"infra": "gcp"}])
    places = [(r.infra, r.accelerators) for r in resources.alternatives()]
    assert ("aws", {"V100-32GB": 1.0}) in places
    assert places[-1] == ("gcp", {})


def test_an_alternative_with_an_accelerator_of_its_own_keeps_it() -> None:
    resources = Resources(
        accelerators={"A100": 1, "V100": 1}, any_of=[{"accelerators": "T4"}, {"cpus": 2}]
    )
    found = [(next(iter(r.accelerators)), r.cpus) for r in resources.alternatives()]
    assert found == [("T4", None), ("A100", "2"), ("V100", "2")]


def test_an_alternative_takes_back_a_common_field() -> None:
    given = {"ports": [80], "image_id": "i", "any_of": [{"ports": None}, {"image_id": None}, {}]}
    resources = Resources.model_validate(given)
    found = [(r.ports, r.image_id) for r in resources.alternatives()]
    assert found == [([], "i"), (["80"], None), (["80"], "i")]


def test_what_is_given_is_not_changed() -> None:
    given = {
        "gpus": {"A100": 1, "V100": 2},
        "labels": {"a": "b"},
        "cloud": "aws",
        "any_of": [{"region": "r", "labels": {"c": "d"}}, {"job_recovery": {"strategy": "none"}}],
    }
    before = json.dumps(given)
    Resources.model_validate(given).alternatives()[0].labels["x"] = "y"
    assert json.dumps(given) == before


def test_the_login_of_a_registry_is_never_shown() -> None:
    login = {"username": "u", "password": "hidden-word", "server": "s"}
    resources = Resources.model_validate({"_docker_login_config": login})
    assert "hidden-word" not in repr(resources)
    assert "hidden-word" not in json.dumps(stage_to_wire(StageSpec(run="x", resources=resources)))
    with pytest.raises(ValueError) as refusal:
        Resources.model_validate({"_docker_login_config": {**login, "server": 5}})
    assert "hidden-word" not in str(refusal.value)


def test_each_problem_has_its_place() -> None:
    text = """\
run: x
resources:
  cpus: many
  any_of:
  - infra: aws
    memory: 16G
  - cloud: amazon
    ports: 70000
"""
    with pytest.raises(SpecErrors) as refusal:
        canonical(text)
    found = {(p.path, p.line, p.column) for p in refusal.value.problems}
    assert found == {
        ("resources.cpus", 3, 9),
        ("resources.any_of[0].memory", 6, 13),
        ("resources.any_of[1].cloud", 7, 12),
    }
    fixes = {p.path: p.fix for p in refusal.value.problems}
    assert "16GB" in fixes["resources.any_of[0].memory"]


def test_a_place_in_an_alternative_is_written_whole() -> None:
    given = "run: x\nresources: {infra: aws, any_of: [{region: us-east-1}]}\n"
    with pytest.raises(SpecErrors) as refusal:
        canonical(given)
    (problem,) = refusal.value.problems
    assert problem.path == "resources.any_of[0].region"
    assert problem.fix == "write infra: aws/us-east-1 here, and remove region"


@pytest.mark.parametrize("name", sorted({*Resources.accepted(), *Resources.internal}))
@pytest.mark.parametrize(
    "value",
    [
        10**400,
        -(10**400),
        "9" * 5000,
        "9" * 5000 + "MB",
        "\0",
        float("inf"),
        float("-inf"),
        "-" * 99,
    ],
    ids=["huge", "tiny", "digits", "unit", "nul", "inf", "-inf", "dashes"],
)
def test_hostile_values_are_refused_or_kept(name: str, value: Any) -> None:
    for given in (value, [value], {"a": value}, {str(value): 1}):
        with suppress(ValueError):
            Resources.model_validate({name: given}).alternatives()
