"""Disks of ``resources.volumes``."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stix.spec.words.disks import Disk


@pytest.mark.parametrize(
    "given",
    [
        {"path": "/m", "name": "d"},
        {"path": "/m", "name": "d", "disk_size": 100, "disk_tier": "HIGH", "auto_delete": True},
        {"path": "/m", "storage_type": "INSTANCE"},
        {"path": "/m", "storage_type": "instance", "disk_size": "10GB"},
        {"path": "/m", "name": "d", "something": 1},
    ],
)
def test_disks(given: dict[str, Any]) -> None:
    assert Disk.model_validate(given).model_dump(exclude_unset=True) == given


@pytest.mark.parametrize(
    "given",
    [
        {"name": "d"},
        {"path": "/m"},
        {"path": 5, "name": "d"},
        {"path": "/m", "name": None},
        {"path": "/m", "name": "d", "disk_size": "10GB"},
        {"path": "/m", "name": "d", "disk_size": 1.5},
        {"path": "/m", "name": "d", "disk_size": True},
        {"path": "/m", "storage_type": "instance", "disk_size": "big"},
        {"path": "/m", "name": "d", "auto_delete": 1},
        {"path": "/m", "name": "d", "disk_tier": 5},
    ],
)
def test_wrong_disks(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Disk.model_validate(given)
