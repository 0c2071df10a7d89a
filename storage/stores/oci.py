"""Objects in Oracle Cloud, by its S3-compatible service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

from stix.storage.stores.kin import KinStore
from stix.storage.stores.s3 import S3Options


class OciStore(KinStore):
    """Buckets as ``oci://bucket/key``.

    Keys: a customer secret key, as the profile ``oci`` of AWS's files. Region and namespace: the
    profile ``DEFAULT`` of ``~/.oci/config`` (``OCI_CONFIG`` names another file), where
    ``namespace`` is a line of one's own, or ``OCI_NAMESPACE``.
    """

    scheme: ClassVar[str] = "oci"
    cloud: ClassVar[str] = "oci"
    provider: ClassVar[str] = "Other"
    profile: ClassVar[str] = "oci"
    region: ClassVar[str] = ""
    placed: ClassVar[bool] = False
    prices: ClassVar[Mapping[str, tuple[float, float, float]]] = {"": (0.0255, 0.00034, 0.00034)}
    price_source: ClassVar[str] = "an estimate of Standard, not read from a list"
    price_as_of: ClassVar[str] = "2026-11"

    def settle(self, options: S3Options) -> S3Options:
        return super().settle(options if options.region else _with_region(options))

    def find_endpoint(self, options: S3Options) -> str:
        namespace = os.environ.get("OCI_NAMESPACE") or _own().get("namespace", "")
        if not (namespace and options.region):
            return ""
        return f"https://{namespace}.compat.objectstorage.{options.region}.oraclecloud.com"


def _with_region(options: S3Options) -> S3Options:
    from dataclasses import replace

    return replace(options, region=_own().get("region"))


def _own() -> dict[str, str]:
    """The profile DEFAULT, which for Python's parser is no section but the ground of all."""
    import configparser
    from pathlib import Path

    from stix.storage.base import StorageError

    file = os.environ.get("OCI_CONFIG", "~/.oci/config")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(Path(file).expanduser(), encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        raise StorageError(f"{file} cannot be read.", fix="Correct the file.") from None
    return dict(parser.defaults())
