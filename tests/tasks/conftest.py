"""A workshop on a real ledger, with the real local cloud and real agents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from stix.ledger import Ledger
from tests.ledger.conftest import ledger, postgres, url
from tests.support.workshop import Workshop, open_workshop

__all__ = ["ledger", "postgres", "url"]


@pytest.fixture
def config_text() -> str:
    """Settings of the workshop; empty for the usual ones."""
    return ""


@pytest.fixture
async def workshop(ledger: Ledger, tmp_path: Path, config_text: str) -> AsyncIterator[Workshop]:
    async with open_workshop(ledger, tmp_path, config_text) as made:
        yield made


@pytest.fixture
def no_run_logger() -> Iterator[None]:
    """Tasks called as plain functions have no Prefect run to log for."""
    with disable_run_logger():
        yield
