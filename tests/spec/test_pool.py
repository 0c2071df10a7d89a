"""Pools: their size, and what scaling needs."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.pool import PoolSpec
from tests.spec.refused import refusal


@pytest.mark.parametrize(
    ("pool", "workers", "least"),
    [
        ({"workers": 2}, None, 2),
        ({"workers": 2}, 3, 3),
        ({"max_workers": 5}, None, 1),
        ({"max_workers": 5}, 2, 2),
        ({"min_workers": 0, "max_workers": 5}, 2, 0),
        ({"workers": 9, "min_workers": 1, "max_workers": 5}, None, 1),
    ],
)
def test_least_number_of_workers(pool: dict[str, Any], workers: int | None, least: int) -> None:
    assert PoolSpec.model_validate(pool).agreed(workers).least(workers) == least


@pytest.mark.parametrize(
    ("pool", "path", "fix"),
    [
        ({}, "pool", "workers: 2"),
        ({"min_workers": 1}, "pool.min_workers", "add max_workers"),
        ({"workers": 1, "queue_length_threshold": 2}, "pool.queue_length_threshold", "add max_w"),
        ({"workers": 1, "upscale_delay_seconds": 2}, "pool.upscale_delay_seconds", "add max_w"),
        ({"min_workers": 3, "max_workers": 2}, "pool.max_workers", "at least min_workers"),
        ({"workers": 3, "max_workers": 2}, "pool.max_workers", "larger"),
        ({"max_workers": 0}, "pool.max_workers", "larger"),
        ({"workers": None}, "pool.workers", "a whole number"),
        ({"workers": "2"}, "pool.workers", "write workers: 2"),
        ({"max_workers": 2, "queue_length_threshold": 0}, "pool.queue_length_threshold", "from 1"),
        ({"max_workers": 2, "downscale_delay_seconds": -1}, "pool.downscale_delay_seconds", "0"),
        ({"worker": 2}, "pool.worker", "did you mean 'workers'?"),
    ],
)
def test_refused(pool: dict[str, Any], path: str, fix: str) -> None:
    problem = refusal({"run": "x", "pool": pool})
    assert problem.path == path
    assert fix in problem.fix
