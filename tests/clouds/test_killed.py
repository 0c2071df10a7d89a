"""The maker of nodes is killed at each step: one sweep later nothing is left, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.registry import load
from stix.clouds.testing.double import Double
from tests.support.clouds.benches import offer_of
from tests.support.clouds.do import KEY as DO_KEY
from tests.support.clouds.do import DigitalOcean
from tests.support.clouds.killing import HOME_ID, Matrix, killed_at_every_step
from tests.support.clouds.lambda_ import KEY as LAMBDA_KEY
from tests.support.clouds.lambda_ import Lambda
from tests.support.clouds.runpod import KEY as RUNPOD_KEY
from tests.support.clouds.runpod import Runpod
from tests.support.clouds.scaleway import KEY as SCALEWAY_KEY
from tests.support.clouds.scaleway import PROJECT, Scaleway

CLOUDS: dict[str, tuple[type[Double], tuple[str, str], dict[str, str]]] = {
    "do": (DigitalOcean, ("nyc1", "s-4vcpu-8gb"), {"DIGITALOCEAN_TOKEN": DO_KEY}),
    "lambda": (Lambda, ("us-west-1", "cpu_4x_general"), {"LAMBDA_API_KEY": LAMBDA_KEY}),
    "runpod": (Runpod, ("*", "1x_RTX4090_SECURE"), {"RUNPOD_API_KEY": RUNPOD_KEY}),
    "scaleway": (
        Scaleway,
        ("fr-par", "GPU-3070-S"),
        {"SCW_SECRET_KEY": SCALEWAY_KEY, "SCW_DEFAULT_PROJECT_ID": PROJECT},
    ),
}

COUNTS = {"runpod": 1, "scaleway": 1}
"""Of clouds without gangs."""


SETTINGS = {"scaleway": {"poll": 0.0}}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("cloud", CLOUDS)
def test_nothing_leaks_whenever_the_maker_dies(
    cloud: str, stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, place, env = CLOUDS[cloud]
    double = stack.enter_context(kind(stock=20).running())
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    settings: dict[str, Any] = {"endpoint_url": double.url, "timeout": 5}
    settings |= SETTINGS.get(cloud, {})
    config = CloudConfig(tmp_path, tmp_path, settings, HOME_ID)
    adapter = load(cloud)
    matrix = Matrix(
        f"{adapter.__module__}:{adapter.__name__}",
        lambda: adapter(config),
        double,
        offer_of(cloud, *place),
        tmp_path,
        settings,
        env,
        count=COUNTS.get(cloud, 2),
    )
    outcome = killed_at_every_step(matrix)
    assert outcome.leaks == []
    assert outcome.kills == 2 * outcome.steps >= 4
