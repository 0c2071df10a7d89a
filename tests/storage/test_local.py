"""The file store."""

from __future__ import annotations

import pytest

from stix.storage.testing import ArtifactConformance, LargeObjects, Place, StoreConformance


class Files:
    @pytest.fixture
    def place(self, tmp_path_factory: pytest.TempPathFactory) -> Place:
        return Place((tmp_path_factory.mktemp("store") / "a store").as_uri())


class TestLocalStore(Files, StoreConformance):
    pass


class TestLocalArtifacts(Files, ArtifactConformance):
    pass


@pytest.mark.full
class TestLargeFiles(Files, LargeObjects):
    pass
