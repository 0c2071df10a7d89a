"""Which prefix of a bucket an entry of ``file_mounts`` means."""

from __future__ import annotations

from stix.spec.storage import StorageMount, is_url

STORE = "S3"
"""The store of a bucket of ours where neither the entry nor the server's settings name one."""
REGION = "us-east"
"""The region of a bucket at IBM, whose URLs name one, where nothing else is said."""
SCHEMES = {
    "S3": "s3",
    "GCS": "gs",
    "AZURE": "az",
    "R2": "r2",
    "IBM": "cos",
    "OCI": "oci",
    "NEBIUS": "nebius",
    "COREWEAVE": "cw",
    "VASTDATA": "vastdata",
    "HF": "hf",
}
"""Word of ``store`` to the scheme of its store."""


def mount_url(mount: StorageMount, region: str = REGION) -> str:
    """The URL of the prefix that ``mount`` mounts, or that its copy is made of.

    A source that is a URL stands as it is; any other entry means the bucket called ``name``. Both
    with ``_bucket_sub_path`` below. Without ``store`` the bucket is one of S3; the server fills in
    its own default before a stage begins.

    Args:
        mount: An entry whose variables have their values.
        region: Of a bucket at IBM, whose URLs name it.

    Raises:
        ValueError: The entry names no bucket: it copies a local path, or is a disk.
    """
    source = mount.source
    if isinstance(source, str) and is_url(source):
        return _below(source, mount)
    if not mount.name:
        raise ValueError("the entry names no bucket")
    return _below(bucket_url(mount.store or STORE, mount.name, region), mount)


def bucket_url(store: str, name: str, region: str = REGION) -> str:
    """The URL of a bucket.

    Raises:
        ValueError: The word is no store of buckets.
    """
    scheme = SCHEMES.get(store)
    if scheme is None:
        raise ValueError(f"{store} is no store of buckets")
    place = {"cos": f"{region}/", "hf": "buckets/"}.get(scheme, "")
    return f"{scheme}://{place}{name}"


def is_written(mount: StorageMount) -> bool:
    """Whether the commands of a stage may change what they see through an entry."""
    if mount.mode in ("COPY", "STREAM"):
        return False
    asked = () if mount.config is None else (mount.config.mount, mount.config.mount_cached)
    return not any(one is not None and one.read_only for one in asked)


def _below(url: str, mount: StorageMount) -> str:
    part = (mount.bucket_sub_path or "").strip("/")
    return f"{url.rstrip('/')}/{part}" if part else url
