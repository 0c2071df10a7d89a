"""A server whose local cloud has a price, and what a user does with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.user import User
from tests.support.server import NewServer, ServerHome, make_home

PRICE_USD_H = 3.6
CONFIG = f"local: {{cpus: 8, memory: 32, accelerators: {{A100: 4}}, price: {PRICE_USD_H}}}\n"


@pytest.fixture(scope="package")
def priced_server() -> Iterator[ServerHome]:
    """One server for all tests here that leave it as they found it."""
    server = ServerHome(make_home(CONFIG))
    try:
        yield server.start()
    finally:
        server.clean()


@pytest.fixture
def user(priced_server: ServerHome, tmp_path: Path) -> User:
    """Somebody at a shell, in an empty folder."""
    return User(priced_server, tmp_path)


@pytest.fixture
def own_server(new_server: NewServer) -> ServerHome:
    """A priced server for one test."""
    server: ServerHome = new_server(CONFIG)
    return server
