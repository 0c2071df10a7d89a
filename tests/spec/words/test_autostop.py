"""Every form of ``autostop``."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.resources import Resources
from stix.spec.words.autostop import Autostop


def minutes(given: Any) -> int:
    stop = Resources(autostop=given).autostop
    assert isinstance(stop, Autostop)
    return stop.idle_minutes


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(True, 0), (5, 5), ("10", 10), ("10m", 10), ("2h", 120), ("1D", 1440), ("1w", 10080), ({}, 0)],
)
def test_times(given: Any, wanted: int) -> None:
    assert minutes(given) == wanted


def test_false_is_not_nothing() -> None:
    assert Resources(autostop=False).autostop is False
    assert Resources().autostop is None


def test_the_map() -> None:
    given = {
        "idle_minutes": 3.0,
        "down": True,
        "wait_for": "JOBS",
        "hook": "sync",
        "hook_timeout": 9,
    }
    assert Resources(autostop=given).autostop == Autostop(
        idle_minutes=3, down=True, wait_for="jobs", hook="sync", hook_timeout=9
    )


@pytest.mark.parametrize(
    "given",
    [
        -1,
        1.5,
        5.0,
        "",
        "5s",
        "1.5h",
        "-5",
        "2x",
        [5],
        {"idle_minutes": None},
        {"idle_minutes": -1},
        {"idle_minutes": "5"},
        {"idle_minutes": True},
        {"down": 1},
        {"down": None},
        {"wait_for": "ssh"},
        {"wait_for": None},
        {"hook": None},
        {"hook_timeout": 0},
        {"idle": 5},
    ],
)
def test_wrong_forms(given: Any) -> None:
    with pytest.raises(ValueError):
        Resources(autostop=given)
