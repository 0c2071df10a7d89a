"""What the Google store can do beside objects."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stix.storage.base import (
    Access,
    Bucket,
    Denied,
    Location,
    MountPlan,
    Signed,
    StorageError,
    StorePrice,
)
from stix.storage.stores.common import PerProcess, below, bucket_problem, checked_name, split

if TYPE_CHECKING:
    from stix.storage.stores.gs import GsOptions

# USD: GiB month of Standard, 1,000 class A and B operations, in a region of that kind.
_REGION = (0.02, 0.005, 0.0004)
_MULTI = (0.026, 0.01, 0.0004)
_PRICES = {
    "us": _MULTI,
    "eu": _MULTI,
    "asia": _MULTI,
    "europe-west2": (0.023, 0.005, 0.0004),
    "europe-west3": (0.023, 0.005, 0.0004),
    "asia-northeast1": (0.023, 0.005, 0.0004),
    "southamerica-east1": (0.035, 0.005, 0.0004),
}
_SOURCE = (
    "cloud.google.com/storage/pricing for Standard in a region (USD 0.000027397 for a GiB hour); "
    "requests and other places are estimates"
)
_AS_OF = "2026-09-20"
_CONNECTIONS = 64
_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)


class GsAbilities:
    """The optional abilities; `GsStore` is the store itself."""

    _options: GsOptions
    _clients: PerProcess[Any]

    if TYPE_CHECKING:

        def path(self, url: str) -> str: ...

        def errors(self, url: str) -> AbstractContextManager[None]: ...

    def make_client(self) -> Any:
        from google.cloud.storage import Client
        from requests.adapters import HTTPAdapter

        o = self._options
        more: dict[str, Any] = {}
        if o.endpoint_url:
            more["client_options"] = {"api_endpoint": o.endpoint_url}
        if o.project or o.endpoint_url:
            more["project"] = o.project or "none"
        client = Client(credentials=o.credentials(), **more)
        # A copy has more threads than the ten connections that are kept by default.
        if not getattr(client._http, "is_mtls", False):
            adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
            for scheme in ("https://", "http://"):
                client._http.mount(scheme, adapter)
        return client

    def _client(self) -> Any:
        with self.errors("gs://"):
            return self._clients.get()

    def _blob(self, url: str) -> Any:
        bucket, key = split(self.path(url))
        return self._client().bucket(bucket).blob(key)

    def location(self, url: str) -> Location:
        """Where the bucket lies, asked of the service; in lower case."""
        bucket, _ = split(self.path(url))
        with self.errors(url):
            found = self._client().get_bucket(bucket)
        return Location("gcp", str(found.location or "").lower())

    def price(self, url: str) -> StorePrice:
        """By the bucket's region; those that are not listed cost what most do."""
        try:
            region = self.location(url).region
        except Denied:  # one may read a bucket without the right to ask where it is
            region = ""
        return StorePrice(*_PRICES.get(region, _REGION), _SOURCE, _AS_OF)

    def version(self, url: str) -> str:
        """The object's generation."""
        with self.errors(url):
            blob = self._blob(url)
            blob.reload()
        return str(blob.generation)

    def put_if_match(self, url: str, data: bytes, version: str) -> bool:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with self.errors(url):
            try:
                self._blob(url).upload_from_string(
                    data, if_generation_match=int(version), checksum="crc32c"
                )
            except (PreconditionFailed, NotFound):
                return False
        return True

    def buckets(self) -> Sequence[Bucket]:
        with self.errors("gs://"):
            found = list(self._client().list_buckets())
        return [
            Bucket(
                f"gs://{one.name}",
                str(one.location or "").lower(),
                one.time_created.timestamp() if one.time_created else None,
                dict(one.labels or {}),
            )
            for one in found
        ]

    def create_bucket(self, name: str, region: str, labels: Mapping[str, str]) -> Bucket:
        from google.api_core.exceptions import Conflict

        checked_name(name, self.name_problem(name))
        with self.errors(f"gs://{name}"):
            bucket = self._client().bucket(name)
            bucket.labels = dict(labels)
            bucket.iam_configuration.uniform_bucket_level_access_enabled = True
            try:
                self._client().create_bucket(bucket, location=region or None)
            except Conflict:
                self._client().get_bucket(name)  # refused where it is somebody else's
        return Bucket(f"gs://{name}", region, None, dict(labels))

    def delete_bucket(self, name: str, *, force: bool = False) -> None:
        from google.api_core.exceptions import Conflict, NotFound

        with self.errors(f"gs://{name}"):
            bucket = self._client().bucket(name)
            try:
                if force:
                    for blob in list(self._client().list_blobs(name, versions=True)):
                        self._drop(bucket, blob)
                bucket.delete()
            except NotFound:
                return
            except Conflict:
                raise StorageError(
                    f"gs://{name} is not empty.",
                    fix="Delete what is in it first, or force the deletion.",
                ) from None

    def _drop(self, bucket: Any, blob: Any) -> None:
        from google.api_core.exceptions import NotFound

        try:
            bucket.delete_blob(blob.name, generation=blob.generation)
        except NotFound:
            return

    def name_problem(self, name: str) -> str:
        if name.startswith("goog") or "google" in name:
            return "names with google are Google's own"
        return bucket_problem(name, underscores=True)

    def lend(self, url: str, *, write: bool, seconds: int) -> Access:
        """An access token of the caller's, bounded to the prefix. It lasts an hour at most.

        Raises:
            Denied: There are no credentials that could be bounded.
        """
        o = self._options
        if o.token == "anon" or o.access_token:
            raise Denied(
                f"{url}: who has a lent token, or none, can lend none.",
                fix="Sign in: gcloud auth application-default login.",
            )
        from google.auth.transport.requests import Request

        google = _auth()
        bucket, key = split(self.path(url))
        with self.errors(url):
            source = o.credentials() or google.default(scopes=_SCOPES)[0]
            if getattr(source, "requires_scopes", False):
                source = source.with_scopes(_SCOPES)
            bounded = google.downscoped
            rules = [
                bounded.AccessBoundaryRule(**one) for one in rules_of(bucket, key, write=write)
            ]
            lent = bounded.Credentials(source, bounded.CredentialAccessBoundary(rules=rules))
            lent.refresh(Request())
        expires = lent.expiry.timestamp() if lent.expiry else time.time() + min(seconds, 3600)
        token = str(lent.token)
        env = {"CLOUDSDK_AUTH_ACCESS_TOKEN": token, "RCLONE_GCS_ACCESS_TOKEN": token}
        scope = f"{'read and write' if write else 'read'} below {url}"
        return Access(env, {"access_token": token}, expires, scope)

    def sign(self, url: str, *, seconds: int) -> Signed | None:
        """A GET of the object, by the private key of a service account.

        None for other credentials: they cannot sign.
        """
        client, blob = self._client(), self._blob(url)
        base = str(client._connection.API_BASE_URL)
        if self._options.token == "anon":
            return Signed(f"{base}/{blob.bucket.name}/{quote(blob.name)}")
        from google.auth.credentials import Signing

        if not isinstance(client._credentials, Signing):
            return None
        with self.errors(url):
            return Signed(
                str(
                    blob.generate_signed_url(
                        version="v4", expiration=seconds, api_access_endpoint=base
                    )
                )
            )

    def own_access(self, url: str) -> Access:
        """The key of the service account where there is one, else a token of an hour."""
        o = self._options
        if o.token == "anon":
            env = {"RCLONE_GCS_ANONYMOUS": "true"}
            return Access(env, {"token": "anon"}, None, "what everybody may do")
        file = o.token or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        text = _service_key(file) if file and not o.access_token else ""
        if text:
            env = {"RCLONE_GCS_SERVICE_ACCOUNT_CREDENTIALS": text}
            return Access(env, {}, None, "all that the service account may do")
        from google.auth.transport.requests import Request

        with self.errors(url):
            found = o.credentials() or _auth().default(scopes=_SCOPES)[0]
            if not o.access_token:
                found.refresh(Request())
        end = found.expiry.replace(tzinfo=UTC).timestamp() if found.expiry else time.time() + 3600
        token = str(found.token)
        env = {"CLOUDSDK_AUTH_ACCESS_TOKEN": token, "RCLONE_GCS_ACCESS_TOKEN": token}
        return Access(env, {"access_token": token}, end, "all that the account may do")

    def mount_plan(self, url: str, *, write: bool) -> MountPlan:
        """For rclone and gcsfuse, which find their credentials in the environment."""
        path = self.path(url).rstrip("/")
        bucket, key = split(path)
        rclone = {"type": "google cloud storage", "env_auth": "true", "bucket_policy_only": "true"}
        gcsfuse = ["--implicit-dirs"]
        if self._options.endpoint_url:
            rclone["endpoint"] = self._options.endpoint_url
        if key:
            gcsfuse.append(f"--only-dir={key}")
        if not write:
            gcsfuse += ["-o", "ro"]
        return MountPlan(rclone, path, {"gcsfuse": [*gcsfuse, bucket]})

    def copy(self, source: str, target: str) -> bool:
        """By rewrites, also between buckets and regions."""
        try:
            original, blob = self._blob(source), self._blob(target)
        except StorageError:
            return False
        with self.errors(source):
            token, _, _ = blob.rewrite(original)
            while token is not None:
                token, _, _ = blob.rewrite(original, token=token)
        return True


