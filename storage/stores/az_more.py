"""What the Azure store can do beside objects."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stix.storage.base import (
    Access,
    Bucket,
    Denied,
    Location,
    MountPlan,
    NotInStore,
    Signed,
    StorageError,
    StorePrice,
)
from stix.storage.stores.common import PerProcess, bucket_problem, checked_name, split

if TYPE_CHECKING:
    from stix.storage.stores.az import AzOptions

# USD: GiB month hot, locally redundant (first tier), 1,000 writes, 1,000 reads.
_PRICES = {
    "eastus": (0.0208, 0.0065, 0.0005),
    "eastus2": (0.0184, 0.005, 0.0004),
    "westus2": (0.0184, 0.005, 0.0004),
    "northeurope": (0.0184, 0.005, 0.0004),
    "westeurope": (0.0196, 0.0054, 0.00043),
}
_SOURCE = "an estimate of hot LRS, not read from a list"
_AS_OF = "2026-11"
_POLL = 0.2  # seconds between questions whether a copy is done
_COPY_SECONDS = 3600.0


class AzAbilities:
    """The optional abilities; `AzStore` is the store itself."""

    _options: AzOptions
    _clients: PerProcess[Any]
    _delegated: tuple[Any, datetime] | None = None

    if TYPE_CHECKING:

        def path(self, url: str) -> str: ...

        def errors(self, url: str) -> AbstractContextManager[None]: ...

        def no_account(self) -> StorageError: ...

    def make_client(self) -> Any:
        from azure.storage.blob import BlobServiceClient

        o = self._options
        text = o.text()
        more: dict[str, Any] = {"connection_timeout": 10, "retry_total": 3}
        if text is not None:
            return BlobServiceClient.from_connection_string(text, **more)
        if o.account is None:
            raise self.no_account()
        credential: Any = o.account_key or o.sas_token
        if credential is None and not o.anon:
            from azure.identity import DefaultAzureCredential

            credential = DefaultAzureCredential()
        return BlobServiceClient(
            f"https://{o.account}.blob.core.windows.net", credential=credential, **more
        )

    def _blob(self, url: str) -> Any:
        container, key = split(self.path(url))
        return self._clients.get().get_blob_client(container, key)

    def location(self, url: str) -> Location:
        """Where the account lies, as the option ``region`` has it: the service does not tell."""
        container, _ = split(self.path(url))
        with self.errors(url):
            if not self._clients.get().get_container_client(container).exists():
                raise NotInStore(f"The container of {url} does not exist.", fix="Create it.")
        return Location("azure", self._options.region or "")

    def price(self, url: str) -> StorePrice:
        self.path(url)
        found = _PRICES.get(self._options.region or "") or min(_PRICES.values())
        return StorePrice(*found, _SOURCE, _AS_OF)

    def version(self, url: str) -> str:
        """The object's ETag."""
        with self.errors(url):
            return str(self._blob(url).get_blob_properties().etag)

    def put_if_match(self, url: str, data: bytes, version: str) -> bool:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        with self.errors(url):
            try:
                self._blob(url).upload_blob(
                    data,
                    overwrite=True,
                    etag=version,
                    match_condition=MatchConditions.IfNotModified,
                )
            except (ResourceModifiedError, ResourceNotFoundError):
                return False
        return True

    def buckets(self) -> Sequence[Bucket]:
        with self.errors("az://"):
            found = list(self._clients.get().list_containers(include_metadata=True))
        region = self._options.region or ""
        return [
            Bucket(f"az://{one.name}", region, one.last_modified.timestamp(), one.metadata or {})
            for one in found
        ]

    def create_bucket(self, name: str, region: str, labels: Mapping[str, str]) -> Bucket:
        from azure.core.exceptions import ResourceExistsError

        checked_name(name, self.name_problem(name))
        here = self._options.region or ""
        if region and region != here:
            raise StorageError(
                f"A container lies where its account lies, and that is {here or 'not known'}.",
                fix=f"Name an account in {region}, and its region in the store's options.",
            )
        with self.errors(f"az://{name}"):
            client = self._clients.get().get_container_client(name)
            try:
                client.create_container(metadata=dict(labels) or None)
            except ResourceExistsError:
                if labels:
                    client.set_container_metadata(dict(labels))
        return Bucket(f"az://{name}", here, None, dict(labels))

    def delete_bucket(self, name: str, *, force: bool = False) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        with self.errors(f"az://{name}"):
            client = self._clients.get().get_container_client(name)
            try:
                # The service deletes full containers too.
                if not force and next(iter(client.list_blobs(results_per_page=1)), None):
                    raise StorageError(
                        f"az://{name} is not empty.",
                        fix="Delete what is in it first, or force the deletion.",
                    )
                client.delete_container()
            except ResourceNotFoundError:
                return

    def name_problem(self, name: str) -> str:
        if "--" in name:
            return "it must not have two hyphens in a row"
        return bucket_problem(name, dots=False)

    def lend(self, url: str, *, write: bool, seconds: int) -> Access:
        """A shared access signature.

        It holds for the folder where the account has a hierarchical namespace, else for the whole
        container: the service knows nothing narrower. Made with the account's key, or with a key
        of the service for who is signed in.
        """
        o, client = self._options, self._clients.get()
        if o.sas_token or o.anon or (o.text() and not client.credential):
            raise Denied(
                f"{url}: a signature, or nobody, can lend no credentials.",
                fix="Use the account's key or sign in to Azure.",
            )
        container, key = split(self.path(url).rstrip("/"))
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        with self.errors(url):
            token = self._signed(container, key, "racwdl" if write else "rl", expires)
        folder = f"/{key}" if o.hierarchical and key else ""
        scope = f"{'read and write' if write else 'read'} in az://{container}{folder}"
        options = {"account": client.account_name, "sas_token": token}
        if o.endpoint_url:
            options["endpoint_url"] = o.endpoint_url
        env = {
            "AZURE_STORAGE_ACCOUNT_NAME": client.account_name,
            "AZURE_STORAGE_SAS_TOKEN": token,
        }
        return Access(env, options, expires.timestamp(), scope)

    def _signed(self, container: str, key: str, rights: str, expires: datetime) -> str:
        from azure.storage.blob import generate_blob_sas, generate_container_sas

        client = self._clients.get()
        account_key = getattr(client.credential, "account_key", None)
        more: dict[str, Any] = {"account_key": account_key}
        if account_key is None:
            start = datetime.now(UTC) - timedelta(minutes=5)
            more = {"user_delegation_key": client.get_user_delegation_key(start, expires)}
        more |= {"permission": rights, "expiry": expires}
        if self._options.hierarchical and key:
            return str(
                generate_blob_sas(client.account_name, container, key, is_directory=True, **more)
            )
        return str(generate_container_sas(client.account_name, container, **more))

    def sign(self, url: str, *, seconds: int) -> Signed | None:
        """A GET of the blob: by the account's key, or that of who is signed in."""
        o, client = self._options, self._clients.get()
        with self.errors(url):
            blob = self._blob(url)
            if o.anon:
                return Signed(str(blob.url))
            if o.sas_token or (o.text() and not client.credential):
                return None
            from azure.storage.blob import generate_blob_sas

            expires = datetime.now(UTC) + timedelta(seconds=seconds)
            names = (client.account_name, blob.container_name, blob.blob_name)
            token = generate_blob_sas(*names, permission="r", expiry=expires, **self._key(expires))
        return Signed(f"{blob.url}?{token}")

    def _key(self, expires: datetime) -> dict[str, Any]:
        """What signatures are made with; a key of the service's is asked for once an hour."""
        client = self._clients.get()
        account_key = getattr(client.credential, "account_key", None)
        if account_key is not None:
            return {"account_key": account_key}
        kept = self._delegated
        if kept is None or kept[1] < expires:
            now = datetime.now(UTC)
            end = max(expires, now + timedelta(hours=2))
            kept = client.get_user_delegation_key(now - timedelta(minutes=5), end), end
            self._delegated = kept
        return {"user_delegation_key": kept[0]}

    def own_access(self, url: str) -> Access:
        """The account's key or signature; a login of Azure's cannot be given away."""
        o, client = self._options, self._clients.get()
        key = getattr(client.credential, "account_key", None)
        if key is None and not o.sas_token:
            raise Denied(
                f"{url}: there is no key of the account to give to a node.",
                fix="Set AZURE_STORAGE_ACCOUNT_KEY, or sign in with a right to lend.",
            )
        name, value = ("account_key", key) if key else ("sas_token", str(o.sas_token))
        env = {
            "AZURE_STORAGE_ACCOUNT": client.account_name,
            f"AZURE_STORAGE_{'ACCESS_KEY' if key else 'SAS_TOKEN'}": value,
        }
        options = {"account": client.account_name, name: value}
        return Access(env, options, None, "all that the account's key may do")

    def mount_plan(self, url: str, *, write: bool) -> MountPlan:
        """For rclone and blobfuse2, which find their credentials in the environment."""
        client = self._clients.get()
        path = self.path(url).rstrip("/")
        container, key = split(path)
        rclone = {"type": "azureblob", "env_auth": "true", "account": client.account_name}
        endpoint = str(client.url).partition("?")[0].rstrip("/")
        if endpoint != f"https://{client.account_name}.blob.core.windows.net":
            rclone["endpoint"] = endpoint
        blobfuse = [f"--container-name={container}"]
        if key:
            blobfuse.append(f"--subdirectory={key}/")
        if not write:
            blobfuse.append("--read-only")
        return MountPlan(rclone, path, {"blobfuse2": blobfuse})

    def copy(self, source: str, target: str) -> bool:
        """Within the account."""
        try:
            original, blob = self._blob(source), self._blob(target)
        except StorageError:
            return False
        with self.errors(source):
            original.get_blob_properties()
        with self.errors(target):
            status = blob.start_copy_from_url(original.url)["copy_status"]
            end = time.monotonic() + _COPY_SECONDS
            while status == "pending" and time.monotonic() < end:
                time.sleep(_POLL)
                status = blob.get_blob_properties().copy.status
        if status != "success":
            raise StorageError(f"{source} was not copied: {status}.", fix="Try again.")
        return True
