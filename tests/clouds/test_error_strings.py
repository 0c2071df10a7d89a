"""Every error that a provider is known to give, and what it means: one row each.

A file per cloud, ``status|code|message|class|scope``; the class is the one that is raised, and the
scope is that of a shortage.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.errors import CapacityError
from stix.clouds.libcloud.errors import TABLES as LIBCLOUD
from stix.clouds.rented.failures import ErrorTable, Failure

FOLDER = Path(__file__).with_name("error_strings")
KEYWORDS = {"lambda": "lambda_"}


def rows() -> Iterator[tuple[str, Failure, str, str]]:
    for file in sorted(FOLDER.glob("*.txt")):
        for line in file.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                status, code, message, name, scope = line.split("|")
                failure = Failure(int(status or 0), code, message)
                yield file.stem, failure, name.strip(), scope.strip()


def table_of(cloud: str) -> ErrorTable:
    if cloud in LIBCLOUD:
        return LIBCLOUD[cloud]
    module = importlib.import_module(f"stix.clouds.{KEYWORDS.get(cloud, cloud)}.errors")
    table: ErrorTable = module.ERRORS
    return table


@pytest.mark.parametrize(
    ("cloud", "failure", "name", "scope"),
    [pytest.param(*row, id=f"{row[0]}-{row[1].code or row[1].message[:40]}") for row in rows()],
)
def test_an_error_means(cloud: str, failure: Failure, name: str, scope: str) -> None:
    error = table_of(cloud).classify(failure)
    assert type(error).__name__ == name, error
    assert cloud in error.message
    if isinstance(error, CapacityError):
        assert error.scope == scope
    else:
        assert scope == ""
