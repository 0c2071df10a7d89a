"""Large objects and many objects in S3: parts by boto3, everything else by obstore."""

from __future__ import annotations

import base64
import configparser
import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stix.storage.base import NotInStore, Part
from stix.storage.stores.common import split

if TYPE_CHECKING:
    from stix.storage.stores.s3 import S3Options

_DEFAULT_REGION = "us-east-1"


class S3Bulk:
    """`HasBulk` and `HasParts` for S3 and its kin."""

    _options: S3Options

    if TYPE_CHECKING:

        def path(self, url: str) -> str: ...

        def errors(self, url: str) -> AbstractContextManager[None]: ...

        def _s3(self) -> Any: ...

    def bulk(self, url: str) -> tuple[Any, str] | None:
        from obstore.store import S3Store as Client

        bucket, key = split(self.path(url))
        options = self._options
        config: dict[str, Any] = {"skip_signature": True} if options.anon else {}
        endpoint, region = options.endpoint_url, options.region
        provider = None
        if options.key:
            config |= {"access_key_id": options.key, "secret_access_key": options.secret}
            config |= {"session_token": options.token} if options.token else {}
        if not options.anon and (not options.key or not (endpoint and region)):
            found = _chain(options, bool(options.key))
            provider, endpoint, region = found[0], endpoint or found[1], region or found[2]
        virtual = options.addressing_style == "virtual" or not endpoint
        if endpoint:
            host = endpoint.rstrip("/")
            if virtual:
                scheme, _, rest = host.partition("://")
                host = f"{scheme}://{bucket}.{rest}"
            config["endpoint"] = host
        config |= {"virtual_hosted_style_request": virtual, "region": region or _DEFAULT_REGION}
        client = Client(
            bucket,
            config=cast("Any", config),
            credential_provider=provider,
            client_options={
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
                "connect_timeout": "10s",
                "timeout": "300s",
                "read_timeout": "60s",
            },
            retry_config={"max_retries": 4},
        )
        return client, key

    def begin_parts(self, url: str, identity: str) -> str:
        bucket, key = split(self.path(url))
        with self.errors(url):
            answer = self._s3().create_multipart_upload(Bucket=bucket, Key=key)
        return str(answer["UploadId"])

    def list_parts(self, url: str, upload: str) -> Mapping[int, Part]:
        bucket, key = split(self.path(url))
        found = {}
        with self.errors(url):
            pages = self._s3().get_paginator("list_parts")
            for page in pages.paginate(Bucket=bucket, Key=key, UploadId=upload):
                for one in page.get("Parts", ()):
                    found[one["PartNumber"] - 1] = Part(one["Size"], one["ETag"])
        return found

    def put_part(self, url: str, upload: str, number: int, data: bytes) -> Part:
        bucket, key = split(self.path(url))
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        with self.errors(url):
            answer = self._s3().upload_part(
                Bucket=bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number + 1,
                Body=data,
                ContentMD5=base64.b64encode(digest).decode(),
            )
        return Part(len(data), answer["ETag"])

    def finish_parts(self, url: str, upload: str, parts: Sequence[Part]) -> None:
        bucket, key = split(self.path(url))
        named = [{"PartNumber": n + 1, "ETag": part.tag} for n, part in enumerate(parts)]
        with self.errors(url):
            self._s3().complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": named}
            )

    def abort_parts(self, url: str, upload: str) -> None:
        bucket, key = split(self.path(url))
        with suppress(NotInStore), self.errors(url):
            self._s3().abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)


def _chain(options: S3Options, keyed: bool) -> tuple[Any, str | None, str | None]:
    """Credentials, endpoint and region as boto3 finds them.

    Where the environment says all of it, boto3 is not loaded: that takes as long as copying a
    thousand small files.
    """
    env = os.environ
    endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL")
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    plain = not options.profile and not env.get("AWS_PROFILE") and not _has_config()
    if plain and (keyed or (env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"))):
        return (None if keyed else _from_environment), endpoint, region
    import boto3

    session = boto3.Session(profile_name=options.profile)
    client = session.client(
        "s3", region_name=options.region or session.region_name or _DEFAULT_REGION
    )
    told = client.meta.endpoint_url
    endpoint = None if told.endswith((".amazonaws.com", ".amazonaws.com.cn")) else told
    if keyed:
        return None, endpoint, client.meta.region_name
    found = session.get_credentials()

    def provide() -> dict[str, Any]:
        frozen = found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": getattr(found, "_expiry_time", None),
        }

    return (provide if found is not None else None), endpoint, client.meta.region_name


def _from_environment() -> dict[str, Any]:
    return {
        "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "token": os.environ.get("AWS_SESSION_TOKEN"),
        "expires_at": None,
    }


def _has_config() -> bool:
    path = Path(os.environ.get("AWS_CONFIG_FILE") or Path.home() / ".aws" / "config")
    parser = configparser.ConfigParser()
    with suppress(configparser.Error, OSError):
        return bool(parser.read(path)) and bool(parser.sections())
    return True
