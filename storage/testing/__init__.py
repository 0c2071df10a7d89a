"""What every store must do. A store joins by a subclass of each suite with one fixture."""

import pytest

for _room in ("artifacts", "store_objects", "store_listing", "store_writers", "store_abilities"):
    pytest.register_assert_rewrite(f"{__name__}.{_room}")

from stix.storage.testing.artifacts import ArtifactConformance  # noqa: E402
from stix.storage.testing.place import At, Check, Place  # noqa: E402
from stix.storage.testing.stores import LargeObjects, StoreConformance  # noqa: E402

__all__ = ["ArtifactConformance", "At", "Check", "LargeObjects", "Place", "StoreConformance"]
