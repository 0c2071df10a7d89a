"""Objects in CoreWeave AI Object Storage."""

from __future__ import annotations

from typing import ClassVar

from stix.storage.stores.kin import KinStore


class CoreWeaveStore(KinStore):
    """Buckets as ``cw://bucket/key``. Keys: the profile ``cw`` of ``~/.coreweave``."""

    scheme: ClassVar[str] = "cw"
    cloud: ClassVar[str] = "coreweave"
    provider: ClassVar[str] = "Other"
    profile: ClassVar[str] = "cw"
    credentials: ClassVar[str] = "~/.coreweave/cw.credentials"
    configuration: ClassVar[str] = "~/.coreweave/cw.config"
    endpoint: ClassVar[str] = "https://cwobject.com"
    style: ClassVar[str] = "virtual"
