"""Every form of ``resources`` that SkyPilot's files use."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.resources import Resources


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("A100", {"A100": 1.0}),
        ("A100:8", {"A100": 8.0}),
        ("A100:0.5", {"A100": 0.5}),
        ({"A100": 2}, {"A100": 2.0}),
        ({"H200:8": None}, {"H200": 8.0}),
        (["V100:4"], {"V100": 4.0}),
        ("80GB+:2", {"80GB+": 2.0}),
        ("NVIDIA:80GB", {"NVIDIA:80GB": 1.0}),
        ("nvidia:40GB+:4", {"nvidia:40GB+": 4.0}),
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
        ({"cpus": 0.5, "memory": "16GB"}, "0.5", "16"),
        ({"cpus": "2.0", "memory": "1TB+"}, "2", "1024+"),
        ({"memory": "512MB"}, None, "0.5"),
        ({"memory": "64Gi"}, None, "64"),
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
    assert resources.ports == ["8080", "9000-9010", "80", "443"]
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
    ],
)
def test_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Resources(**given)
