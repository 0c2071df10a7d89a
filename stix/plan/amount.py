"""An amount that is not known exactly: what is thought, and between what it lies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Z = 1.96
"""Bars are drawn so that about 19 of 20 amounts lie within."""


class Amount(NamedTuple):
    """An estimate with its error bar."""

    value: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Amount:
        return cls(value, value, value)

    @classmethod
    def within(cls, value: float, factor: float) -> Amount:
        """Right up to a factor, either way."""
        return cls(value, value / factor, value * factor)

    def times(self, factor: float) -> Amount:
        return Amount(self.value * factor, self.low * factor, self.high * factor)

    def plus(self, value: float) -> Amount:
        """With something certain on top."""
        return Amount(self.value + value, self.low + value, self.high + value)

    def to_dict(self) -> dict[str, float]:
        return self._asdict()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Amount:
        return cls(data["value"], data["low"], data["high"])


ZERO = Amount(0.0, 0.0, 0.0)


def independent(parts: Iterable[Amount]) -> Amount:
    """The sum of amounts whose errors have nothing to do with each other: they partly cancel."""
    parts = list(parts)
    value = sum(part.value for part in parts)
    below = math.sqrt(sum((part.value - part.low) ** 2 for part in parts))
    above = math.sqrt(sum((part.high - part.value) ** 2 for part in parts))
    return Amount(value, max(0.0, value - below), value + above)


def dependent(parts: Iterable[Amount]) -> Amount:
    """The sum of amounts that are wrong together, such as prices of one list."""
    low = value = high = 0.0
    for part in parts:
        value, low, high = value + part.value, low + part.low, high + part.high
    return Amount(value, low, high)


def student(freedom: float) -> float:
    """How many deviations to either side hold 19 of 20 values of Student's t.

    The expansion of Cornish and Fisher, right to 1 % from three degrees of freedom on.
    """
    nu = max(freedom, 3.0)
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / nu + second / nu**2 + third / nu**3
