from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest

from tests.storage.transfer.ends import LARGE, Place, Seeded, put, tree

_SERVERS = {"s3": "s3_server", "az": "azure_server", "gs": "google_server", "sftp": "sftp_server"}


@pytest.fixture(scope="session")
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Place]:
    """A new place in the store that is asked for; servers start when first needed."""
    count = itertools.count()

    def place(kind: str) -> Place:
        if kind == "file":
            return Place(tmp_path_factory.mktemp("place").as_uri())
        server = request.getfixturevalue(_SERVERS[kind])
        return Place(server.url(f"copies{next(count)}"), server.options())

    return place


@pytest.fixture(scope="session")
def seeded(
    servers: Callable[[str], Place], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, int], Seeded]:
    """A tree with so many small files and a large one in a store; made once, and only read."""
    made: dict[tuple[str, int], Seeded] = {}

    def seed(kind: str, small: int) -> Seeded:
        if (kind, small) not in made:
            here = tmp_path_factory.mktemp(f"tree-{small}")
            there = tree(here, small, LARGE)
            place = servers(kind)
            put(here, place, "source", tmp_path_factory.mktemp("state"))
            made[kind, small] = Seeded(place, there)
            time.sleep(1.1)  # times of objects are whole seconds: a copy is younger than these
        return made[kind, small]

    return seed
