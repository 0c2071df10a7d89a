from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.storage.transfer.ends import Place, open_place
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
