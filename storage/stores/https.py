"""Objects that a web server gives, to read from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from stix.storage.base import Denied, NotInStore, Signed, StorageError
from stix.storage.stores.common import PerProcess

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class HttpsStore:
    """Files by their URLs, read only. A server's ETag is the version.

    Args:
        ca_file: Certificates to trust in place of the usual ones.
    """

    scheme: ClassVar[str] = "https"

    def __init__(self, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._filesystems = PerProcess(self._make)

    def filesystem(self) -> AbstractFileSystem:
        return self._filesystems.get()

    def _make(self) -> AbstractFileSystem:
        import ssl

        from stix.storage.stores.web_fs import WebFileSystem

        verify: Any = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
        return WebFileSystem(verify, skip_instance_cache=True)

    def path(self, url: str) -> str:
        try:
            parts = urlsplit(url)
            known = parts.scheme == self.scheme and bool(parts.hostname)
        except ValueError:
            known = False
        if not known:
            raise StorageError("This is not a URL of https.", fix="Write https://host/path.")
        if parts.username or parts.password:
            raise StorageError("A URL must not hold credentials.", fix="Use a signed URL.")
        return url

    def version(self, url: str) -> str:
        """The server's ETag; empty where it gives none."""
        with self.errors(url):
            return str(self.filesystem().info(self.path(url)).get("ETag", ""))

    def sign(self, url: str, *, seconds: int) -> Signed | None:
        """The URL itself: it is public, or signed already."""
        return Signed(self.path(url))

    def put(self, url: str, data: bytes) -> None:
        raise self._read_only(url)

    def put_if_absent(self, url: str, data: bytes) -> bool:
        raise self._read_only(url)

    def _read_only(self, url: str) -> StorageError:
        return StorageError(
            f"{plain(self.path(url))} cannot be written: {self.scheme}:// is read only.",
            fix="Write to a store such as s3://, gs://, az:// or sftp://.",
        )

    @contextmanager
    def errors(self, url: str) -> Iterator[None]:
        shown = plain(url)
        try:
            yield
        except FileNotFoundError:
            raise NotInStore(f"{shown} does not exist.", fix="Check the name.") from None
        except PermissionError as error:
            raise Denied(f"{shown}: {error}.", fix=self.denied_fix) from None
        except OSError as error:
            raise StorageError(
                f"{shown}: {error}.", fix="Check the host, the network and the certificate."
            ) from None

    denied_fix: ClassVar[str] = "Check that the URL is public, or signed and still good."


def plain(url: str) -> str:
    """The URL without what may be a signature."""
    return url.partition("?")[0].partition("#")[0]
