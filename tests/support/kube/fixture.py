"""A double for a test, or a loud skip where this machine cannot run pods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.kube.double import KubeDouble
from tests.support.kube.sandbox import lacking
from tests.support.kube.store import Object


@contextmanager
def kube_double(folder: Path, nodes: Sequence[Object] = ()) -> Iterator[KubeDouble]:
    if reason := lacking():
        pytest.skip(reason)
    with KubeDouble(folder, nodes) as double:
        yield double
