"""Hyperbolic against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.errors import InvalidRequest
from stix.clouds.hyperbolic import HyperbolicCloud
from stix.clouds.hyperbolic.cloud import _way_in
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench as bench_of
from tests.support.clouds.hyperbolic import KEY, Hyperbolic


@pytest.fixture
def double() -> Iterator[Hyperbolic]:
    with Hyperbolic().running() as running:
        yield running


@pytest.fixture
def bench(double: Hyperbolic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("HYPERBOLIC_API_KEY", KEY)
    return bench_of(HyperbolicCloud, double, tmp_path, ("*", "1x-H100-75-722"), secrets=[KEY])


class TestHyperbolic(CloudConformance):
    pass


@pytest.mark.parametrize(
    ("command", "way"),
    [
        ("ssh ubuntu@fox.hyperbolic.xyz -p 31234", ("ubuntu", "fox.hyperbolic.xyz", 31234)),
        ("ssh -p 31234 root@10.1.2.3", ("root", "10.1.2.3", 31234)),
        ("ssh -i ~/.ssh/id -p31234 me@h", ("me", "h", 31234)),
        ("ssh ubuntu@203.0.113.9", ("ubuntu", "203.0.113.9", 22)),
        ("", ("", "", 22)),
    ],
)
def test_the_way_in_is_read_from_the_command(command: str, way: tuple[str, str, int]) -> None:
    assert _way_in(command) == way


@pytest.mark.parametrize("change", [{"image": "x"}, {"disk_gib": 9}, {"ports": ("8080",)}])
async def test_what_it_cannot_give_is_refused(
    bench: Bench, double: Hyperbolic, change: dict[str, Any]
) -> None:
    async with desk(bench) as at:
        with pytest.raises(InvalidRequest, match="rented as they are") as error:
            await at.cloud.create(replace(at.request(), **change))
        assert error.value.fix
        assert not double.boxes


async def test_metadata_of_others_is_no_tag(bench: Bench, double: Hyperbolic) -> None:
    async with desk(bench) as at:
        for meta in (None, {}, {"stix": "me"}, {"skypilot": {"cluster_name": "x"}}):
            double.add("", "default", "H100", meta=meta)
        assert not await at.listed()
