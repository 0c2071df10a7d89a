"""Named by content: chunks and manifests in any store."""

from stix.storage.artifacts.manifest import Entry, Manifest
from stix.storage.artifacts.store import ArtifactStore, Stored

__all__ = ["ArtifactStore", "Entry", "Manifest", "Stored"]
