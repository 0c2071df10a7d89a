"""Copies from stores to this machine."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stix.storage.base import NotInStore, StorageError
from stix.storage.registry import open_store
from stix.storage.transfer import PIECE, Fetched, Options, Progress, copy, fetch
from tests.support.s3 import S3Server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "run").write_bytes(b"#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / "sub" / "big").write_bytes(random.Random(5).randbytes(3 * PIECE + 11))
    return root


def test_a_folder_with_its_x_bits_and_empty_folders(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    size = 3 * PIECE + 21
    assert fetch(source.as_uri(), target) == Fetched(2, size, size)
    assert os.access(target / "run", os.X_OK)
    assert not os.access(target / "sub" / "big", os.X_OK)
    assert (target / "sub" / "empty").is_dir()
    assert (target / "sub" / "big").read_bytes() == (source / "sub" / "big").read_bytes()
    assert fetch(f"{source.as_uri()}/", target) == Fetched(2, size, 0)


def test_only_what_changed_is_read_and_other_files_stay(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    fetch(source.as_uri(), target)
    (target / "mine").write_text("kept")
    (source / "run").write_bytes(b"#!/bin/bash\n")
    assert fetch(source.as_uri(), target).new_bytes == 12
    assert (target / "run").read_bytes() == b"#!/bin/bash\n"
    assert (target / "mine").read_text() == "kept"


class Cut(Exception):
    """Ends a copy from within, as a kill would from without."""


def _cut(source: Path, target: Path, least: int) -> Path:
    """Copy until so many bytes are there; the file that is left."""

    def tell(progress: Progress) -> None:
        if progress.bytes_done >= least:
            raise Cut

    with pytest.raises(Cut):
        copy(str(source), str(target), Options(progress=tell, workers=2))
    (left,) = target.parent.glob(".target.*.part")
    return left


def test_a_cut_copy_goes_on(source: Path, tmp_path: Path) -> None:
    big, target = source / "sub" / "big", tmp_path / "target"
    _cut(big, target, PIECE)
    done = fetch(big.as_uri(), target)
    assert 0 < done.new_bytes <= 2 * PIECE + 11
    assert target.read_bytes() == big.read_bytes()
    assert target.stat().st_mtime == big.stat().st_mtime
    assert not list(tmp_path.glob(".target.*.part"))


def test_what_another_program_left_is_not_trusted(source: Path, tmp_path: Path) -> None:
    big, target = source / "sub" / "big", tmp_path / "target"
    left = _cut(big, target, 2 * PIECE)
    with left.open("r+b") as file:  # as it is after the machine started anew
        file.seek(big.stat().st_size)
        file.write(b"begun on another day")
    assert fetch(big.as_uri(), target).new_bytes == big.stat().st_size
    assert target.read_bytes() == big.read_bytes()


def test_a_copy_that_reads_nothing_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def tell(progress: Progress) -> None:
        big.write_bytes(b"changed" * PIECE)

    big, target = source / "sub" / "big", tmp_path / "target"
    with pytest.raises(StorageError, match="changed"):
        copy(str(big), str(target), Options(progress=tell))
    assert not list(tmp_path.glob("*target*"))


def test_a_disk_that_is_full_says_so_before_the_copy(source: Path, tmp_path: Path) -> None:
    big = source / "sub" / "big"
    code = (
        "import resource, sys; from stix.storage.transfer import fetch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**7, 10**7))\n"
        "fetch(sys.argv[1], sys.argv[2])"
    )
    command = [sys.executable, "-c", code, big.as_uri(), str(tmp_path / "target")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "StorageError" in done.stderr and "cannot be written: File too large" in done.stderr
    assert not list(tmp_path.glob("*target*"))


def test_copies_of_the_same_at_once(source: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: fetch(source.as_uri(), tmp_path / "target"), range(4)))
    assert sum(one.new_bytes for one in done) == done[0].bytes
    assert (tmp_path / "target/sub/big").read_bytes() == (source / "sub/big").read_bytes()


def test_what_is_not_there(source: Path, tmp_path: Path) -> None:
    for url in ((source / "nothing").as_uri(), f"{(source / 'run').as_uri()}/"):
        with pytest.raises(NotInStore):
            fetch(url, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_target_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        fetch(source.as_uri(), tmp_path / "file" / "target")


def test_a_bucket_with_an_object_that_is_also_a_prefix(s3_server: S3Server, tmp_path: Path) -> None:
    options = s3_server.options()
    store = open_store(s3_server.url(), **options)
    store.put(s3_server.url("transfer/x/1"), b"one")
    store.put(s3_server.url("transfer/x/2"), b"two")
    found = fetch(s3_server.url("transfer/"), tmp_path / "all", **options)
    assert found == Fetched(2, 6, 6)
    with pytest.raises(NotInStore):
        fetch(s3_server.url("transfer/nothing"), tmp_path / "none", **options)
    with pytest.raises(NotInStore, match="bucket"):
        open_store("s3://no-such-bucket", **options).put("s3://no-such-bucket/x", b"x")


def _run(code: str, url: str, s3_server: S3Server, home: Path) -> tuple[str, str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **s3_server.environment()}
    command = [sys.executable, "-c", code, url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.stdout, done.stderr


def test_the_usual_aws_chain(s3_server: S3Server, tmp_path: Path) -> None:
    """Credentials of the environment reach a process that gives no option."""
    code = (
        "import sys; from stix.storage.artifacts import ArtifactStore\n"
        "store = ArtifactStore(sys.argv[1])\n"
        "print(b''.join(store.read(store.put_bytes(b'by chain', 'x').digest)).decode())"
    )
    assert _run(code, s3_server.url("chain"), s3_server, tmp_path)[0] == "by chain\n"


def test_a_store_survives_a_fork(s3_server: S3Server, tmp_path: Path) -> None:
    code = (
        "import os, sys; from stix.storage.artifacts import ArtifactStore\n"
        "store = ArtifactStore(sys.argv[1])\n"
        "store.put_bytes(b'before', 'x')\n"
        "child = os.fork()\n"
        "store.put_bytes(b'child' if child == 0 else b'parent', 'x')\n"
        "if child: print(os.waitpid(child, 0)[1], len(store.ls()))"
    )
    assert _run(code, s3_server.url("fork"), s3_server, tmp_path) == ("0 3\n", "")
