"""Objects in IBM Cloud Object Storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from stix.storage.base import StorageError
from stix.storage.stores.kin import KinStore
from stix.storage.stores.s3 import S3Options

_FILE = "~/.ibm/credentials.yaml"


class CosStore(KinStore):
    """Buckets as ``cos://region/bucket/key``.

    Keys: ``access_key_id`` and ``secret_access_key`` in ``~/.ibm/credentials.yaml``.
    """

    scheme: ClassVar[str] = "cos"
    cloud: ClassVar[str] = "ibm"
    provider: ClassVar[str] = "IBMCOS"
    profile: ClassVar[str] = "cos"
    credentials: ClassVar[str] = _FILE
    region: ClassVar[str] = ""
    placed: ClassVar[bool] = False
    prices: ClassVar[Mapping[str, tuple[float, float, float]]] = {"": (0.0220, 0.005, 0.0004)}
    price_source: ClassVar[str] = "an estimate of Standard, not read from a list"
    price_as_of: ClassVar[str] = "2026-11"

    @classmethod
    def for_url(cls, url: str, **options: Any) -> CosStore:
        """With the region that the URL names."""
        region = url.partition("://")[2].partition("/")[0]
        return cls(**({"region": region} if region else {}) | options)

    def settle(self, options: S3Options) -> S3Options:
        keys = {} if options.key or options.anon else _keys()
        endpoint = options.endpoint_url
        if not endpoint and options.region:
            endpoint = f"https://s3.{options.region}.cloud-object-storage.appdomain.cloud"
        return replace(
            options,
            key=options.key or keys.get("access_key_id"),
            secret=options.secret or keys.get("secret_access_key"),
            endpoint_url=endpoint,
            addressing_style=options.addressing_style or self.style,
        )

    def path(self, url: str) -> str:
        region, _, rest = url.partition("://")[2].partition("/")
        if region != (self._options.region or region):
            raise StorageError(
                f"{region} is another region than {self._options.region}.",
                fix="Open a store for each region.",
            )
        if not region or not rest:
            raise StorageError(
                "This URL names no region and bucket.", fix="Write cos://region/bucket/key."
            )
        return super().path(f"{url.partition('://')[0]}://{rest}")

    def _url(self, bucket: str, key: str = "") -> str:
        return f"cos://{self._options.region}/{bucket}" + (f"/{key}" if key else "")


def _keys() -> dict[str, str]:
    import yaml

    try:
        found = yaml.safe_load(Path(_FILE).expanduser().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        # Without the cause: it quotes lines of a file of credentials.
        raise StorageError(f"{_FILE} cannot be read.", fix="Correct the file.") from None
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
