"""One artifact in several stores: written near, read from the cheapest that serves."""

from __future__ import annotations

import io
import logging
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from stix.config import ArtifactPlace
from stix.plan.regions import Place
from stix.spec.folders.pack import pack
from stix.storage.artifacts import ArtifactStore, Member, Replicas, Wish
from stix.storage.artifacts.member import Patience
from stix.storage.artifacts.states import DAMAGED, MENDED, MISSING, THERE, UNREACHABLE, WHOLE
from stix.storage.base import Corrupt, NotInStore, StorageError
from stix.storage.registry import open_store
from tests.storage.frail import files, grow_old
from tests.support.azurite import AzureServer
from tests.support.s3 import S3Server

AWS, GCP = Place("aws", "us-east-1"), Place("gcp", "us-central1")
ON_AWS, ON_GCP = Place("aws", "us-east-1", "us-east-1a"), Place("gcp", "us-central1", "b")
AZURE = Place("azure", "westeurope")
QUICK = Patience(0.2, 0.5)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(30):
        (tree / f"f{number}").write_text(f"{number} " * 100)
    return tree


class Pair:
    """Two stores in folders, one on AWS and one on GCP."""

    def __init__(self, folder: Path, copies: int = 1) -> None:
        self.aws, self.gcp = folder / "aws", folder / "gcp"
        self.stores = {path: ArtifactStore(path.as_uri()) for path in (self.aws, self.gcp)}
        places = zip(self.stores.values(), (AWS, GCP), strict=True)
        self.both = Replicas([Member(store, place) for store, place in places], copies)

    def holders(self, digest: str) -> list[Path]:
        return [path for path, store in self.stores.items() if store.has(digest)]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


