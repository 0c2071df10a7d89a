from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.storage.transfer.ends import LARGE, Place, Seeded, open_place, put, tree
from tests.support.s3 import s3_server

__all__ = ["s3_server"]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Place]]:
    """A new place in the store that is asked for; servers start when first needed."""
    with ExitStack() as stack:
        running: dict[str, Callable[[], Place]] = {}

        def place(kind: str) -> Place:
            if kind not in running:
                folder = tmp_path_factory.mktemp(kind)
                running[kind] = stack.enter_context(open_place(kind, folder))
            return running[kind]()

        yield place


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
