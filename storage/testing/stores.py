"""The conformance suite of stores: its checks lie in the ``store_*`` modules beside this one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from stix.storage.base import Store
from stix.storage.testing import store_abilities, store_listing, store_objects, store_writers
from stix.storage.testing.place import At, Check, Place

CHECKS: tuple[Check, ...] = (
    *store_objects.CHECKS,
    *store_listing.CHECKS,
    *store_writers.CHECKS,
    *store_abilities.CHECKS,
)
LARGE = 5 * 2**30
_PIECE = 16 * 2**20

__all__ = ["CHECKS", "At", "Check", "LargeObjects", "Place", "StoreConformance"]


class StoreConformance:
    """Subclass it in a test and give the fixture ``place``.

    Attributes:
        server_faults: What the server under test itself gets wrong: names of checks (with or
            without their word) to the reason. They run and must break, so that a server that
            learns it is noticed; they are reported as expected failures, with the reason.
        server_races: What it gets wrong now and then, which proves nothing of the store; these are
            not run.
    """

    server_faults: ClassVar[Mapping[str, str]] = {}
    server_races: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError("give the fixture `place` in the subclass")

    @pytest.fixture
    def store(self, place: Place) -> Store:
        return place.open()

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
    def test_store(
        self,
        check: Check,
        place: Place,
        store: Store,
        record_property: Callable[[str, object], None],
    ) -> None:
        at = At(place, store)
        record_property("stix-store", store.scheme)
        record_property("stix-check", check.name)
        if reason := check.reason(at) or self.server_races.get(check.name):
            pytest.skip(f"does not apply: {reason}")
        fault = self.server_faults.get(check.name) or self.server_faults.get(check.act.__name__)
        if fault is None:
            check.run(at)
            return
        try:
            check.run(at)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001  any failure proves the fault
            pytest.xfail(f"the server's own fault: {fault}")
        pytest.fail(f"the server does {check.name} right by now: take it off server_faults")


class LargeObjects:
    """One object of 5 GiB by parts: minutes, and 5 GiB of disk. Subclass it as the suite.

    Attributes:
        part: Bytes of one request.
    """

    part: ClassVar[int] = 4 * _PIECE

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError("give the fixture `place` in the subclass")

    def test_five_gib_by_parts(self, place: Place) -> None:
        store = place.open()
        path = store.path(place.at("large"))
        block = os.urandom(_PIECE)
        written, read = hashlib.sha256(), hashlib.sha256()
        with store.errors(place.at("large")):
            with store.filesystem().open(path, "wb", block_size=self.part) as file:
                for number in range(LARGE // _PIECE):
                    piece = number.to_bytes(8, "big") + block[8:]
                    written.update(piece)
                    file.write(piece)
            assert store.filesystem().info(path)["size"] == LARGE
            for start in range(0, LARGE, self.part):
                end = min(start + self.part, LARGE)
                read.update(store.filesystem().cat_file(path, start=start, end=end))
            store.filesystem().rm_file(path)
        assert read.hexdigest() == written.hexdigest()