@pytest.fixture
def silent() -> Iterator[Member]:
    """A store behind a server that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        store = open_store("s3://b/p", endpoint_url=url, key="k", secret="s", region="us-east-1")
        yield Member(ArtifactStore.over(store, "s3://b/p"), AWS, patience=QUICK)


@pytest.fixture
def refusing(tmp_path: Path) -> Member:
    """A store whose folder is no folder."""
    (tmp_path / "broken").write_text("")
    return Member(ArtifactStore((tmp_path / "broken").as_uri()), AWS)


def test_each_place_writes_and_reads_where_it_pays_nothing(pair: Pair, tree: Path) -> None:
    for place, own in ((ON_AWS, pair.aws), (ON_GCP, pair.gcp)):
        near = pair.both.near(place)
        (tree / "f0").write_text(str(own))
        digest = near.put_path(tree).digest
        assert pair.holders(digest) == [own]
        assert near.url == own.as_uri() and near.url_of(digest).startswith(own.as_uri())
        assert next(iter(near.where(digest))) == own.as_uri()
    assert pair.both.url == pair.aws.as_uri()  # the main one, where no place is given


def test_who_is_elsewhere_reads_the_replica_that_is_cheapest_to_send(tmp_path: Path) -> None:
    """Out of AWS a GB costs 0.09 USD, out of R2 nothing."""
    members = [
        Member(ArtifactStore((tmp_path / cloud).as_uri()), Place(cloud))
        for cloud in ("aws", "cloudflare")
    ]
    near = Replicas(members).near(ON_GCP)
    assert [member.place.cloud for member in near.readers()] == ["cloudflare", "aws"]


def test_what_another_store_has_is_read_and_not_copied(
    pair: Pair, tree: Path, tmp_path: Path
) -> None:
    digest = pair.both.near(ON_AWS).put_path(tree).digest
    other = pair.both.near(ON_GCP)
    other.get(digest, tmp_path / "got")
    assert (tmp_path / "got" / "f7").read_text() == (tree / "f7").read_text()
    assert b"".join(other.tar(digest)) == b"".join(pair.stores[pair.aws].tar(digest))
    assert pair.holders(digest) == [pair.aws]
    one = pair.both.near(ON_GCP).put_bytes(b"text", "name").digest
    assert b"".join(pair.both.read(one)) == b"text"
    with pytest.raises(NotInStore, match="folder"):
        pair.both.read(digest)


def test_replicate_copies_once_and_names_the_stores_it_knows(pair: Pair, tree: Path) -> None:
    digest = pair.both.put_path(tree).digest
    first = pair.both.replicate(digest, pair.gcp.as_uri())
    again = pair.both.replicate(digest, pair.gcp.as_uri() + "/")
    assert (first.digest, again.digest, again.new_bytes) == (digest, digest, 0)
    assert first.new_bytes == first.bytes > 0
    shutil.rmtree(pair.aws)
    assert pair.both.verify(digest).files == 30
    with pytest.raises(StorageError, match="no store of artifacts") as refused:
        pair.both.replicate(digest, "s3://other/one")
    assert pair.gcp.as_uri() in refused.value.fix
    with pytest.raises(NotInStore):
        pair.both.replicate("0" * 64, pair.gcp.as_uri())


def test_as_many_copies_as_wanted_are_written(tmp_path: Path, tree: Path) -> None:
    pair = Pair(tmp_path, copies=2)
    assert pair.holders(pair.both.put_path(tree).digest) == [pair.aws, pair.gcp]
    with (tmp_path / "spool").open("wb+") as spool:
        pack(tree, spool)
        spool.seek(0)
        assert pair.holders(pair.both.put_tar(spool).digest) == [pair.aws, pair.gcp]


@pytest.mark.parametrize("what", ["chunk", "manifest"])
@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_damage_is_read_around_and_mended(
    pair: Pair, tree: Path, tmp_path: Path, what: str, how: str
) -> None:
    digest = pair.both.put_path(tree).digest
    pair.both.replicate(digest, pair.gcp.as_uri())
    manifest = pair.stores[pair.aws].manifest(digest)
    name = f"{digest}.json" if what == "manifest" else manifest.entries[3].chunks[0]
    (path,) = pair.aws.rglob(name)
    data = path.read_bytes()
    path.unlink() if how == "missing" else path.write_bytes(data[:-1] + b"!")
    pair.both.near(ON_AWS).get(digest, tmp_path / "got")
    assert (tmp_path / "got" / "f12").read_text() == (tree / "f12").read_text()
    if (what, how) == ("manifest", "missing"):
        assert not path.exists()  # then the artifact is simply not there
    else:
        assert path.read_bytes() == data


def test_verify_mends_and_tells_what_was(pair: Pair, tree: Path) -> None:
    digest = pair.both.put_path(tree).digest
    chunk = pair.stores[pair.aws].manifest(digest).entries[0].chunks[0]
    (path,) = pair.aws.rglob(chunk)
    path.write_bytes(b"other")
    alone = pair.both.check(digest)
    assert [one.state for one in alone] == [DAMAGED, MISSING] and chunk in alone[0].problem
    with pytest.raises(Corrupt, match=chunk):
        pair.both.verify(digest)
    pair.stores[pair.gcp].put_path(tree)
    checked = pair.both.check(digest)
    assert [one.state for one in checked] == [MENDED, WHOLE] and chunk in checked[0].problem
    assert [one.state for one in pair.both.check(digest)] == [WHOLE, WHOLE]
    with pytest.raises(NotInStore):
        pair.both.verify("0" * 64)


def test_a_store_that_goes_while_it_is_read_leaves_the_rest_to_the_next(
    pair: Pair, tree: Path
) -> None:
    digest = pair.both.put_path(tree).digest
    pair.both.replicate(digest, pair.gcp.as_uri())
    whole = b"".join(pair.stores[pair.gcp].tar(digest))
    parts = pair.both.near(ON_AWS).tar(digest)
    begin = b"".join(next(parts) for _ in range(5))
    pair.aws.rename(pair.aws.with_name("away"))
    assert begin + b"".join(parts) == whole
    assert not files(pair.aws)


def test_a_silent_store_is_passed_over_within_a_bound(
    pair: Pair, silent: Member, tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near = Replicas([silent, *pair.both.members]).near(ON_AWS)
    with caplog.at_level(logging.WARNING, "stix.storage"):
        digest = near.put_path(tree).digest
        near.get(digest, tmp_path / "got")
        assert near.keep(digest) and near.has(digest)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and "s3://b/p is passed over" in said[0]  # once, not at each step
    assert near.where(digest) == {
        pair.aws.as_uri(): THERE,
        pair.gcp.as_uri(): MISSING,
        silent.url: UNREACHABLE,
    }
    with (tmp_path / "spool").open("wb+") as spool:
        pack(tree, spool)
        spool.seek(0)
        assert near.put_tar(spool).digest == digest


def test_a_slow_store_is_no_silent_one(pair: Pair, tree: Path) -> None:
    """What takes longer than our patience goes on for as long as the store answers others."""
    member = pair.both.members[0]
    member.patience = Patience(0.001, 5)
    assert member.bounded(lambda: member.store.put_path(tree)).files == 30


def test_where_every_store_is_away_the_error_names_them(
    silent: Member, refusing: Member, tree: Path, tmp_path: Path
) -> None:
    gone = Replicas([refusing, silent])
    with pytest.raises(StorageError) as lost:
        gone.put_path(tree)
    assert refusing.url in lost.value.message and silent.url in lost.value.message
    for ask in (gone.has, gone.keep, gone.manifest):
        with pytest.raises(StorageError, match="No store that answers has artifact") as lost:
            ask("1" * 64)
        assert "s3://b/p does not answer" in lost.value.message
        assert not isinstance(lost.value, NotInStore | Corrupt)
    with pytest.raises(StorageError, match="No store that answers"):
        gone.get("1" * 64, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_what_only_a_store_that_is_away_may_have_is_an_error_to_read(
    pair: Pair, refusing: Member
) -> None:
    """But no reason to fail where it can be made again."""
    some = Replicas([refusing, pair.both.members[1]])
    with pytest.raises(StorageError, match="No store that answers"):
        some.manifest("1" * 64)
    assert some.keep("1" * 64) is False


def test_bad_data_is_no_fault_of_the_store(
    pair: Pair, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tree / "link").symlink_to("/etc/passwd")
    with (
        caplog.at_level(logging.WARNING, "stix.storage"),
        pytest.raises(StorageError, match="link"),
    ):
        pair.both.put_path(tree)
    with pytest.raises(StorageError, match="tar"):
        pair.both.put_tar(io.BytesIO(b"no tar at all"))
    assert not caplog.records and not pair.both.members[0].down


def test_a_store_that_refuses_to_be_written_is_passed_over(
    pair: Pair, s3_server: S3Server, tree: Path
) -> None:
    options = s3_server.reading()
    member = Member(ArtifactStore(s3_server.url("reading"), **options), AWS)
    both = Replicas([member, pair.both.members[1]])
    assert pair.holders(both.near(ON_AWS).put_path(tree).digest) == [pair.gcp]


def test_a_collection_takes_each_store_by_itself(pair: Pair, refusing: Member) -> None:
    pair.both.near(ON_AWS).put_bytes(b"old", "f")
    kept = pair.both.near(ON_AWS).put_bytes(b"kept", "f").digest
    pair.both.replicate(kept, pair.gcp.as_uri())
    both = pair.both.near(ON_GCP).put_bytes(b"both", "f").digest
    grow_old(pair.aws, 10 * 86_400)
    grow_old(pair.gcp, 10 * 86_400)
    pair.both.near(ON_AWS).put_bytes(b"both", "f")
    stores = Replicas([*pair.both.members, refusing])
    swept = stores.gc(Wish(lambda: {kept}))
    assert [one.collected is None for one in swept] == [False, False, True]
    assert swept[2].problem is not None
    assert pair.holders(kept) == [pair.aws, pair.gcp]  # what is reachable keeps all replicas
    assert pair.holders(both) == [pair.aws]  # young there, old here
    gone = {digest for one in swept if one.collected for digest in one.collected.artifacts}
    assert both in gone and len(gone) == 2
    assert set(pair.both.vanished(swept)) == gone - {both}
    assert sorted(pair.both.ls()) == sorted({kept, both})


def test_a_kept_artifact_stays_in_every_store(pair: Pair) -> None:
    digest = pair.both.put_bytes(b"text", "f").digest
    pair.both.replicate(digest, pair.gcp.as_uri())
    for path in (pair.aws, pair.gcp):
        grow_old(path, 10 * 86_400)
    assert pair.both.keep(digest)
    pair.both.gc(Wish(frozenset))
    assert pair.holders(digest) == [pair.aws, pair.gcp]
    assert not pair.both.keep("0" * 64)


def test_a_store_says_where_it_lies(tmp_path: Path, s3_server: S3Server) -> None:
    told = Member(ArtifactStore(s3_server.url("x"), **s3_server.options()))
    assert told.place == Place("aws", "us-east-1")
    own = Member.open(ArtifactPlace("s3://b/p", "http://10.1.2.3:9000"))
    assert own.place == Place("10.1.2.3")
    assert Member.open(ArtifactPlace(tmp_path.as_uri())).place == Place("local")
    said = Member.open(ArtifactPlace("s3://b", None, None, "gcp/europe-west4"))
    assert said.place == Place("gcp", "europe-west4")


def test_one_store_alone_is_as_it_always_was(tmp_path: Path, tree: Path) -> None:
    url = (tmp_path / "one").as_uri()
    one, plain = Replicas.open([ArtifactPlace(url)]), ArtifactStore(url)
    digest = one.near(ON_AWS).put_path(tree).digest
    assert one.url == plain.url and one.url_of(digest) == plain.url_of(digest)
    one.get(digest, tmp_path / "got")
    assert one.ls() == plain.ls() == [digest] and one.has(digest) and one.keep(digest)
    shutil.rmtree(tmp_path / "one")
    with pytest.raises(NotInStore):
        one.manifest(digest)
    assert not files(tmp_path / "one")


def test_a_replica_on_s3_and_one_on_azure(
    s3_server: S3Server, azure_server: AzureServer, tree: Path, tmp_path: Path
) -> None:
    s3 = Member(ArtifactStore(s3_server.url("both"), **s3_server.options()), AWS)
    az = Member(ArtifactStore(azure_server.url("both"), **azure_server.options()), AZURE)
    both = Replicas([s3, az])
    digest = both.near(ON_AWS).put_path(tree).digest
    assert both.where(digest) == {s3.url: THERE, az.url: MISSING}
    assert both.replicate(digest, az.url).new_bytes > 0
    chunk = s3.store.manifest(digest).entries[5].chunks[0]
    s3.store.backend.put(s3.store.chunks.url(chunk), b"damage")
    both.near(ON_AWS).get(digest, tmp_path / "got")
    assert sorted(p.read_text() for p in (tmp_path / "got").iterdir()) == sorted(
        p.read_text() for p in tree.iterdir()
    )
    assert [one.state for one in both.check(digest)] == [WHOLE, WHOLE]
    near_azure = Replicas([s3, az], copies=2).near(AZURE)
    (tree / "f0").write_text("another")
    assert near_azure.url == az.url
    assert {*near_azure.where(near_azure.put_path(tree).digest).values()} == {THERE}


@contextmanager
def frozen(server: S3Server) -> Iterator[None]:
    """The server keeps its connections and does nothing."""
    port = f"-s3.port={server.endpoint_url.rpartition(':')[2]}"
    (process,) = [p for p in psutil.Process().children(recursive=True) if port in p.cmdline()]
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_a_server_that_freezes_while_it_is_read_leaves_the_rest_to_the_next(
    s3_server: S3Server, pair: Pair, tree: Path
) -> None:
    s3 = Member(ArtifactStore(s3_server.url("frozen"), **s3_server.options()), AWS, patience=QUICK)
    near = Replicas([s3, pair.both.members[1]], copies=2).near(ON_AWS)
    digest = near.put_path(tree).digest
    assert pair.holders(digest) == [pair.gcp]
    whole = b"".join(pair.stores[pair.gcp].tar(digest))
    parts = near.tar(digest)
    begin = b"".join(next(parts) for _ in range(5))
    with frozen(s3_server):
        assert begin + b"".join(parts) == whole
        assert s3.down
        written = near.put_bytes(b"while it is away", "f")
    assert pair.holders(written.digest) == [pair.gcp]
