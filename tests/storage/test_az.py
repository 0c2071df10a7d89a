"""The Azure store, against a real server of its protocol."""

from __future__ import annotations

import base64
import itertools

import pytest

from stix.storage.base import Denied, StorageError
from stix.storage.registry import open_store
from stix.storage.stores.az import AzStore
from stix.storage.testing import ArtifactConformance, LargeObjects, Place, StoreConformance
from tests.support.azurite import AzureServer

PREFIXES = itertools.count()


class Containers:
    @pytest.fixture
    def place(self, azure_server: AzureServer) -> Place:
        options = azure_server.options()
        wrong = base64.b64encode(b"not the key, which is 32 bytes long"[:32]).decode()
        return Place(
            azure_server.url(f"test-{next(PREFIXES)}"),
            options,
            denied=options | {"account_key": wrong},
            expired=azure_server.signed("racwdl", start=-7200, end=-3600),
            skewed=azure_server.signed("racwdl", start=3600, end=7200),
            reader=azure_server.signed("rl"),
            lends=options,
            outside=f"az://{azure_server.other}/kept/{next(PREFIXES)}",
            missing="az://stix-no-such-container/key",
        )


class TestAzStore(Containers, StoreConformance):
    pass


class TestAzArtifacts(Containers, ArtifactConformance):
    pass


@pytest.mark.full
class TestLargeAzObjects(Containers, LargeObjects):
    pass


def test_urls_as_azure_shows_them() -> None:
    url = "https://myaccount.blob.core.windows.net/box/a/b"
    store = open_store(url, account_key="a2V5")
    assert isinstance(store, AzStore)
    assert store.path(url) == store.path("az://box/a/b") == "box/a/b"
    with pytest.raises(StorageError, match="another account"):
        store.path("https://other.blob.core.windows.net/box/a/b")


@pytest.mark.parametrize(
    "url", ["az://", "s3://box/key", "https://myaccount.blob.core.windows.net/", "az://a:b@c/d"]
)
def test_what_is_no_container(url: str) -> None:
    with pytest.raises(StorageError):
        AzStore(account="myaccount", account_key="a2V5").path(url)


def test_no_account_is_told() -> None:
    with pytest.raises(Denied, match="No Azure storage account"):
        AzStore().put("az://box/key", b"x")


def test_a_region_is_the_account_s(azure_server: AzureServer) -> None:
    store = AzStore(**azure_server.options(), region="westeurope")
    with pytest.raises(StorageError, match="westeurope"):
        store.create_bucket("stix-elsewhere", "eastus", {})
    assert store.location(azure_server.url()).region == "westeurope"
    assert store.price(azure_server.url()).gib_month == 0.0196


def test_a_signature_lends_nothing(azure_server: AzureServer) -> None:
    store = AzStore(**azure_server.signed("rl"))
    with pytest.raises(Denied):
        store.lend(azure_server.url("x"), write=False, seconds=900)
