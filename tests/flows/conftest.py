"""A workshop for the ledger's side, and a yard with an engine of its own on a real Prefect API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from stix.ledger import Ledger
from tests.ledger.conftest import ledger, postgres, url
from tests.support.server import ServerHome
from tests.support.workshop import Workshop, open_workshop
from tests.support.yard import Yard

__all__ = ["ledger", "postgres", "url"]


@pytest.fixture
async def workshop(ledger: Ledger, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(ledger, tmp_path) as made:
        yield made


@pytest.fixture
async def yard(
    ledger: Ledger, url: str, tmp_path: Path, stix_server: ServerHome
) -> AsyncIterator[Yard]:
    settings = {PREFECT_API_URL: f"{stix_server.url}/api", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings):
        async with get_client() as client, open_workshop(ledger, tmp_path, prefect=client) as made:
            opened = Yard(made, url)
            yield opened
            await opened.close()
