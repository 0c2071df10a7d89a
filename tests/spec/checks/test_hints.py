"""Warnings about what is probably a mistake in resources."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.checks.hints import hints
from stix.spec.resources import Resources

AT = ("stages", "train", "resources")


def told(resources: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = list(hints(Resources.model_validate(resources), AT))
    assert {problem.severity for problem in found} <= {"warning"}
    return [(p.path.removeprefix("stages.train.resources."), p.message, p.fix) for p in found]


def test_a_slip_in_the_name_of_an_accelerator() -> None:
    (found,) = told({"accelerators": "A10O:8"})
    assert found[0] == "accelerators"
    assert "'A10O' is not a known accelerator" in found[1]
    assert "did you mean 'A100'?" in found[2]


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({"accelerators": {"H10": 1, "A100": 1}}, ["accelerators"]),
        ({"accelerators": ["H10", "A10O"]}, ["accelerators", "accelerators"]),
        (
            {"any_of": [{"infra": "aws", "accelerators": "A100"}, {"cpus": 4, "gpus": "H10"}]},
            ["any_of[1].accelerators"],
        ),
        (
            {"any_of": [{"cpus": 2, "gpus": "80GB+"}, {"cpus": 4, "gpus": "H10"}]},
            ["any_of.accelerators"],
        ),
        ({"accelerators": "80GB+"}, []),
        ({"accelerators": "a100"}, []),
        ({"accelerators": "our-own-card"}, []),
        ({}, []),
    ],
)
def test_each_has_its_place(given: dict[str, Any], paths: list[str]) -> None:
    assert [path for path, _, _ in told(given)] == paths


def test_disks() -> None:
    disk = {"path": "/m", "name": "d", "disk_szie": 5, "attach_mode": "read", "disk_tier": "fast"}
    found = told({"volumes": [disk]})
    assert [path for path, _, _ in found] == [
        "volumes[0].disk_szie",
        "volumes[0].attach_mode",
        "volumes[0].disk_tier",
    ]
    assert found[0][2] == "did you mean 'disk_size'?"
    assert "read_write is taken instead" in found[1][1]
    assert "best is taken instead" in found[2][1]


def test_types_of_clouds_that_are_all_known() -> None:
    (found,) = told({"infra": "aws", "instance_type": "p4d.24xlrge"})
    assert found[0] == "instance_type"
    assert found[2] == "did you mean 'p4d.24xlarge'?"
    assert told({"infra": "azure", "instance_type": "Standard_New"}) == []
    assert told({"infra": "gcp", "instance_type": "TPU-VM"}) == []
    assert told({"instance_type": "p4d.24xlrge"}) == []
