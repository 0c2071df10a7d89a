"""Requests to an S3 store that somebody without credentials may send."""

from __future__ import annotations

import base64
import hashlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from stix.storage.base import Signed
from stix.storage.stores.common import split

if TYPE_CHECKING:
    from stix.storage.stores.s3 import S3Options

_PROBE_S = 10.0
_SAID, _SENT = b"what was signed", b"what was sent!!"


class S3Signing:
    """The abilities ``CanSign`` and ``CanSignPut``."""

    _options: S3Options
    _checking: dict[str, bool]

    if TYPE_CHECKING:

        def path(self, url: str) -> str: ...

        def errors(self, url: str) -> AbstractContextManager[None]: ...

        def _s3(self) -> Any: ...

    def sign(self, url: str, *, seconds: int) -> Signed | None:
        """A GET of the object, by the caller's own keys."""
        from botocore.auth import S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest

        with self.errors(url):
            place = self._plain(url)
            if self._options.anon:
                return Signed(place)
            s3 = self._s3()
            request: Any = AWSRequest("GET", place)
            auth: Any = S3SigV4QueryAuth(_keys(s3), "s3", s3.meta.region_name, expires=seconds)
            auth.add_auth(request)
            return Signed(str(request.url))

    def sign_put(self, url: str, *, sha256: str) -> Signed | None:
        """A PUT of bytes with this digest, good for some minutes.

        None where the server takes other bytes, too: it is asked once for each bucket.
        """
        if self._options.anon:
            return None
        bucket, _ = split(self.path(url))
        if bucket not in self._checking:
            self._checking[bucket] = self._probe(f"{url}.probe")
        return self._put_of(url, sha256) if self._checking[bucket] else None

    def _put_of(self, url: str, sha256: str) -> Signed:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        with self.errors(url):
            s3 = self._s3()
            # Either header makes a server refuse other bytes; few look at both.
            proof = base64.b64encode(bytes.fromhex(sha256)).decode()
            headers = {"x-amz-checksum-sha256": proof}
            request: Any = AWSRequest("PUT", self._plain(url), headers=headers)
            auth: Any = S3SigV4Auth(_keys(s3), "s3", s3.meta.region_name)
            auth.payload = lambda request: sha256  # in place of the digest of a body in hand
            auth.add_auth(request)
        return Signed(str(request.url), dict(request.headers.items()))

    def _probe(self, url: str) -> bool:
        """Whether the server refuses bytes that do not have the digest that was signed."""
        import urllib.error
        import urllib.request

        signed = self._put_of(url, hashlib.sha256(_SAID).hexdigest())
        request = urllib.request.Request(
            signed.url, data=_SENT, headers=dict(signed.headers), method="PUT"
        )
        try:
            urllib.request.urlopen(request, timeout=_PROBE_S).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return 400 <= answer.code < 500
        except OSError:
            return False
        bucket, key = split(self.path(url))
        with self.errors(url):
            self._s3().delete_object(Bucket=bucket, Key=key)
        return False

    def _plain(self, url: str) -> str:
        """The object's address at its server."""
        bucket, key = split(self.path(url))
        signed = self._s3().generate_presigned_url("get_object", {"Bucket": bucket, "Key": key})
        return str(signed).partition("?")[0]


def _keys(s3: Any) -> Any:
    """Those that the client signs with, which it renews."""
    return s3._request_signer._credentials.get_frozen_credentials()
