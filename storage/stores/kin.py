"""What the S3-compatible providers share: files in the manner of AWS, with a profile of theirs."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from stix.storage.base import Access, Denied, Location, StorageError
from stix.storage.stores.common import split
from stix.storage.stores.s3 import S3Options, S3Store


class KinStore(S3Store):
    """A provider that speaks S3's protocol.

    What the options leave open comes from the profile of the provider's own credentials and
    configuration files, as SkyPilot has them.
    """

    profile: ClassVar[str]
    credentials: ClassVar[str] = "~/.aws/credentials"
    configuration: ClassVar[str] = "~/.aws/config"
    region: ClassVar[str] = "auto"
    style: ClassVar[str] = "path"
    endpoint: ClassVar[str] = ""
    """Where it is the same for everybody."""
    prices: ClassVar[Mapping[str, tuple[float, float, float]]] = {}
    lends: ClassVar[bool] = False
    """Whether it has a token service in the manner of AWS."""

    def settle(self, options: S3Options) -> S3Options:
        profile = options.profile or self.profile
        file = section(self.configuration, f"profile {profile}")
        keys = section(self.credentials, profile)
        found = replace(
            options,
            region=options.region or file.get("region") or self.region,
            addressing_style=options.addressing_style or self.style,
            profile=None,
        )
        endpoint = options.endpoint_url or file.get("endpoint_url") or self.find_endpoint(found)
        if not (options.key or options.anon):
            found = replace(
                found,
                key=keys.get("aws_access_key_id"),
                secret=keys.get("aws_secret_access_key"),
                token=keys.get("aws_session_token"),
            )
        return replace(found, endpoint_url=endpoint or None)

    def find_endpoint(self, options: S3Options) -> str:
        """Where the server is; empty where nothing tells."""
        return self.endpoint

    def make_clients(self) -> Any:
        self._ready()
        return super().make_clients()

    def _make(self) -> Any:
        self._ready()
        return super()._make()

    def _ready(self) -> None:
        """Never let AWS's own keys or servers stand in for the provider's."""
        o = self._options
        if not o.endpoint_url:
            raise StorageError(
                f"The endpoint of {self.scheme}:// is not known.",
                fix=f"Set endpoint_url in {self.configuration}, or as an option of the store.",
            )
        if not (o.anon or (o.key and o.secret)):
            raise Denied(
                f"There are no credentials for {self.scheme}://.",
                fix=f"Put them into {self.credentials}, as the profile {self.profile}.",
            )

    def location(self, url: str) -> Location:
        """As configured; these providers tell no other place."""
        bucket, _ = split(self.path(url))
        with self.errors(url):
            self._s3().head_bucket(Bucket=bucket)
        region = self._options.region or ""
        return Location(self.cloud, "" if region == "auto" else region)

    def lend(self, url: str, *, write: bool, seconds: int) -> Access:
        if not self.lends:
            raise StorageError(
                f"{self.scheme}:// lends no credentials: it has no token service for a prefix.",
                fix="Give the node keys of its own that reach this bucket alone.",
            )
        return super().lend(url, write=write, seconds=seconds)

    def own_access(self, url: str) -> Access:
        self._ready()
        return super().own_access(url)


def section(file: str, name: str) -> dict[str, str]:
    """One section of a file in the manner of AWS; empty where it is not there.

    Raises:
        StorageError: The file cannot be read.
    """
    parser = configparser.ConfigParser(interpolation=None)
    path = Path(file).expanduser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        # Without the cause: it quotes lines of a file of credentials.
        raise StorageError(f"{file} cannot be read.", fix="Correct the file.") from None
    return dict(parser[name]) if parser.has_section(name) else {}


def text_of(file: str) -> str:
    """The one line of a small file; empty where it is not there."""
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
