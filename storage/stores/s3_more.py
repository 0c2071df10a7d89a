"""What an S3 store can do beside objects: places, prices, conditions, buckets, lending, mounts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from stix.storage.base import (
    Access,
    Bucket,
    Denied,
    Location,
    MountPlan,
    StorageError,
    StorePrice,
)
from stix.storage.stores.common import PerProcess, below, bucket_problem, checked_name, split

if TYPE_CHECKING:
    from stix.storage.stores.s3 import S3Options

_OWNED = {"BucketAlreadyOwnedByYou"}
_TAKEN = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404"}
_DEFAULT_REGION = "us-east-1"  # what AWS calls a location without a name
_SHORTEST = 900  # seconds; less is refused by the token service
_COPY_LIMIT = 5 * 2**30  # bytes of one copy by the server

# USD: GiB month of Standard (first tier), 1,000 writes, 1,000 reads.
_PRICES = {
    "us-east-1": (0.023, 0.005, 0.0004),
    "us-east-2": (0.023, 0.005, 0.0004),
    "us-west-1": (0.026, 0.0055, 0.00044),
    "us-west-2": (0.023, 0.005, 0.0004),
    "ca-central-1": (0.025, 0.0055, 0.00044),
    "eu-west-1": (0.023, 0.005, 0.0004),
    "eu-west-2": (0.024, 0.0053, 0.00042),
    "eu-west-3": (0.024, 0.0053, 0.00042),
    "eu-north-1": (0.023, 0.005, 0.0004),
    "eu-central-1": (0.0245, 0.0054, 0.00043),
    "ap-south-1": (0.025, 0.005, 0.0004),
    "ap-northeast-1": (0.025, 0.0047, 0.00037),
    "ap-northeast-2": (0.025, 0.0045, 0.00035),
    "ap-southeast-1": (0.025, 0.005, 0.0004),
    "ap-southeast-2": (0.025, 0.0055, 0.00044),
    "sa-east-1": (0.0405, 0.007, 0.00056),
}


class Clients(NamedTuple):
    """boto3's clients, which threads may share."""

    s3: Any
    sts: Any


