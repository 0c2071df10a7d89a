"""Artifacts: round trips, damage, hostile input."""

from __future__ import annotations

import dataclasses
import io
import json
import multiprocessing
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stix.spec.folders.pack import pack
from stix.storage.artifacts import ArtifactStore
from stix.storage.artifacts.manifest import CHUNK_SIZE, Entry, Manifest, build, decode, sha256
from stix.storage.base import Corrupt, StorageError
from stix.storage.testing.artifacts import content

NAMES = ["a", "b", "x y", "é", "-", "...", "\udcff", "long" * 40]
file = st.tuples(st.binary(max_size=300), st.booleans())
tree = st.recursive(
    file | st.sampled_from(["a", "./b", "x y/../a", "nothing"]),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
trees = st.dictionaries(st.sampled_from(NAMES), tree, max_size=5)
own_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def make(place: Path, node: object, order: random.Random | None = None) -> None:
    """A tuple is a file (content, executable), a text is a link, a dict is a folder."""
    if isinstance(node, tuple):
        place.write_bytes(node[0])
        place.chmod(0o755 if node[1] else 0o640)
    elif isinstance(node, str):
        place.symlink_to(node)
    elif isinstance(node, dict):
        place.mkdir()
        names = sorted(node)
        if order is not None:
            order.shuffle(names)
        for name in names:
            make(place / name, node[name], order)


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore((tmp_path / "store").as_uri())


@own_folder
@given(node=trees)
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, node: object) -> None:
    folder = tmp_path_factory.mktemp("round")
    artifacts = ArtifactStore((folder / "store").as_uri(), fsync=False)
    make(folder / "tree", node)
    stored = artifacts.put_path(folder / "tree")
    artifacts.get(stored.digest, folder / "back")
    assert content(folder / "back") == content(folder / "tree")
    artifacts.verify(stored.digest)


@own_folder
@given(node=trees, seed=st.integers())
def test_the_digest_is_of_the_content_only(
    tmp_path_factory: pytest.TempPathFactory, node: object, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("digest")
    artifacts = ArtifactStore((folder / "store").as_uri(), fsync=False)
    make(folder / "one", node)
    make(folder / "two", node, random.Random(seed))
    for number, place in enumerate((folder / "two").rglob("*")):
        os.utime(place, (number, number), follow_symlinks=False)
    digest = artifacts.put_path(folder / "one").digest
    assert artifacts.put_path(folder / "two").digest == digest
    packed = io.BytesIO()
    pack(folder / "one", packed)
    packed.seek(0)
    assert artifacts.put_tar(packed).digest == digest


def test_different_content_gives_different_digests(
    artifacts: ArtifactStore, tmp_path: Path
) -> None:
    nodes: list[object] = [
        {},
        {"a": {}},
        {"a": (b"", False)},
        {"a": (b"", True)},
        {"a": (b"x", False)},
        {"b": (b"x", False)},
        {"a": "b"},
        {"a": "c"},
        (b"x", False),
    ]
    for number, node in enumerate(nodes):
        make(tmp_path / str(number), node)
    digests = [artifacts.put_path(tmp_path / str(number)).digest for number in range(len(nodes))]
    assert len(set(digests)) == len(nodes)


def test_the_owner_makes_no_difference(artifacts: ArtifactStore, tmp_path: Path) -> None:
    digests = set()
    for owner in (0, 12345):
        info = tarfile.TarInfo("dir/file")
        info.size, info.uid, info.gid, info.uname, info.mtime = 3, owner, owner, "x", owner
        digests.add(artifacts.put_tar(_tar([(info, b"abc")])).digest)
    assert len(digests) == 1


def _flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "first byte": _flip,
    "last byte": lambda data: data[:-1] + bytes([data[-1] ^ 128]),
    "middle byte": lambda data: data[: len(data) // 2] + b"\0" + data[len(data) // 2 + 1 :],
    "cut": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["chunks", "manifests"])
def test_damage_is_seen(artifacts: ArtifactStore, tmp_path: Path, kind: str, damage: str) -> None:
    make(tmp_path / "tree", {"one": (b"some text " * 500, False), "two": (b"other", True)})
    digest = artifacts.put_path(tmp_path / "tree").digest
    objects = sorted(path for path in (tmp_path / "store" / kind).rglob("*") if path.is_file())
    for place in objects:
        good = place.read_bytes()
        place.write_bytes(DAMAGE[damage](good))
        reads: list[Callable[[], object]] = [
            lambda: artifacts.get(digest, tmp_path / "back"),
            lambda: artifacts.verify(digest),
            lambda: list(artifacts.tar(digest)),
        ]
        for read in reads:
            with pytest.raises(Corrupt):
                read()
        place.write_bytes(good)
    assert not (tmp_path / "back").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "tree"]


FILE = Entry("f", "file", 0o644, 1, (sha256(b"x"),))
UNSAFE = {
    "up": [dataclasses.replace(FILE, path="../f")],
    "absolute": [dataclasses.replace(FILE, path="/f")],
    "through a link": [Entry("l", "link", target="."), dataclasses.replace(FILE, path="l/f")],
    "below a file": [FILE, dataclasses.replace(FILE, path="f/g")],
    "twice": [FILE, FILE],
    "no parent": [dataclasses.replace(FILE, path="d/f")],
    "escaping link": [Entry("l", "link", target="../x")],
    "absolute link": [Entry("l", "link", target="/etc")],
    "wrong size": [dataclasses.replace(FILE, size=CHUNK_SIZE + 1)],
    "setuid": [dataclasses.replace(FILE, mode=0o4755)],
    "chunk path": [dataclasses.replace(FILE, chunks=("../../x",))],
}


