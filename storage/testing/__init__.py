"""What every store must do. A store joins by a subclass of each suite with one fixture."""

from stix.storage.testing.artifacts import ArtifactConformance
from stix.storage.testing.stores import Place, StoreConformance

__all__ = ["ArtifactConformance", "Place", "StoreConformance"]
