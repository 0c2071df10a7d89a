"""Azure against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.azure import AzureCloud
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from tests.support.clouds.azure import Azure
from tests.support.clouds.azure_base import HEADER, TOKEN, surroundings
from tests.support.clouds.benches import bench as rented
from tests.support.clouds.benches import offer_of

PLACE = "eastus", "Standard_D2s_v5"


class TestAzure(CloudConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        with Azure().running() as double:
            for name, value in surroundings(double.url).items():
                monkeypatch.setenv(name, value)
            offer, spot = offer_of("azure", *PLACE), offer_of("azure", *PLACE, spot=True)
            secrets, quick = [TOKEN, HEADER], {"poll_s": 0}
            yield rented(
                AzureCloud, double, tmp_path, offer, quick, spot_offer=spot, secrets=secrets
            )
