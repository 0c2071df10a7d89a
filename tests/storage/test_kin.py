"""The S3-compatible providers: their files and endpoints, and one of them on a real server."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from stix.storage.base import Denied, StorageError
from stix.storage.registry import open_store
from stix.storage.stores.cos import CosStore
from stix.storage.stores.cw import CoreWeaveStore
from stix.storage.stores.nebius import NebiusStore
from stix.storage.stores.oci import OciStore
from stix.storage.stores.r2 import R2Store
from stix.storage.stores.vastdata import VastDataStore
from tests.support.s3 import S3Server

KEYS = "aws_access_key_id = AKID\naws_secret_access_key = hidden-value\n"
PREFIXES = itertools.count()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)


def endpoint(store: object) -> str:
    return str(vars(store)["_options"].endpoint_url)


def test_files_are_where_skypilot_has_them(home: Path) -> None:
    write(
        home,
        {
            ".cloudflare/r2.credentials": f"[r2]\n{KEYS}",
            ".cloudflare/accountid": "abc123\n",
            ".coreweave/cw.credentials": f"[cw]\n{KEYS}",
            ".vastdata/vastdata.credentials": f"[vastdata]\n{KEYS}",
            ".vastdata/vastdata.config": "[profile vastdata]\nendpoint_url = https://vast.local\n",
            ".aws/credentials": f"[nebius]\n{KEYS}[oci]\n{KEYS}",
            ".aws/config": "[profile nebius]\nregion = eu-west1\n",
            ".oci/config": "[DEFAULT]\nregion = uk-london-1\nnamespace = mine\n",
            ".ibm/credentials.yaml": "access_key_id: AKID\nsecret_access_key: hidden-value\n",
        },
    )
    assert endpoint(R2Store()) == "https://abc123.r2.cloudflarestorage.com"
    assert endpoint(CoreWeaveStore()) == "https://cwobject.com"
    assert endpoint(VastDataStore()) == "https://vast.local"
    assert endpoint(NebiusStore()) == "https://storage.eu-west1.nebius.cloud:443"
    oci = "https://mine.compat.objectstorage.uk-london-1.oraclecloud.com"
    assert endpoint(OciStore()) == oci
    cos = open_store("cos://eu-de/box/key")
    assert endpoint(cos) == "https://s3.eu-de.cloud-object-storage.appdomain.cloud"
    for store in (R2Store(), CoreWeaveStore(), VastDataStore(), NebiusStore(), OciStore(), cos):
        assert vars(store)["_options"].secret == "hidden-value"
        assert "hidden-value" not in repr(store) + repr(vars(store))


@pytest.mark.parametrize("kind", [R2Store, CoreWeaveStore, VastDataStore, NebiusStore, OciStore])
def test_aws_s_own_keys_never_stand_in(
    kind: type, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-value")
    store = kind()
    for act in (store.filesystem, store.buckets):
        with pytest.raises((Denied, StorageError)) as caught:
            act()
        assert caught.value.fix
        assert "hidden-value" not in str(caught.value)


def test_a_broken_file_shows_no_line_of_it(home: Path) -> None:
    write(home, {".cloudflare/r2.credentials": "hidden-value\n"})
    with pytest.raises(StorageError) as caught:
        R2Store()
    assert "hidden-value" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_cos_urls() -> None:
    store = CosStore.for_url("cos://eu-de/box", anon=True)
    assert store.path("cos://eu-de/box/a/b") == "box/a/b"
    for url in ("cos://us-east/box/a", "cos://eu-de", "s3://eu-de/box"):
        with pytest.raises(StorageError):
            store.path(url)


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (R2Store, "r2://{}"),
        (NebiusStore, "nebius://{}"),
        (VastDataStore, "vastdata://{}"),
        (OciStore, "oci://{}"),
        (CosStore, "cos://us-east-1/{}"),
    ],
)
def test_each_reads_and_writes_a_server_of_the_protocol(
    kind: type, url: str, home: Path, s3_server: S3Server
) -> None:
    store = kind(**s3_server.options())
    place = f"{url.format(s3_server.bucket)}/kin-{next(PREFIXES)}"
    assert store.put_if_absent(f"{place}/a", b"1") is True
    assert store.put_if_absent(f"{place}/a", b"2") is False
    assert store.put_if_match(f"{place}/a", b"3", store.version(f"{place}/a")) is True
    assert store.copy(f"{place}/a", f"{place}/b") is True
    assert store.filesystem().cat_file(store.path(f"{place}/b")) == b"3"
    assert any(one.url == url.format(s3_server.bucket) for one in store.buckets())
    with pytest.raises(StorageError, match="lends no credentials"):
        store.lend(place, write=False, seconds=900)
    made = store.create_bucket(f"stix-kin-{next(PREFIXES)}-{store.scheme}", "", {})
    store.delete_bucket(made.url.rpartition("/")[2], force=True)
