"""Who orders machines of Google is killed at each request: one sweep later nothing is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stix.clouds.config import CloudConfig
from stix.clouds.gcp import GcpCloud
from stix.plan.offers import Offer
from tests.support.clouds.gcp import Gcp
from tests.support.clouds.gcp_base import key_file
from tests.support.clouds.killing import HOME_ID, Matrix, killed_at_every_step

ANY = Offer("gcp", "us-central1", None, "e2-standard-2", 2.0, 8.0, price=0.1, arch="x86_64")


def test_nothing_leaks_whenever_the_maker_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gcp(stock=40).running() as double:
        env = {"GOOGLE_APPLICATION_CREDENTIALS": str(key_file(tmp_path, double.url))}
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        settings: dict[str, Any] = {"endpoint_url": double.url, "timeout": 5, "poll_s": 0}
        config = CloudConfig(tmp_path, tmp_path, settings, HOME_ID)
        matrix = Matrix(
            "stix.clouds.gcp:GcpCloud",
            lambda: GcpCloud(config),
            double,
            ANY,
            tmp_path,
            settings,
            env,
        )
        outcome = killed_at_every_step(matrix)
    assert outcome.leaks == []
    assert outcome.kills == 2 * outcome.steps > 10
