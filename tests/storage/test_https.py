"""The store of web servers and the one of the Hub, against a small server with TLS and ranges."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.storage.base import Denied, NotInStore, StorageError
from stix.storage.registry import open_store
from stix.storage.stores.hf import HfStore
from stix.storage.stores.https import HttpsStore
from tests.support.web import Web, serve

DATA = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with serve(tmp_path) as server:
        server.files["/data.bin"] = DATA
        yield server


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Web]:
    with serve(tmp_path, tls=False) as server:
        yield server


def https(web: Web) -> HttpsStore:
    return HttpsStore(ca_file=web.ca_file)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (0, 1), (5, 100), (-7, None), (2_999_990, 9_999_999)]
)
def test_ranges(web: Web, ranges: bool, start: int | None, end: int | None) -> None:
    web.ranges = ranges
    found = https(web).filesystem().cat_file(f"{web.url}/data.bin", start=start, end=end)
    assert found == DATA[start:end]


def test_a_range_moves_only_itself(web: Web) -> None:
    https(web).filesystem().cat_file(f"{web.url}/data.bin", start=10, end=20)
    assert web.asked == [("GET", "/data.bin", "bytes=10-19")]


def test_what_lies_behind_the_end_is_nothing(web: Web) -> None:
    filesystem = https(web).filesystem()
    assert filesystem.cat_file(f"{web.url}/data.bin", start=len(DATA), end=len(DATA) + 5) == b""


def test_info_version_and_streams(web: Web) -> None:
    store = https(web)
    info = store.filesystem().info(f"{web.url}/data.bin")
    assert (info["size"], info["type"]) == (len(DATA), "file")
    first = store.version(f"{web.url}/data.bin")
    with store.filesystem().open(f"{web.url}/data.bin", "rb") as file:
        file.seek(1000)
        assert file.read(50) == DATA[1000:1050]
    web.files["/data.bin"] = b"new"
    assert store.version(f"{web.url}/data.bin") != first


def test_refusals(web: Web) -> None:
    store = https(web)
    with pytest.raises(NotInStore), store.errors(f"{web.url}/nothing"):
        store.filesystem().info(f"{web.url}/nothing")
    web.token = "needed"
    url = f"{web.url}/data.bin?signature=hidden-value"
    with pytest.raises(Denied) as caught, store.errors(url):
        store.filesystem().cat_file(url)
    assert "hidden-value" not in str(caught.value)
    with pytest.raises(StorageError, match="read only"):
        store.put(f"{web.url}/x", b"x")
    with pytest.raises(StorageError, match="credentials"):
        store.path("https://user:hidden-value@host/x")


def test_an_unknown_certificate_is_refused(web: Web) -> None:
    store = open_store(f"{web.url}/data.bin")
    with pytest.raises(StorageError), store.errors(web.url):
        store.filesystem().cat_file(f"{web.url}/data.bin")


def fill(hub: Web) -> None:
    tree = "/api/datasets/org/set/tree/main"
    rows = [
        {"type": "file", "path": "a.txt", "size": 3, "oid": "1"},
        {"type": "directory", "path": "sub", "size": 0, "oid": "2"},
    ]
    more = [{"type": "file", "path": "sub/b c.bin", "size": 99, "oid": "3"}]
    more[0]["lfs"] = {"oid": "sha-b", "size": 5, "pointerSize": 99}
    hub.files |= {
        tree: json.dumps(rows).encode(),
        f"{tree}/sub": json.dumps(more).encode(),
        f"{tree}?recursive=true": json.dumps(rows).encode(),
        "/next": json.dumps(more).encode(),
        "/datasets/org/set/resolve/main/a.txt": b"abc",
        "/datasets/org/set/resolve/main/sub/b%20c.bin": b"12345",
    }
    hub.headers[f"{tree}?recursive=true"] = {"Link": f'<{hub.url}/next>; rel="next"'}


def test_the_hub_is_listed_by_pages_and_read(hub: Web) -> None:
    fill(hub)
    hub.token = "a-token"
    store = HfStore(endpoint=hub.url, token="a-token")
    path = store.path("hf://datasets/org/set")
    found = store.filesystem().find(path)
    assert [name.removeprefix(f"{path}/") for name in found] == ["a.txt", "sub/b c.bin"]
    assert store.filesystem().cat_file(f"{path}/sub/b c.bin", start=1, end=3) == b"23"
    assert store.version("hf://datasets/org/set/sub/b c.bin") == "sha-b"
    assert store.filesystem().info(f"{path}/sub/b c.bin")["size"] == 5
    assert store.filesystem().isdir(f"{path}/sub")


def test_the_hub_refuses_and_misses(hub: Web) -> None:
    fill(hub)
    store = HfStore(endpoint=hub.url, token="wrong-token")
    with pytest.raises(NotInStore), store.errors("hf://org/none"):
        store.filesystem().find(store.path("hf://org/none"))
    hub.token = "a-token"
    with pytest.raises(Denied) as caught, store.errors("hf://datasets/org/set"):
        store.filesystem().find(store.path("hf://datasets/org/set"))
    assert "HF_TOKEN" in caught.value.fix
    assert "wrong-token" not in str(caught.value) + repr(store)


@pytest.mark.parametrize("url", ["hf://", "hf://one", "hf://buckets/a/b", "s3://a/b"])
def test_what_is_no_repository(url: str) -> None:
    with pytest.raises(StorageError):
        HfStore().path(url)


def test_revisions_are_part_of_the_url(hub: Web) -> None:
    store = HfStore(endpoint=hub.url)
    path = store.path("hf://org/model@v1/config.json")
    found = store.filesystem().url_of(path)
    assert found == f"{hub.url}/org/model/resolve/v1/config.json"
