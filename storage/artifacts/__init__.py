"""Named by content: chunks and manifests in any store."""

from stix.storage.artifacts.garbage import Collected, Wish
from stix.storage.artifacts.guard import Timing
from stix.storage.artifacts.manifest import Entry, Manifest
from stix.storage.artifacts.member import Member
from stix.storage.artifacts.replicas import Replicas
from stix.storage.artifacts.states import Swept
from stix.storage.artifacts.store import ArtifactStore, Stored

__all__ = [
    "ArtifactStore",
    "Collected",
    "Entry",
    "Manifest",
    "Member",
    "Replicas",
    "Stored",
    "Swept",
    "Timing",
    "Wish",
]