class S3Abilities:
    """The optional abilities; `S3Store` is the store itself."""

    scheme: ClassVar[str]
    cloud: ClassVar[str] = "aws"
    provider: ClassVar[str] = "AWS"
    """What rclone calls the kind of server."""
    placed: ClassVar[bool] = True
    """Whether a bucket is made in a region by naming it as its location."""
    prices: ClassVar[Mapping[str, tuple[float, float, float]]] = _PRICES
    price_source: ClassVar[str] = "an estimate of AWS's Standard class, not read from a list"
    price_as_of: ClassVar[str] = "2026-11"
    denied_fix: ClassVar[str]
    _options: S3Options
    _clients: PerProcess[Clients]

    if TYPE_CHECKING:

        def path(self, url: str) -> str: ...

        def errors(self, url: str) -> AbstractContextManager[None]: ...

    def make_clients(self) -> Clients:
        from botocore import UNSIGNED
        from botocore.config import Config

        o = self._options
        session = self._session()
        config = Config(**o.config(), **({"signature_version": UNSIGNED} if o.anon else {}))
        region = o.region or session.region_name or _DEFAULT_REGION
        return Clients(
            session.client("s3", endpoint_url=o.endpoint_url, config=config, region_name=region),
            session.client("sts", endpoint_url=o.endpoint_url, config=config, region_name=region),
        )

    def _session(self) -> Any:
        import boto3

        o = self._options
        return boto3.Session(
            aws_access_key_id=o.key,
            aws_secret_access_key=o.secret,
            aws_session_token=o.token,
            region_name=o.region,
            profile_name=o.profile,
        )

    def _s3(self) -> Any:
        return self._clients.get().s3

    def _endpoint(self) -> str | None:
        """The server where it is not AWS; the usual chain may name it, too."""
        told = self._options.endpoint_url or str(self._s3().meta.endpoint_url)
        return None if told.rstrip("/").endswith(".amazonaws.com") else told

    def _url(self, bucket: str, key: str = "") -> str:
        return f"{self.scheme}://{bucket}" + (f"/{key}" if key else "")

    def location(self, url: str) -> Location:
        """Where the bucket lies, asked of the server.

        Raises:
            NotInStore: There is no such bucket.
        """
        bucket, _ = split(self.path(url))
        with self.errors(url):
            answer = self._s3().get_bucket_location(Bucket=bucket)
        told = str(answer.get("LocationConstraint") or "")
        home = _DEFAULT_REGION if self.cloud == "aws" else ""
        return Location(self.cloud, told or self._options.region or home)

    def price(self, url: str) -> StorePrice:
        """The list price in the bucket's region, or in the cheapest one where it is not known.

        Raises:
            StorageError: The provider's prices are not known.
        """
        if not self.prices:
            raise StorageError(
                f"What {self.scheme}:// costs is not known.", fix="Look at the provider's list."
            )
        month, put, get = self.prices.get(self._region(url)) or min(self.prices.values())
        return StorePrice(month, put, get, self.price_source, self.price_as_of)

    def _region(self, url: str) -> str:
        if len(self.prices) == 1:
            return ""
        try:
            return self.location(url).region
        except Denied:  # one may read a bucket without the right to ask where it is
            return self._options.region or ""

    def version(self, url: str) -> str:
        """The object's ETag."""
        bucket, key = split(self.path(url))
        with self.errors(url):
            return str(self._s3().head_object(Bucket=bucket, Key=key)["ETag"])

    def put_if_match(self, url: str, data: bytes, version: str) -> bool:
        """Replace the object; False where its ETag is another one, or it is gone."""
        from botocore.exceptions import ClientError

        bucket, key = split(self.path(url))
        with self.errors(url):
            try:
                self._s3().put_object(Bucket=bucket, Key=key, Body=data, IfMatch=version)
            except ClientError as error:
                if error.response["Error"]["Code"] in _TAKEN:
                    return False
                raise
        return True

    def buckets(self) -> Sequence[Bucket]:
        with self.errors(f"{self.scheme}://"):
            answer = self._s3().list_buckets()
        return [
            Bucket(
                self._url(one["Name"]),
                str(one.get("BucketRegion") or ""),
                one["CreationDate"].timestamp() if one.get("CreationDate") else None,
            )
            for one in answer.get("Buckets", ())
        ]

    def create_bucket(self, name: str, region: str, labels: Mapping[str, str]) -> Bucket:
        from botocore.exceptions import ClientError

        checked_name(name, self.name_problem(name))
        more: dict[str, Any] = {}
        if self.placed and region and region != _DEFAULT_REGION:
            more["CreateBucketConfiguration"] = {"LocationConstraint": region}
        with self.errors(self._url(name)):
            try:
                self._s3().create_bucket(Bucket=name, **more)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _OWNED:
                    raise
            if labels:
                tags = [{"Key": word, "Value": value} for word, value in labels.items()]
                self._s3().put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
        return Bucket(self._url(name), region, None, dict(labels))

    def delete_bucket(self, name: str, *, force: bool = False) -> None:
        from botocore.exceptions import ClientError

        with self.errors(self._url(name)):
            try:
                if force:
                    self._empty(name)
                self._s3().delete_bucket(Bucket=name)
            except ClientError as error:
                if error.response["Error"]["Code"] not in {"NoSuchBucket", "404"}:
                    raise

    def _empty(self, bucket: str) -> None:
        """Delete every object and every upload that was never completed."""
        s3 = self._s3()
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            if keys:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            keys = [{"Key": one["Key"]} for one in page.get("Contents", ())]
            if keys:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for one in page.get("Uploads", ()):
                s3.abort_multipart_upload(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])

    def name_problem(self, name: str) -> str:
        if name.startswith(("xn--", "sthree-")) or name.endswith(("-s3alias", "--ol-s3")):
            return "it begins or ends with a word that the provider keeps for itself"
        return bucket_problem(name)

    def lend(self, url: str, *, write: bool, seconds: int) -> Access:
        """Keys of the token service, narrowed to the prefix.

        With the option ``role``, that role is taken; else the caller's own user is, which the
        service allows to users alone. They last at least 15 minutes.

        Raises:
            StorageError: The server has no token service, or refuses.
        """
        bucket, key = split(self.path(url))
        if self._options.anon:
            raise Denied(f"{url}: who has no credentials can lend none.", fix="Sign in.")
        policy = json.dumps(session_policy(bucket, below(key), write=write))
        sts = self._clients.get().sts
        asked = {"Policy": policy, "DurationSeconds": max(seconds, _SHORTEST)}
        try:
            with self.errors(url):
                if self._options.role:
                    answer = sts.assume_role(
                        RoleArn=self._options.role, RoleSessionName="stix", **asked
                    )
                else:
                    answer = sts.get_federation_token(Name="stix", **asked)
        except StorageError as error:
            raise type(error)(
                f"Credentials for {url} cannot be lent: {error.message}",
                fix="Set the option role to a role that may be assumed and reads the bucket.",
            ) from None
        return self._access(answer["Credentials"], url, write)

    def _access(self, given: Mapping[str, Any], url: str, write: bool) -> Access:
        o = self._options
        options = {
            "key": given["AccessKeyId"],
            "secret": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "endpoint_url": o.endpoint_url,
            "region": o.region,
            "addressing_style": o.addressing_style,
        }
        env = {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
            "AWS_ENDPOINT_URL_S3": o.endpoint_url,
            "AWS_REGION": o.region,
        }
        return Access(
            {name: str(value) for name, value in env.items() if value},
            {name: str(value) for name, value in options.items() if value},
            given["Expiration"].timestamp(),
            f"{'read and write' if write else 'read'} below {url}",
        )

    def own_access(self, url: str) -> Access:
        """The keys that this store itself signs with."""
        found = None if self._options.anon else self._session().get_credentials()
        if found is None:
            raise Denied(f"{url}: there are no credentials to give to a node.", fix="Sign in.")
        now = found.get_frozen_credentials()
        given = {"key": now.access_key, "secret": now.secret_key, "token": now.token}
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        end = getattr(found, "_expiry_time", None)
        return Access(
            {name: value for name, value in zip(names, given.values(), strict=True) if value},
            {name: value for name, value in given.items() if value},
            end.timestamp() if end is not None else None,
            "all that the account may do",
        )

    def mount_plan(self, url: str, *, write: bool) -> MountPlan:
        """For rclone, s3fs and goofys, which find their credentials in the environment."""
        o, endpoint = self._options, self._endpoint()
        bucket, key = split(self.path(url).rstrip("/"))
        kind = "Other" if endpoint and self.provider == "AWS" else self.provider
        rclone = {"type": "s3", "provider": kind, "env_auth": "true"}
        s3fs = [f"{bucket}:/{key}" if key else bucket]
        goofys = [f"{bucket}:{key}" if key else bucket]
        if endpoint:
            rclone["endpoint"] = endpoint
            s3fs += ["-o", f"url={endpoint}", "-o", "use_path_request_style"]
            goofys += ["--endpoint", endpoint]
        region = o.region or self._session().region_name
        if region:
            rclone["region"] = region
            s3fs += ["-o", f"endpoint={region}"]
            goofys += ["--region", region]
        rclone["force_path_style"] = "false" if o.addressing_style == "virtual" else "true"
        if not write:
            s3fs += ["-o", "ro"]
            goofys += ["-o", "ro"]
        path = f"{bucket}/{key}" if key else bucket
        return MountPlan(rclone, path, {"s3fs": s3fs, "goofys": goofys})

    def copy(self, source: str, target: str) -> bool:
        """Within one server, also between buckets."""
        try:
            from_bucket, from_key = split(self.path(source))
            to_bucket, to_key = split(self.path(target))
        except StorageError:
            return False
        s3 = self._s3()
        with self.errors(source):
            size = int(s3.head_object(Bucket=from_bucket, Key=from_key)["ContentLength"])
        place = {"Bucket": from_bucket, "Key": from_key}
        with self.errors(target):
            if size < _COPY_LIMIT:
                s3.copy_object(Bucket=to_bucket, Key=to_key, CopySource=place)
            else:
                s3.copy(place, to_bucket, to_key)
        return True


def session_policy(bucket: str, prefix: str, *, write: bool) -> dict[str, Any]:
    """What a session may do: read, or read and write, below ``prefix`` and list it."""
    actions = ["s3:GetObject"]
    if write:
        actions += ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        actions += ["s3:ListMultipartUploadParts"]
    arn = f"arn:aws:s3:::{bucket}"
    listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [arn]}
    if prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [prefix.rstrip("/"), f"{prefix}*"]}}
    objects = {"Effect": "Allow", "Action": actions, "Resource": [f"{arn}/{prefix}*"]}
    return {"Version": "2012-10-17", "Statement": [objects, listing]}
