"""Objects in a VAST Data cluster."""

from __future__ import annotations

from typing import ClassVar

from stix.storage.stores.kin import KinStore


class VastDataStore(KinStore):
    """Buckets as ``vastdata://bucket/key``. Keys and endpoint: ``~/.vastdata``."""

    scheme: ClassVar[str] = "vastdata"
    cloud: ClassVar[str] = "vastdata"
    provider: ClassVar[str] = "Other"
    profile: ClassVar[str] = "vastdata"
    credentials: ClassVar[str] = "~/.vastdata/vastdata.credentials"
    configuration: ClassVar[str] = "~/.vastdata/vastdata.config"
    placed: ClassVar[bool] = False
