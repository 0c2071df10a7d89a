"""Finding a store by the scheme of a URL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stix.storage.base import NotInStore, StorageError
from stix.storage.registry import join, open_store, schemes
from stix.storage.stores.local import LocalStore
from stix.storage.stores.s3 import S3Store


def test_stores_come_from_entry_points() -> None:
    assert {"file", "s3"} <= set(schemes())
    assert isinstance(open_store("file:///tmp/x"), LocalStore)
    assert isinstance(open_store("/tmp/x", endpoint_url=None), LocalStore)
    assert isinstance(open_store("S3://bucket", endpoint_url="http://127.0.0.1:1"), S3Store)


@pytest.mark.parametrize(("url", "near"), [("s4://b/k", "s3://"), ("fil:///x", "file://")])
def test_an_unknown_scheme_names_the_nearest(url: str, near: str) -> None:
    with pytest.raises(StorageError) as caught:
        open_store(url)
    assert near in caught.value.fix


def test_no_scheme_and_wrong_options() -> None:
    with pytest.raises(StorageError, match="no scheme"):
        open_store("bucket/key")
    with pytest.raises(StorageError, match="secrte") as caught:
        open_store("s3://bucket", secrte="hidden-value")
    assert "hidden-value" not in str(caught.value)


def test_join() -> None:
    assert join("s3://b/", "a", "c") == "s3://b/a/c"
    assert join("/tmp/a b", "c") == "file:///tmp/a%20b/c"


@pytest.mark.parametrize("url", ["file://host/x", "file:relative", "file://", "s3://b/k"])
def test_what_is_no_local_file(url: str) -> None:
    with pytest.raises(StorageError):
        LocalStore().path(url)


def test_local_paths() -> None:
    for text in ("/tmp/a b/ü%41?#x", "/tmp/plain", "/tmp/\udcff"):
        assert LocalStore().path(Path(text).as_uri()) == text
    assert LocalStore().path("file://localhost/tmp/x") == "/tmp/x"


@pytest.mark.parametrize("url", ["s3://", "s3:///key", "s3://KEYID:hidden-value@bucket/key"])
def test_what_is_no_s3_url(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        S3Store().path(url)
    assert "hidden-value" not in str(caught.value)


def test_a_server_that_is_not_there() -> None:
    options = {"endpoint_url": "http://127.0.0.1:1", "key": "k", "secret": "hidden-value"}
    with pytest.raises(StorageError, match="EndpointConnectionError") as caught:
        open_store("s3://bucket", **options).put("s3://bucket/key", b"x")
    assert "hidden-value" not in str(caught.value)


def test_a_full_or_closed_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="Not a directory"):
        LocalStore().put((tmp_path / "file" / "below").as_uri(), b"x")
    with (
        pytest.raises(StorageError, match="No space left"),
        LocalStore().errors("file:///dev/full"),
        Path("/dev/full").open("wb") as full,
    ):
        full.write(b"x")
    with pytest.raises(NotInStore), LocalStore().errors("file:///nowhere/x"):
        LocalStore().filesystem().cat_file("/nowhere/x")


def test_opening_loads_no_sdk() -> None:
    code = "import sys; from stix.storage.artifacts import ArtifactStore; ArtifactStore('/tmp/x');"
    code += "from stix.storage.registry import open_store; open_store('s3://b');"
    code += "print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"s3fs", "fsspec", "boto3", "botocore", "aiobotocore", "aiohttp", "prefect"}
    assert not heavy & set(done.stdout.split())
