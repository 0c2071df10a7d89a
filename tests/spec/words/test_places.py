"""``infra`` and its parts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from stix.spec.words import places


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("aws", "aws"),
        ("AWS/us-east-1/us-east-1a", "aws/us-east-1/us-east-1a"),
        ("aws/*/*", "aws"),
        ("aws/*/z", "aws/*/z"),
        ("*/us-east-1", "*/us-east-1"),
        ("*", None),
        ("*/*/*", None),
        ("K8S", "kubernetes"),
        ("k8s/*", "kubernetes"),
        ("k8s/arn:aws:eks:r:1:cluster/name", "kubernetes/arn:aws:eks:r:1:cluster/name"),
        ("kubernetes/a/b/c/", "kubernetes/a/b/c"),
        ("ssh/lab/host-1", "ssh/lab/host-1"),
        ("slurm/c/p", "slurm/c/p"),
        ("local", "local"),
        ("aws/us-east-1 ", "aws/us-east-1"),
    ],
)
def test_places(given: str, wanted: str | None) -> None:
    assert places.infra(given) == wanted


@pytest.mark.parametrize("cloud", sorted(places.SKY_CLOUDS))
def test_every_cloud_of_skypilot(cloud: str) -> None:
    assert places.infra(cloud.upper()) == cloud
    assert places.of_parts({"cloud": cloud.upper()}) == cloud


def test_there_are_25() -> None:
    assert len(places.SKY_CLOUDS) == 25
    assert {"local", "ssh"} <= places.clouds()


@pytest.mark.parametrize(
    "given",
    [5, True, ["aws"], "", " aws", "aws ", "aws/", "aws//z", "/aws", "aws/a/b/c", "k8s/", "k8s//x"],
)
def test_wrong_places(given: Any) -> None:
    with pytest.raises(PydanticCustomError):
        places.infra(given)


@pytest.mark.parametrize(("given", "meant"), [("awss", "aws"), ("kubernetess/x", "kubernetes")])
def test_the_nearest_cloud(given: str, meant: str) -> None:
    with pytest.raises(PydanticCustomError) as refusal:
        places.infra(given)
    assert refusal.value.context and repr(meant) in refusal.value.context["fix"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"region": "r"}, "*/r"),
        ({"zone": "z"}, "*/*/z"),
        ({"cloud": "GCP", "zone": "z"}, "gcp/*/z"),
        ({"cloud": "aws", "region": "*"}, "aws"),
        ({"cloud": "aws", "region": ""}, "aws"),
        ({"cloud": "kubernetes", "region": "a/b"}, "kubernetes/a/b"),
        ({"cloud": "ssh", "region": "ssh-lab"}, "ssh/lab"),
    ],
)
def test_parts(given: dict[str, str], wanted: str) -> None:
    assert places.of_parts(given) == wanted


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"cloud": 5}, "cloud"),
        ({"cloud": "k8s"}, "cloud"),
        ({"cloud": "*"}, "cloud"),
        ({"cloud": "aws", "region": "a/b"}, "region"),
        ({"zone": True}, "zone"),
    ],
)
def test_wrong_parts(given: dict[str, Any], field: str) -> None:
    with pytest.raises(PydanticCustomError) as refusal:
        places.of_parts(given)
    assert refusal.value.context and refusal.value.context["field"] == field


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, (None, None, None)),
        ("aws", ("aws", None, None)),
        ("aws/*/z", ("aws", None, "z")),
        ("*/r", (None, "r", None)),
        ("kubernetes/a/b", ("kubernetes", "a/b", None)),
        ("ssh/lab/host-1", ("ssh", "lab", "host-1")),
    ],
)
def test_split(text: str | None, parts: tuple[str | None, ...]) -> None:
    assert places.split(text) == parts
