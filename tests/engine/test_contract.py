"""A changed Prefect is refused, with the name of what changed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from stix.engine.private import PARTS, PrivatePart, check_contract
from stix.engine.runs import derived_id
from stix.errors import StixError


class NewerEngine:
    """An engine as a later Prefect might have it."""

    async def set_state(self, state: Any) -> None:
        """Lost its parameter ``force``."""


def test_the_installed_prefect_is_as_tested() -> None:
    check_contract()
    assert len({(part.owner, part.name) for part in PARTS}) == len(PARTS) > 10


def test_a_lost_parameter_is_named() -> None:
    part = PrivatePart(NewerEngine, "set_state", frozenset({"self", "state", "force"}))
    with pytest.raises(
        StixError, match=r"changed NewerEngine.set_state.*lacks \['force'\]"
    ) as seen:
        check_contract([part])
    assert "install a tested version" in seen.value.fix


def test_a_lost_part_is_named() -> None:
    with pytest.raises(StixError, match=r"has no NewerEngine.handle_crash any more"):
        check_contract([PrivatePart(NewerEngine, "handle_crash")])


def test_derived_ids_are_the_same_for_ever_and_differ_by_every_part() -> None:
    root = uuid.UUID("12345678-1234-5678-1234-567812345678")
    assert derived_id(root, "train", 1, "run") == uuid.uuid5(root, "train/1/run")
    wanted = [(r, *parts) for r in (root, uuid.uuid4()) for parts in (("a", 1), ("a", 2), ("b", 1))]
    assert len({derived_id(*each) for each in wanted}) == len(wanted)
