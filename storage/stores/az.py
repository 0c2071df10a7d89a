"""Objects in Azure Blob Storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from stix.storage.base import Denied, NotInStore, StorageError
from stix.storage.stores.az_bulk import AzBulk
from stix.storage.stores.az_more import AzAbilities
from stix.storage.stores.common import PerProcess, split

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

HOSTS = ".blob.core.windows.net"
_SIGN_IN = "Check the credentials (az login, AZURE_STORAGE_*, or this store's options) and rights."
_FIXES = {
    "ContainerNotFound": "Create the container, or check its name and the account.",
    "ContainerBeingDeleted": "Wait until the deletion of the old container is over.",
    "InvalidResourceName": "Choose a name of 3 to 63 lower-case letters, digits and hyphens.",
    "AccountBeingCreated": "Wait until the account is made.",
    "LeaseIdMissing": "Somebody holds a lease on it: end that first.",
}


@dataclass(frozen=True)
class AzOptions:
    """How to reach an account. What is None comes from ``AZURE_STORAGE_*`` or the Azure login.

    Attributes:
        account: Name of the storage account.
        account_key: One of its two keys.
        sas_token: A shared access signature, with or without its ``?``.
        connection_string: All in one, as the portal shows it.
        endpoint_url: Of an emulator or another cloud of Azure's; for an account in public Azure
            it follows from the name.
        region: Where the account lies, such as ``westeurope``; the blob service does not tell it.
        hierarchical: The account has a hierarchical namespace, so that credentials can be lent
            for a folder and not for the container alone.
        anon: Send no credentials, for public containers.
    """

    account: str | None = None
    account_key: str | None = field(default=None, repr=False)
    sas_token: str | None = field(default=None, repr=False)
    connection_string: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None
    region: str | None = None
    hierarchical: bool = False
    anon: bool = False

    def settled(self) -> AzOptions:
        """With what the environment adds. Explicit credentials shut out those found there."""
        named = (self.account_key, self.sas_token, self.connection_string)
        asked = any(named) or self.anon
        env = {} if asked else os.environ
        return AzOptions(
            self.account or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME"),
            self.account_key or env.get("AZURE_STORAGE_ACCOUNT_KEY"),
            (self.sas_token or env.get("AZURE_STORAGE_SAS_TOKEN") or "").lstrip("?") or None,
            self.connection_string or env.get("AZURE_STORAGE_CONNECTION_STRING"),
            self.endpoint_url,
            self.region,
            self.hierarchical,
            self.anon,
        )

    def text(self) -> str | None:
        """A connection string, where there is one or an endpoint asks for one."""
        if self.connection_string or not self.endpoint_url:
            return self.connection_string
        parts = [f"BlobEndpoint={self.endpoint_url}", f"AccountName={self.account or ''}"]
        if self.account_key:
            parts.append(f"AccountKey={self.account_key}")
        elif self.sas_token:
            parts.append(f"SharedAccessSignature={self.sas_token}")
        return ";".join(parts)


class AzStore(AzBulk, AzAbilities):
    """Containers, addressed as ``az://container/key`` or by the URL that Azure shows.

    Args:
        options: The fields of `AzOptions`.
    """

    scheme: ClassVar[str] = "az"

    def __init__(self, **options: Any) -> None:
        self._options = AzOptions(**options).settled()
        self._filesystems = PerProcess(self._make)
        self._clients = PerProcess(self.make_client)

    @classmethod
    def for_url(cls, url: str, **options: Any) -> AzStore:
        """With the account that the URL names."""
        account = account_of(url)
        return cls(**({"account": account} if account else {}), **options)

    def __repr__(self) -> str:
        return f"AzStore({self._options.account or 'account by environment'})"

    def filesystem(self) -> AbstractFileSystem:
        return self._filesystems.get()

    def _make(self) -> AbstractFileSystem:
        from stix.storage.stores.az_fs import PlainNames

        o = self._options
        text = o.text()
        if text is None and o.account is None:
            raise self.no_account()
        arguments: dict[str, Any] = {"connection_string": text} if text else {"anon": o.anon}
        if text is None:
            arguments |= {"account_name": o.account, "account_key": o.account_key}
            arguments["sas_token"] = o.sas_token
        return PlainNames(
            skip_instance_cache=True,
            use_listings_cache=False,
            assume_container_exists=True,
            connection_timeout=10,
            **arguments,
        )

    def no_account(self) -> StorageError:
        return Denied(
            "No Azure storage account is named.",
            fix="Set AZURE_STORAGE_ACCOUNT_NAME, or write https://ACCOUNT.blob.core.windows.net/.",
        )

    def path(self, url: str) -> str:
        scheme, separator, path = url.partition("://")
        account = account_of(url)
        if account:
            if account != (self._options.account or account):
                raise StorageError(
                    f"{url} lies in another account than {self._options.account}.",
                    fix="Open a store for each account.",
                )
            path = path.partition("/")[2]
        elif scheme.lower() not in {"az", "azure"} or not separator:
            path = ""
        container, _ = split(path)
        if not container or "@" in container or ":" in container:
            raise StorageError(
                "This is not the URL of a container of Azure's.",
                fix="Write az://container/key or https://ACCOUNT.blob.core.windows.net/container.",
            )
        return path

    def put(self, url: str, data: bytes) -> None:
        path = self.path(url)
        with self.errors(url):
            self.filesystem().pipe_file(path, data, overwrite=True)

    def put_if_absent(self, url: str, data: bytes) -> bool:
        path = self.path(url)
        with self.errors(url):
            try:
                self.filesystem().pipe_file(path, data, overwrite=False)
            except FileExistsError:
                return False
        return True

    @contextmanager
    def errors(self, url: str) -> Iterator[None]:
        from aiohttp import ClientError
        from azure.core.exceptions import AzureError

        try:
            yield
        except FileNotFoundError:
            raise NotInStore(f"{url} does not exist.", fix="Check the name.") from None
        except (AzureError, OSError, ClientError) as error:
            raise self._refusal(url, error) from None
        except (RuntimeError, ValueError) as error:
            # adlfs wraps what the service says in these; others are not ours to explain.
            if not isinstance(error.__cause__, AzureError):
                raise
            raise self._refusal(url, error.__cause__) from None

    def _refusal(self, url: str, error: Exception) -> StorageError:
        """What the service said, without its text: that may quote the request."""
        from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError

        word = getattr(error, "error_code", None)
        code = str(getattr(word, "value", word) or type(error).__name__)
        status = getattr(error, "status_code", None)
        if isinstance(error, ResourceNotFoundError) or status == 404:
            return NotInStore(f"{url} does not exist.", fix=_FIXES.get(code, "Check the name."))
        said = f"{url}: the server or its client says {code}."
        refused = isinstance(error, ClientAuthenticationError | PermissionError)
        if refused or status in {401, 403}:
            late = _out_of_time(self._options.sas_token) or _clock(str(error).lower())
            return Denied(said, fix=late or _SIGN_IN)
        return StorageError(said, fix=_FIXES.get(code, "Try again."))


def account_of(url: str) -> str:
    """The account that the URL names, as Azure and SkyPilot write it; empty where it names none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host.removesuffix(HOSTS) if host.endswith(HOSTS) and parts.scheme == "https" else ""


def _out_of_time(sas_token: str | None) -> str:
    """The fix where a signature's own times rule it out; the service does not say so."""
    fields = {name: values[0] for name, values in parse_qs(sas_token or "").items()}
    now = datetime.now(UTC)
    if "se" in fields and datetime.fromisoformat(fields["se"]) < now:
        return "Make a new signature: this one has expired."
    if "st" in fields and datetime.fromisoformat(fields["st"]) > now:
        return "Wait, or set the clock: by this one, the signature is not good yet."
    return ""


def _clock(text: str) -> str:
    """The fix where the service's text speaks of the time."""
    if "date header" in text or "too old" in text:
        return "Set this machine's clock: it differs too much from the server's."
    return ""
