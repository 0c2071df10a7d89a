"""Objects in Cloudflare R2."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from stix.storage.stores.kin import KinStore, text_of
from stix.storage.stores.s3 import S3Options


class R2Store(KinStore):
    """Buckets as ``r2://bucket/key``.

    Keys: the profile ``r2`` of ``~/.cloudflare/r2.credentials``; the account:
    ``~/.cloudflare/accountid`` or ``R2_ACCOUNT_ID``.
    """

    scheme: ClassVar[str] = "r2"
    cloud: ClassVar[str] = "cloudflare"
    provider: ClassVar[str] = "Cloudflare"
    profile: ClassVar[str] = "r2"
    credentials: ClassVar[str] = "~/.cloudflare/r2.credentials"
    prices: ClassVar[Mapping[str, tuple[float, float, float]]] = {"": (0.015, 0.0045, 0.00036)}
    price_source: ClassVar[str] = "developers.cloudflare.com/r2/pricing, Standard, no egress fee"
    price_as_of: ClassVar[str] = "2026-09"
    placed: ClassVar[bool] = False

    def find_endpoint(self, options: S3Options) -> str:
        account = os.environ.get("R2_ACCOUNT_ID") or text_of("~/.cloudflare/accountid")
        return f"https://{account}.r2.cloudflarestorage.com" if account else ""