def _service_key(file: str) -> str:
    """The text of a key file of a service account; empty where it is something else.

    Raises:
        Denied: It cannot be read.
    """
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8")
        return text if json.loads(text).get("type") == "service_account" else ""
    except (OSError, ValueError, AttributeError):
        # Without the cause: it quotes a file of credentials.
        raise Denied(f"{file} is no file of credentials.", fix="Correct the path.") from None


def _auth() -> Any:
    """google.auth, which has no types."""
    import google.auth
    import google.auth.downscoped

    return google.auth


def rules_of(bucket: str, key: str, *, write: bool) -> list[dict[str, Any]]:
    """What a bounded token may do: objects below the prefix, and listing them."""
    rights = ["inRole:roles/storage.objectViewer"]
    if write:
        rights.append("inRole:roles/storage.objectUser")
    rule: dict[str, Any] = {
        "available_resource": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
        "available_permissions": rights,
    }
    prefix = below(key)
    if prefix:
        if "'" in prefix or "\\" in prefix:
            raise StorageError(
                f"A token cannot be bounded to {prefix!r}: it has a quote or a backslash.",
                fix="Choose a prefix without them.",
            )
        names = f"resource.name.startsWith('projects/_/buckets/{bucket}/objects/{prefix}')"
        listing = "api.getAttribute('storage.googleapis.com/objectListPrefix', '')"
        rule["availability_condition"] = _auth().downscoped.AvailabilityCondition(
            f"{names} || {listing}.startsWith('{prefix}')"
        )
    return [rule]
