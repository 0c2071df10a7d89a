"""The conformance suite of artifacts on a store."""

from __future__ import annotations

import io
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stix.storage.artifacts import ArtifactStore, Manifest
from stix.storage.artifacts.manifest import CHUNK_SIZE
from stix.storage.base import Corrupt, NotInStore, StorageError
from stix.storage.testing.stores import Place

_BIG = random.Random(3).randbytes(CHUNK_SIZE + 17)


class ArtifactConformance:
    """Subclass it in a test and give the fixture ``place``."""

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError("give the fixture `place` in the subclass")

    @pytest.fixture
    def artifacts(self, place: Place) -> ArtifactStore:
        return ArtifactStore(place.url, **place.options)

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        """Every kind of entry, and a file of two chunks, the last of them short."""
        root = tmp_path / "tree"
        (root / "sub" / "empty").mkdir(parents=True)
        (root / "zero").touch()
        (root / "run me").write_text("#!/bin/sh\n")
        (root / "run me").chmod(0o755)
        (root / "sub" / "ünï").write_bytes(b"x" * 1000)
        (root / "big").write_bytes(_BIG)
        (root / "link").symlink_to("sub/ünï")
        (root / "sub" / "up").symlink_to("../zero")
        (root / "dangling").symlink_to("nothing")
        return root

    def test_a_tree_comes_back(self, artifacts: ArtifactStore, tree: Path, tmp_path: Path) -> None:
        stored = artifacts.put_path(tree)
        artifacts.get(stored.digest, tmp_path / "new" / "back")
        assert content(tmp_path / "new" / "back") == content(tree)
        assert (stored.files, stored.bytes) == (4, 1010 + len(_BIG))
        assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "back"]

    def test_a_file_comes_back(self, artifacts: ArtifactStore, tree: Path, tmp_path: Path) -> None:
        stored = artifacts.put_path(tree / "run me")
        artifacts.get(stored.digest, tmp_path / "back")
        assert content(tmp_path / "back") == content(tree / "run me")
        assert artifacts.manifest(stored.digest).kind == "file"

    def test_the_same_again_is_free(self, artifacts: ArtifactStore, tree: Path) -> None:
        first = artifacts.put_path(tree)
        again = artifacts.put_path(tree)
        assert first.new_bytes == first.bytes
        assert (again.digest, again.new_bytes) == (first.digest, 0)

    def test_a_small_change_sends_little(self, artifacts: ArtifactStore, tree: Path) -> None:
        first = artifacts.put_path(tree)
        with (tree / "big").open("r+b") as file:
            file.write(b"change")
        second = artifacts.put_path(tree)
        assert second.digest != first.digest
        assert second.new_bytes == CHUNK_SIZE

    def test_a_tar_is_the_same_artifact(self, artifacts: ArtifactStore, tree: Path) -> None:
        for path in (tree, tree / "big", tree / "zero"):
            stored = artifacts.put_path(path)
            stream = io.BytesIO(b"".join(artifacts.tar(stored.digest)))
            assert artifacts.put_tar(stream).digest == stored.digest

    def test_bytes_are_a_file(self, artifacts: ArtifactStore) -> None:
        for data in (b"", b"text", bytes(CHUNK_SIZE + 1)):
            stored = artifacts.put_bytes(data, "log")
            assert b"".join(artifacts.read(stored.digest)) == data
            assert stored.files == 1

    def test_lists_what_is_committed(self, artifacts: ArtifactStore, tree: Path) -> None:
        assert artifacts.ls() == []
        digests = {artifacts.put_path(path).digest for path in (tree, tree / "big")}
        assert artifacts.ls() == sorted(digests)
        assert all(artifacts.has(digest) for digest in digests)

    def test_an_unknown_digest(self, artifacts: ArtifactStore, tmp_path: Path) -> None:
        for digest in ("0" * 64, "../../etc/passwd", ""):
            assert not artifacts.has(digest)
            with pytest.raises(NotInStore):
                artifacts.get(digest, tmp_path / "back")
        assert list(tmp_path.iterdir()) == []

    def test_verify_names_the_damage(
        self, artifacts: ArtifactStore, place: Place, tree: Path, tmp_path: Path
    ) -> None:
        stored = artifacts.put_path(tree)
        manifest = artifacts.verify(stored.digest)
        chunk = _big_chunk(manifest)
        url = f"{artifacts.url}/chunks/{chunk[:2]}/{chunk}"
        place.open().put(url, b"damaged")
        for broken in (artifacts.verify, lambda digest: artifacts.get(digest, tmp_path / "back")):
            with pytest.raises(Corrupt, match=chunk):
                broken(stored.digest)
        filesystem = place.open().filesystem()
        filesystem.rm_file(place.open().path(url))
        with pytest.raises(Corrupt, match=chunk):
            artifacts.verify(stored.digest)
        assert not (tmp_path / "back").exists()
        artifacts.put_path(tree)
        artifacts.verify(stored.digest)

    def test_many_writers_of_the_same_tree(
        self, artifacts: ArtifactStore, place: Place, tree: Path
    ) -> None:
        def put(_: int) -> str:
            return ArtifactStore(place.url, **place.options).put_path(tree).digest

        with ThreadPoolExecutor(4) as pool:
            digests = set(pool.map(put, range(4)))
        assert artifacts.ls() == sorted(digests)
        assert len(digests) == 1
        artifacts.verify(digests.pop())

    def test_a_target_in_use_is_kept(
        self, artifacts: ArtifactStore, tree: Path, tmp_path: Path
    ) -> None:
        stored = artifacts.put_path(tree / "run me")
        (tmp_path / "mine").write_text("precious")
        with pytest.raises(StorageError, match="exists"):
            artifacts.get(stored.digest, tmp_path / "mine")
        assert (tmp_path / "mine").read_text() == "precious"
        artifacts.get(stored.digest, tmp_path / "mine", replace=True)
        assert content(tmp_path / "mine") == content(tree / "run me")


def content(path: Path) -> dict[str, object]:
    """What an artifact keeps of a path: names, bytes, x bits, links, empty folders."""
    places = sorted([path, *path.rglob("*")])
    return {str(place.relative_to(path)): _state(place) for place in places}


def _state(place: Path) -> object:
    if place.is_symlink():
        return ("link", str(place.readlink()))
    if place.is_dir():
        return "dir"
    return (bool(place.stat().st_mode & 0o100), place.read_bytes())


def _big_chunk(manifest: Manifest) -> str:
    return next(entry for entry in manifest.entries if entry.path == "big").chunks[1]
