"""From an entry of ``file_mounts`` to the URL of a bucket's prefix."""

from __future__ import annotations

from typing import Any

import pytest

from stix.spec.buckets import SCHEMES, mount_url
from stix.spec.storage import DISK, STORES, StorageMount
from stix.storage.registry import schemes


def url_of(**fields: Any) -> str:
    return mount_url(StorageMount.model_validate(fields))


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("S3", "s3://pictures"),
        ("GCS", "gs://pictures"),
        ("AZURE", "az://pictures"),
        ("R2", "r2://pictures"),
        ("IBM", "cos://us-east/pictures"),
        ("OCI", "oci://pictures"),
        ("NEBIUS", "nebius://pictures"),
        ("COREWEAVE", "cw://pictures"),
        ("VASTDATA", "vastdata://pictures"),
        ("HF", "hf://buckets/pictures"),
        (None, "s3://pictures"),
    ],
)
def test_a_bucket_by_its_name(store: str | None, expected: str) -> None:
    assert url_of(name="pictures", store=store) == expected
    assert url_of(name="pictures", store=store, source="./local") == expected
    below = url_of(name="pictures", store=store, _bucket_sub_path="/a/b/")
    assert below == f"{expected}/a/b"


def test_every_store_of_buckets_has_a_scheme_of_ours() -> None:
    assert set(SCHEMES) == set(STORES) - {DISK.upper()}
    assert set(SCHEMES.values()) <= set(schemes())


def test_the_region_of_a_bucket_at_ibm() -> None:
    mount = StorageMount.model_validate({"name": "pictures", "store": "IBM"})
    assert mount_url(mount, "eu-de") == "cos://eu-de/pictures"


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "gs://bucket/part/",
        "https://account.blob.core.windows.net/container",
        "cos://eu-de/bucket",
        "hf://datasets/owner/name",
    ],
)
def test_a_url_stands_as_it_is(url: str) -> None:
    assert url_of(source=url) == url
    assert url_of(source=url, name="bucket") == url
    assert url_of(source=url, _bucket_sub_path="run/1") == f"{url.rstrip('/')}/run/1"
    assert mount_url(StorageMount.model_validate(url)) == url


@pytest.mark.parametrize(
    "fields",
    [{"source": "./local", "mode": "COPY"}, {"source": ["./a", "./b"]}, {"store": "S3"}],
)
def test_an_entry_without_a_bucket(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="names no bucket"):
        url_of(**fields)


def test_a_disk_is_no_bucket() -> None:
    with pytest.raises(ValueError, match="no store of buckets"):
        url_of(name="disk", store=DISK)
