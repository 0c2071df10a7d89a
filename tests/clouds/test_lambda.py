"""Lambda Cloud against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.lambda_ import LambdaCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.benches import bench
from tests.support.clouds.lambda_ import KEY, Lambda


class TestLambda(CloudConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        monkeypatch.setenv("LAMBDA_API_KEY", KEY)
        with Lambda().running() as double:
            yield bench(
                LambdaCloud, double, tmp_path, ("us-west-1", "cpu_4x_general"), secrets=[KEY]
            )
