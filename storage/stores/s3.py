"""Objects in S3 and in servers that speak its protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from stix.storage.base import Denied, NotInStore, StorageError
from stix.storage.stores.common import PerProcess
from stix.storage.stores.s3_bulk import S3Bulk
from stix.storage.stores.s3_more import S3Abilities
from stix.storage.stores.s3_sign import S3Signing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_DENIED = "Check the credentials (the usual AWS chain, or this store's options) and their rights."
_REFUSALS = {
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "403": _DENIED,
    "Forbidden": _DENIED,
    "InvalidAccessKeyId": "The server does not know this access key: check the credentials.",
    "InvalidClientTokenId": "The server does not know this access key: check the credentials.",
    "SignatureDoesNotMatch": "The secret key does not belong to the access key: check both.",
    "ExpiredToken": "Sign in again: the session token has expired.",
    "ExpiredTokenException": "Sign in again: the session token has expired.",
    "TokenRefreshRequired": "Sign in again: the session token has expired.",
    "InvalidToken": "Sign in again: the session token is not valid here.",
    "RequestTimeTooSkewed": "Set this machine's clock: it differs too much from the server's.",
    "RequestExpired": "Set this machine's clock: it differs too much from the server's.",
    "NoCredentialsError": "Sign in (aws configure, environment, role) or set anon for public data.",
    "PartialCredentialsError": "Give both the access key and the secret key.",
    "ProfileNotFound": "Check the profile's name in ~/.aws/config.",
}
_FIXES = {
    "NoSuchBucket": "Create the bucket, or check its name and the endpoint.",
    "PermanentRedirect": "Set the bucket's own region.",
    "AuthorizationHeaderMalformed": "Set the bucket's own region.",
    "BucketNotEmpty": "Delete what is in it first, or force the deletion.",
    "BucketAlreadyExists": "Names of buckets are shared by all accounts: choose another name.",
    "EndpointConnectionError": "Check endpoint_url and the network.",
    "ConnectTimeoutError": "Check endpoint_url and the network.",
    "InvalidBucketName": "Choose a name of 3 to 63 lower-case letters, digits and hyphens.",
}
_MISSING = {"NoSuchKey", "NoSuchBucket", "404", "NotFound", "NoSuchUpload"}
_TAKEN = {"PreconditionFailed", "412"}
_CONFLICT = {"ConditionalRequestConflict", "409"}


@dataclass(frozen=True)
class S3Options:
    """How to reach a server. What is None comes from the usual AWS chain.

    Attributes:
        endpoint_url: Of a server other than AWS.
        addressing_style: ``path`` or ``virtual``; by default ``path`` with an ``endpoint_url``.
        anon: Send no credentials, for public buckets.
        role: ARN of the role that is taken, narrowed to a prefix, to lend credentials.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    key: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    addressing_style: str | None = None
    anon: bool = False
    role: str | None = None

    def config(self) -> dict[str, Any]:
        """For ``botocore.config.Config``."""
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
        return config

    def arguments(self) -> dict[str, Any]:
        """For ``s3fs.S3FileSystem``."""
        return {
            "anon": self.anon,
            "endpoint_url": self.endpoint_url,
            "key": self.key,
            "secret": self.secret,
            "token": self.token,
            "client_kwargs": {"region_name": self.region} if self.region else {},
            "config_kwargs": self.config(),
        }


class S3Store(S3Bulk, S3Signing, S3Abilities):
    """Buckets, addressed as ``s3://bucket/key``.

    `put_if_absent` is a PUT with ``If-None-Match: *``, which AWS honours since 2024; a server
    that ignores the header makes it an ordinary write.

    Args:
        options: The fields of `S3Options`.
    """

    scheme: ClassVar[str] = "s3"
    takes = S3Options
    denied_fix: ClassVar[str] = _DENIED

    def __init__(self, **options: Any) -> None:
        self._options = self.settle(self.takes(**options))
        self._filesystems = PerProcess(self._make)
        self._clients = PerProcess(self.make_clients)
        self._checking = {}

    def settle(self, options: S3Options) -> S3Options:
        """The options with what files and variables of this provider add to them."""
        return options

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._options.endpoint_url or 'AWS'})"

    def filesystem(self) -> AbstractFileSystem:
        return self._filesystems.get()

    def _make(self) -> AbstractFileSystem:
        from s3fs import S3FileSystem

        arguments = self._options.arguments()
        if self._options.profile:
            arguments["profile"] = self._options.profile
        return S3FileSystem(skip_instance_cache=True, use_listings_cache=False, **arguments)

    def path(self, url: str) -> str:
        scheme, separator, path = url.partition("://")
        bucket = path.partition("/")[0]
        if scheme.lower() != self.scheme or not separator or not bucket:
            raise StorageError(
                f"This is not a URL of {self.scheme}://.", fix=f"Write {self.scheme}://bucket/key."
            )
        if "@" in bucket or ":" in bucket:
            raise StorageError(
                "A URL names a bucket only, without credentials or a host.",
                fix="Give credentials by the provider's own files and the host by endpoint_url.",
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
                    code = code_of(error)
                    if code in _TAKEN:
                        return False
                    if code not in _CONFLICT:
                        raise
        raise StorageError(f"{url}: other writers are in the way.", fix="Try again.")

    @contextmanager
    def errors(self, url: str) -> Iterator[None]:
        from http.client import HTTPException

        from aiohttp import ClientError as HttpError
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except FileNotFoundError as error:
            raise self._missing(url, code_of(error)) from None
        except (OSError, BotoCoreError, ClientError, HttpError, HTTPException) as error:
            # Without the cause: its text may quote the request.
            raise self._refusal(url, error) from None

    def _missing(self, url: str, code: str) -> NotInStore:
        what = "The bucket of " if code == "NoSuchBucket" else ""
        fix = _FIXES.get(code, "Check the name.")
        return NotInStore(f"{what}{url} does not exist.", fix=fix)

    def _refusal(self, url: str, error: Exception) -> StorageError:
        code = code_of(error)
        if code in _MISSING:
            return self._missing(url, code)
        said = f"{url}: the server or its client says {code}."
        if code in _REFUSALS or isinstance(error, PermissionError):
            fix = _REFUSALS.get(code, _DENIED)
            return Denied(said, fix=self.denied_fix if fix == _DENIED else fix)
        return StorageError(said, fix=_FIXES.get(code, "Try again."))


def code_of(error: BaseException) -> str:
    """The server's name for the error, or else its class."""
    for link in (error, error.__cause__):
        response = getattr(link, "response", None)
        if isinstance(response, Mapping):
            return str(response.get("Error", {}).get("Code", "an error"))
    return type(error).__name__
