"""Objects in Nebius Object Storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from stix.storage.stores.kin import KinStore
from stix.storage.stores.s3 import S3Options


class NebiusStore(KinStore):
    """Buckets as ``nebius://bucket/key``; keys and region: AWS's files, profile ``nebius``."""

    scheme: ClassVar[str] = "nebius"
    cloud: ClassVar[str] = "nebius"
    provider: ClassVar[str] = "Other"
    profile: ClassVar[str] = "nebius"
    region: ClassVar[str] = "eu-north1"
    placed: ClassVar[bool] = False
    prices: ClassVar[Mapping[str, tuple[float, float, float]]] = {"": (0.0147, 0.0, 0.0)}
    price_source: ClassVar[str] = "an estimate of Standard, not read from a list"
    price_as_of: ClassVar[str] = "2026-11"

    def find_endpoint(self, options: S3Options) -> str:
        return f"https://storage.{options.region}.nebius.cloud:443"
