"""Objects in S3 and in servers that speak its protocol."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from stix.storage.base import NotInStore, StorageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_DENIED = "Check the credentials (the usual AWS chain, or this store's options) and their rights."
_FIXES = {
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": "The server does not know this access key: check the credentials.",
    "SignatureDoesNotMatch": "The secret key does not belong to the access key: check both.",
    "ExpiredToken": "Sign in again: the session token has expired.",
    "RequestTimeTooSkewed": "Set this machine's clock: it differs too much from the server's.",
    "NoSuchBucket": "Create the bucket, or check its name and the endpoint.",
    "PermanentRedirect": "Set the bucket's own region.",
    "AuthorizationHeaderMalformed": "Set the bucket's own region.",
    "NoCredentialsError": "Sign in (aws configure, environment, role) or set anon for public data.",
    "PartialCredentialsError": "Give both the access key and the secret key.",
    "ProfileNotFound": "Check the profile's name in ~/.aws/config.",
    "EndpointConnectionError": "Check endpoint_url and the network.",
    "ConnectTimeoutError": "Check endpoint_url and the network.",
}
_TAKEN = {"PreconditionFailed", "412"}
_CONFLICT = {"ConditionalRequestConflict", "409"}


@dataclass(frozen=True)
class S3Options:
    """How to reach a server. What is None comes from the usual AWS chain.

    Attributes:
        endpoint_url: Of a server other than AWS.
        addressing_style: ``path`` or ``virtual``; by default ``path`` with an ``endpoint_url``.
        anon: Send no credentials, for public buckets.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    key: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    addressing_style: str | None = None
    anon: bool = False

    def arguments(self) -> dict[str, Any]:
        """For ``s3fs.S3FileSystem``."""
        config: dict[str, Any] = {
            "connect_timeout": 10,
            "read_timeout": 60,
            "retries": {"mode": "standard", "max_attempts": 2},
            # Trailing checksums are unknown to many servers that are not AWS.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "max_pool_connections": 32,
        }
        style = self.addressing_style or ("path" if self.endpoint_url else None)
        if style:
            config["s3"] = {"addressing_style": style}
        return {
            "anon": self.anon,
            "endpoint_url": self.endpoint_url,
            "key": self.key,
            "secret": self.secret,
            "token": self.token,
            "client_kwargs": {"region_name": self.region} if self.region else {},
            "config_kwargs": config,
        }


class S3Store:
    """Buckets, addressed as ``s3://bucket/key``.

    `put_if_absent` is a PUT with ``If-None-Match: *``, which AWS honours since 2024; a server
    that ignores the header makes it an ordinary write.

    Args:
        options: The fields of `S3Options`.
    """

    scheme = "s3"

    def __init__(self, **options: Any) -> None:
        self._options = S3Options(**options)
        self._lock = Lock()
        self._filesystems: dict[int, AbstractFileSystem] = {}

    def filesystem(self) -> AbstractFileSystem:
        # By process: its connections and its event loop's thread do not survive a fork. The
        # parent's is kept, since its end would try to close connections from the wrong process.
        with self._lock:
            if os.getpid() not in self._filesystems:
                self._filesystems[os.getpid()] = self._make()
            return self._filesystems[os.getpid()]

    def _make(self) -> AbstractFileSystem:
        from s3fs import S3FileSystem

        arguments = self._options.arguments()
        if self._options.profile:
            arguments["profile"] = self._options.profile
        return S3FileSystem(skip_instance_cache=True, use_listings_cache=False, **arguments)

    def path(self, url: str) -> str:
        scheme, separator, path = url.partition("://")
        bucket = path.partition("/")[0]
        if scheme.lower() != "s3" or not separator or not bucket:
            raise StorageError("This is not an S3 URL.", fix="Write s3://bucket/key.")
        if "@" in bucket or ":" in bucket:
            raise StorageError(
                "An S3 URL names a bucket only, without credentials or a host.",
                fix="Give credentials by the usual AWS chain and the host by endpoint_url.",
            )
        return path

    def put(self, url: str, data: bytes) -> None:
        path = self.path(url)
        with self.errors(url):
            self.filesystem().pipe_file(path, data)

    def put_if_absent(self, url: str, data: bytes) -> bool:
        path = self.path(url)
        for _ in range(4):
            with self.errors(url):
                try:
                    self.filesystem().pipe_file(path, data, mode="create")
                    return True
                except FileExistsError:
                    return False
                except OSError as error:
                    code = _code(error)
                    if code in _TAKEN:
                        return False
                    if code not in _CONFLICT:
                        raise
        raise StorageError(f"{url}: other writers are in the way.", fix="Try again.")

    @contextmanager
    def errors(self, url: str) -> Iterator[None]:
        from aiohttp import ClientError as HttpError
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except FileNotFoundError as error:
            code = _code(error)
            what = "The bucket of " if code == "NoSuchBucket" else ""
            raise NotInStore(
                f"{what}{url} does not exist.", fix=_FIXES.get(code, "Check the name.")
            ) from None
        except (OSError, BotoCoreError, ClientError, HttpError, http.client.HTTPException) as error:
            # Without the cause: its text may quote the request.
            code = _code(error)
            fix = _FIXES.get(code, _DENIED if isinstance(error, PermissionError) else "Try again.")
            raise StorageError(f"{url}: the server or its client says {code}.", fix=fix) from None


def _code(error: BaseException) -> str:
    """The server's name for the error, or else its class."""
    for link in (error, error.__cause__):
        response = getattr(link, "response", None)
        if isinstance(response, Mapping):
            return str(response.get("Error", {}).get("Code", "an error"))
    return type(error).__name__
