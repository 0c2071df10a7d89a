"""What doubles of price lists share: pages of a table, and who may ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from stix.clouds.catalog.testing.world import Asked, Machine

T = TypeVar("T")


def machine(name: str, price: float, spot: float | None = None, /, **more: object) -> Machine:
    """An entry of a table."""
    return Machine(name, price, spot, more)


def part(entries: Sequence[T], number: int, size: int = 2) -> list[T]:
    """Page ``number`` (from 1)."""
    return list(entries[(number - 1) * size : number * size])


def pages(entries: Sequence[object], size: int = 2) -> int:
    """How many there are; an empty list has one."""
    return max(1, -(-len(entries) // size))


def need(asked: Asked, name: str, value: str) -> None:
    """A header that has to be there: a provider answers nothing without it."""
    if asked.headers.get(name.lower()) != value:
        raise PermissionError(f"{asked.path}: {name} is {asked.headers.get(name.lower())!r}")