@pytest.mark.parametrize("reason", UNSAFE)
def test_a_forged_manifest_is_refused(reason: str) -> None:
    entries = tuple(UNSAFE[reason])
    data = Manifest("tree", entries, sum(entry.size for entry in entries)).encode()
    with pytest.raises(Corrupt):
        decode(data, sha256(data))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"format":2}', b"null"])
def test_a_manifest_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode(data, sha256(data))


def test_a_manifest_is_canonical_json() -> None:
    manifest = build("tree", [dataclasses.replace(FILE, path="d/f"), Entry("a", "dir")])
    body = json.loads(manifest.encode())
    assert [entry["path"] for entry in body["entries"]] == ["a", "d", "d/f"]
    assert json.dumps(body, sort_keys=True, separators=(",", ":")).encode() == manifest.encode()
    assert decode(manifest.encode(), manifest.digest()) == manifest


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "b/../../../x"])
def test_put_names_a_link_that_leaves(
    artifacts: ArtifactStore, tmp_path: Path, target: str
) -> None:
    make(tmp_path / "tree", {"a": {"bad": target}})
    with pytest.raises(StorageError, match="a/bad"):
        artifacts.put_path(tmp_path / "tree")
    assert artifacts.ls() == []


def test_put_names_what_is_no_file(artifacts: ArtifactStore, tmp_path: Path) -> None:
    make(tmp_path / "tree", {"a": (b"x", False)})
    os.mkfifo(tmp_path / "tree" / "pipe")
    with pytest.raises(StorageError, match="pipe is neither"):
        artifacts.put_path(tmp_path / "tree")
    with pytest.raises(StorageError, match="missing does not exist"):
        artifacts.put_path(tmp_path / "missing")


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    out.seek(0)
    return out


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


HOSTILE = {
    "absolute": _member("/etc/x"),
    "up": _member("a/../../x"),
    "device": _member("dev", tarfile.CHRTYPE),
    "block": _member("dev", tarfile.BLKTYPE),
    "pipe": _member("pipe", tarfile.FIFOTYPE),
    "link out": _member("link", tarfile.SYMTYPE, "../../etc"),
    "absolute link": _member("link", tarfile.SYMTYPE, "/etc"),
    "hard link out": _member("link", tarfile.LNKTYPE, "/etc/passwd"),
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_hostile_tar_is_refused_with_the_member(artifacts: ArtifactStore, reason: str) -> None:
    stream = _tar([(_member("good"), b"x"), (HOSTILE[reason], b"")])
    with pytest.raises(StorageError) as caught:
        artifacts.put_tar(stream)
    assert HOSTILE[reason].name in str(caught.value)
    assert artifacts.ls() == []


def test_a_tar_that_writes_through_its_link_is_refused(artifacts: ArtifactStore) -> None:
    stream = _tar([(_member("l", tarfile.SYMTYPE, "."), b""), (_member("l/x"), b"x")])
    with pytest.raises(StorageError, match="l/x"):
        artifacts.put_tar(stream)


def test_a_hard_link_is_the_file_again(artifacts: ArtifactStore, tmp_path: Path) -> None:
    stream = _tar([(_member("./one"), b"abc"), (_member("two", tarfile.LNKTYPE, "./one"), b"")])
    artifacts.get(artifacts.put_tar(stream).digest, tmp_path / "back")
    assert (tmp_path / "back" / "two").read_bytes() == b"abc"


def test_a_tar_over_the_limit_is_refused(artifacts: ArtifactStore) -> None:
    members = [(_member(name), b"x" * 600) for name in ("a", "b")]
    assert artifacts.put_tar(_tar(members), limit=1200).bytes == 1200
    with pytest.raises(StorageError, match="more than 1199 bytes"):
        artifacts.put_tar(_tar(members), limit=1199)


def test_a_cut_tar_is_refused_wherever_it_is_cut(artifacts: ArtifactStore, tmp_path: Path) -> None:
    make(tmp_path / "tree", {"a": (b"x" * 700, False), "b": (b"y" * 512, False), "c": {}})
    out = io.BytesIO()
    pack(tmp_path / "tree", out)
    whole = out.getvalue()
    end = len(whole) - 1024
    for size in [*range(0, end, 100), *range(0, end + 1, 512)]:
        with pytest.raises(StorageError, match="Not a whole tar"):
            artifacts.put_tar(io.BytesIO(whole[:size]))
    assert artifacts.ls() == []
    artifacts.put_tar(io.BytesIO(whole[: end + 512]))


def test_a_short_read_does_not_move_the_chunks(artifacts: ArtifactStore, tmp_path: Path) -> None:
    """A socket gives what it has; the chunks must be cut at the same places."""

    class Drops(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 100_001))

    make(tmp_path / "tree", {"a": (random.Random(1).randbytes(CHUNK_SIZE + 5), False)})
    out = io.BytesIO()
    pack(tmp_path / "tree", out)
    whole = artifacts.put_path(tmp_path / "tree")
    assert artifacts.put_tar(Drops(out.getvalue())).digest == whole.digest


def _put(url: str, path: str, queue: multiprocessing.Queue[str]) -> None:
    queue.put(ArtifactStore(url).put_path(path).digest)


def test_processes_put_the_same_tree_at_once(artifacts: ArtifactStore, tmp_path: Path) -> None:
    node = {f"f{number}": (os.urandom(2000), False) for number in range(100)}
    make(tmp_path / "tree", node)
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[str] = context.Queue()
    arguments = (artifacts.url, str(tmp_path / "tree"), queue)
    processes = [context.Process(target=_put, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    digests = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert artifacts.ls() == list(digests)
    artifacts.verify(digests.pop())
    assert not list((tmp_path / "store").rglob("*.tmp"))
