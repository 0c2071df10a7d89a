"""The SFTP store, against a real sshd."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from stix.storage.base import Denied, StorageError
from stix.storage.registry import open_store
from stix.storage.stores.sftp import SftpStore
from stix.storage.testing import ArtifactConformance, LargeObjects, Place, StoreConformance
from tests.support.sftp import SftpServer

PREFIXES = itertools.count()


class Folders:
    @pytest.fixture
    def place(self, sftp_server: SftpServer) -> Place:
        options = sftp_server.options()
        return Place(
            sftp_server.url(f"test-{next(PREFIXES)}"),
            options,
            denied=options | {"identity_file": str(sftp_server.stranger)},
            listed=300,  # there are no pages
        )


class TestSftpStore(Folders, StoreConformance):
    pass


class TestSftpArtifacts(Folders, ArtifactConformance):
    pass


@pytest.mark.full
class TestLargeSftpObjects(Folders, LargeObjects):
    pass


@pytest.mark.parametrize(
    "url", ["sftp:///x", "sftp://host", "s3://b/k", "sftp://u:hidden-value@host/x", "sftp://h:x/y"]
)
def test_what_is_no_path_on_a_host(url: str) -> None:
    with pytest.raises(StorageError) as caught:
        SftpStore(host="host").path(url)
    assert "hidden-value" not in str(caught.value)


def test_another_host_is_another_store() -> None:
    store = open_store("sftp://user@one.example:2222/x")
    assert store.path("sftp://one.example/a b#c") == "/a b#c"
    with pytest.raises(StorageError, match="another host"):
        store.path("sftp://two.example/x")


def test_a_changed_host_key_is_refused(sftp_server: SftpServer, tmp_path: Path) -> None:
    other = sftp_server.stranger.with_suffix(".pub").read_text().split()
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{sftp_server.port} {other[0]} {other[1]}\n")
    options = sftp_server.options() | {"known_hosts": str(known)}
    with pytest.raises(Denied, match="host key"):
        open_store(sftp_server.url(), **options).put(sftp_server.url("x"), b"x")


def test_a_host_that_is_not_there(sftp_server: SftpServer) -> None:
    url = "sftp://root@127.0.0.1:1/tmp/x"
    with pytest.raises(StorageError) as caught:
        open_store(url, **sftp_server.options()).put(url, b"x")
    assert caught.value.fix


def test_a_stream_that_fails_leaves_nothing(sftp_server: SftpServer) -> None:
    store = open_store(sftp_server.url(), **sftp_server.options())
    path = store.path(sftp_server.url("broken/file"))
    with pytest.raises(ZeroDivisionError), store.filesystem().open(path, "wb", block_size=4) as out:
        out.write(b"12345678")
        raise ZeroDivisionError
    assert list((sftp_server.folder / "broken").iterdir()) == []
