"""One moto for all tests of this folder, and a new account of it for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.aws.bed import AwsBed, account, moto


@pytest.fixture(scope="session")
def moto_port() -> Iterator[int]:
    with moto() as port:
        yield port


@pytest.fixture
def bed(moto_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsBed]:
    with account(moto_port) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made
