"""Objects in Google Cloud Storage."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from stix.storage.base import Denied, NotInStore, StorageError
from stix.storage.stores.common import PerProcess, split
from stix.storage.stores.gs_more import GsAbilities

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SIGN_IN = "Check the credentials (gcloud auth application-default login) and their rights."
_BYTES = "application/octet-stream"
_MISSING = {404, "404", "NotFound"}
_REFUSED = {401, 403, "401", "403"}
# Without it, gcsfs asks a second service, by gRPC, what kind each bucket is.
_ONE_API = ("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")


@dataclass(frozen=True)
class GsOptions:
    """How to reach the service. What is None comes from Google's default credentials.

    Attributes:
        project: That buckets are listed and made in.
        token: Path of a key file, or ``anon``, as gcsfs takes it.
        access_token: An OAuth token, such as one that was lent.
        endpoint_url: Of an emulator.
    """

    project: str | None = None
    token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None

    def credentials(self) -> Any:
        """For google's clients; None lets them find their own."""
        from google.auth.credentials import AnonymousCredentials
        from google.oauth2.credentials import Credentials
        from google.oauth2.service_account import Credentials as Service

        made: Any = None  # none of these has types
        if self.access_token:
            made = Credentials
            return made(self.access_token)
        if self.token == "anon":
            made = AnonymousCredentials
            return made()
        made = Service
        return made.from_service_account_file(self.token) if self.token else None


class GsStore(GsAbilities):
    """Buckets, addressed as ``gs://bucket/key``.

    Args:
        options: The fields of `GsOptions`.
    """

    scheme: ClassVar[str] = "gs"

    def __init__(self, **options: Any) -> None:
        self._options = GsOptions(**options)
        self._filesystems = PerProcess(self._make)
        self._clients = PerProcess(self.make_client)

    def __repr__(self) -> str:
        return f"GsStore({self._options.endpoint_url or 'Google'})"

    def filesystem(self) -> AbstractFileSystem:
        return self._filesystems.get()

    def _make(self) -> AbstractFileSystem:
        os.environ.setdefault(*_ONE_API)
        from aiohttp import ClientTimeout
        from gcsfs import GCSFileSystem

        o = self._options
        token = o.credentials() if o.access_token else o.token
        return GCSFileSystem(
            project=o.project or os.environ.get("GOOGLE_CLOUD_PROJECT") or "",
            token=token,
            endpoint_url=o.endpoint_url,
            # By default it waits for ever where a server says nothing.
            requests_timeout=ClientTimeout(total=None, sock_connect=10, sock_read=60),
            skip_instance_cache=True,
            use_listings_cache=False,
        )

    def path(self, url: str) -> str:
        scheme, separator, path = url.partition("://")
        bucket, _ = split(path)
        if scheme.lower() not in {"gs", "gcs"} or not separator or not bucket:
            raise StorageError("This is not a URL of gs://.", fix="Write gs://bucket/key.")
        if "@" in bucket or ":" in bucket:
            raise StorageError(
                "A URL names a bucket only, without credentials or a host.",
                fix="Give credentials by Google's own files and the host by endpoint_url.",
            )
        return path

    def put(self, url: str, data: bytes) -> None:
        """By Google's own client: the service compares a checksum that is sent along.

        gcsfs frames what it sends by line feeds alone, and content that ends in a carriage return
        may then lose it.
        """
        with self.errors(url):
            self._blob(url).upload_from_string(data, _BYTES, checksum="crc32c")

    def put_if_absent(self, url: str, data: bytes) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        with self.errors(url):
            try:
                self._blob(url).upload_from_string(
                    data, _BYTES, if_generation_match=0, checksum="crc32c"
                )
            except PreconditionFailed:
                return False
        return True

    @contextmanager
    def errors(self, url: str) -> Iterator[None]:
        from aiohttp import ClientError
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        try:
            yield
        except FileNotFoundError:
            raise NotInStore(f"{url} does not exist.", fix="Check the name.") from None
        except (
            OSError,
            ClientError,
            GoogleAPIError,
            GoogleAuthError,
            RequestException,
            http.client.HTTPException,
        ) as error:
            # Without the cause: its text may quote the request.
            raise _refusal(url, error) from None


def _code(error: BaseException) -> Any:
    """The HTTP status, else what the service called it, else the error's class."""
    found = getattr(error, "code", None) or getattr(error, "status", None)
    return getattr(found, "value", found) or type(error).__name__


def _refusal(url: str, error: Exception) -> StorageError:
    from google.auth.exceptions import GoogleAuthError, RefreshError

    code = _code(error)
    if code in _MISSING:
        return NotInStore(f"{url} does not exist.", fix="Check the name and the project.")
    said = f"{url}: the server or its client says {code}."
    text = str(error).lower()
    if isinstance(error, RefreshError) or "expired" in text or "invalid_grant" in text:
        return Denied(said, fix="Sign in again: the credentials have expired, or the clock is off.")
    if code in _REFUSED or isinstance(error, GoogleAuthError | PermissionError):
        return Denied(said, fix=_SIGN_IN)
    return StorageError(said, fix="Try again.")
