"""Who orders machines of Azure is killed at each request: one sweep later nothing is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stix.clouds.azure import AzureCloud
from stix.clouds.config import CloudConfig
from tests.support.clouds.azure import Azure
from tests.support.clouds.azure_base import surroundings
from tests.support.clouds.benches import offer_of
from tests.support.clouds.killing import HOME_ID, Matrix, killed_at_every_step


def test_nothing_leaks_whenever_the_maker_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Azure(stock=40).running() as double:
        env = surroundings(double.url)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        settings: dict[str, Any] = {"endpoint_url": double.url, "timeout": 5, "poll_s": 0}
        config = CloudConfig(tmp_path, tmp_path, settings, HOME_ID)
        matrix = Matrix(
            "stix.clouds.azure:AzureCloud",
            lambda: AzureCloud(config),
            double,
            offer_of("azure", "eastus", "Standard_D2s_v5"),
            tmp_path,
            settings,
            env,
        )
        outcome = killed_at_every_step(matrix)
    assert outcome.leaks == []
    assert outcome.kills == 2 * outcome.steps > 10
