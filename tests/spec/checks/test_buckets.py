"""Addresses and names of buckets."""

from __future__ import annotations

import pytest

from stix.spec.checks.buckets import Address, NoAddress, address, name_problem


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("s3://b", Address("S3", "b")),
        ("s3://b/", Address("S3", "b")),
        ("S3://b/x/y", Address("S3", "b", "x/y")),
        ("gs://b/x", Address("GCS", "b", "x")),
        ("r2://b", Address("R2", "b")),
        ("nebius://b", Address("NEBIUS", "b")),
        ("cw://b", Address("COREWEAVE", "b")),
        ("vastdata://b", Address("VASTDATA", "b")),
        ("https://acc0.blob.core.windows.net/c/x/y", Address("AZURE", "c", "x/y")),
        ("cos://us-east/b/x", Address("IBM", "b", "x")),
        ("oci://b@us-sanjose-1/x", Address("OCI", "b", "x")),
        ("oci://b", Address("OCI", "b")),
        ("hf://buckets/me/b/x", Address("HF", "me/b", "x")),
        ("hf://me/model@main/x", Address("HF", "me/model", "x")),
        ("hf://datasets/me/d", Address("HF", "me/d")),
    ],
)
def test_addresses(url: str, wanted: Address) -> None:
    assert address(url) == wanted


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("gcs://b", "did you mean gs://?"),
        ("s3a://b", "did you mean s3://?"),
        ("nebios://b", "did you mean nebius://?"),
        ("az://b", "https://ACCOUNT.blob.core.windows.net/CONTAINER"),
        ("http://host/x", "fetch it in setup"),
        ("https://host/x", "fetch it in setup"),
        ("dropbox://b", "use one of: s3://"),
        ("cos://b", "cos://REGION/BUCKET"),
        ("oci://b@here", "oci://BUCKET@REGION"),
        ("hf://gpt2", "hf://OWNER/MODEL"),
    ],
)
def test_no_addresses(url: str, fix: str) -> None:
    with pytest.raises(NoAddress) as caught:
        address(url)
    assert fix in caught.value.fix


NAMES = {
    "S3": (
        "abc a.b-c 123 " + "a" * 63,
        "ab Abc a_b -ab ab- a..b 1.2.3.4 xn--ab ab-s3alias ab--ol-s3 " + "a" * 64,
    ),
    "GCS": (
        "abc a_b a.b-c " + "a" * 63,
        "ab Abc _ab goog-x my-google-x g00gle1 a..b a.-b a-.b 1.2.3.4 " + "a" * 64,
    ),
    "AZURE": ("abc a-b 1-2", "ab a.b a--b -ab A-b"),
    "IBM": ("abc a.b a-b", "ab a--b a..b a.-b a-.b 1.2.3.4 a_b"),
    "OCI": ("a A_b.c-D " + "a" * 256, "a/b " + "a" * 257),
    "HF": ("me/b Me/B.c-1_2", "b me/ /b a/b/c .a/b -a/b"),
    "R2": ("abc", "ab"),
}


@pytest.mark.parametrize("store", NAMES)
def test_names(store: str) -> None:
    good, wrong = NAMES[store]
    for name in good.split():
        assert name_problem(store, name) is None, name
    for name in wrong.split():
        assert name_problem(store, name), name


def test_a_name_that_some_store_takes() -> None:
    for name in ("a", "A_b", "me/b", "my.bucket"):
        assert name_problem(None, name) is None
    for name in ("a b", "", "a/b/c", "ä"):
        assert name_problem(None, name)
