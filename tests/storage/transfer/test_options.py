"""What a copy takes and leaves, at its bounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stix.storage.base import NotInStore, StorageError
from stix.storage.registry import open_store
from stix.storage.transfer import PIECE, Options, Progress, copy
from stix.storage.transfer.entries import Wanted, piece_size
from stix.storage.transfer.limit import Meter
from tests.storage.transfer.ends import STORES, Place, tree


@pytest.mark.parametrize(
    ("include", "exclude", "kept"),
    [
        ([], [], ["a.txt", "b.log", "d/c.txt", "d/e/f.log"]),
        (["*.txt"], [], ["a.txt", "d/c.txt"]),
        ([], ["*.log"], ["a.txt", "d/c.txt"]),
        ([], ["d/"], ["a.txt", "b.log"]),
        (["d/"], ["*.txt"], ["d/e/f.log"]),
        ([], ["*", "!*.txt"], ["a.txt"]),  # as in git: d is left out itself
        ([], ["*", "!*/", "!*.txt"], ["a.txt", "d/c.txt"]),
        (["/*.txt"], [], ["a.txt"]),
    ],
)
def test_patterns(include: list[str], exclude: list[str], kept: list[str]) -> None:
    wanted = Wanted(include, exclude)
    names = ["a.txt", "b.log", "d/c.txt", "d/e/f.log"]
    assert [name for name in names if wanted(name)] == kept


def test_ignore_files_count_on_request(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    tree(root, 3, 0)
    (root / ".skyignore").write_text("d1/\n")
    assert copy(str(root), str(tmp_path / "all")).files == 4
    assert copy(str(root), str(tmp_path / "some"), Options(ignore_files=True)).files == 3
    assert not (tmp_path / "some" / "d1").exists()


@pytest.mark.parametrize("kind", STORES)
def test_deletes_what_the_source_has_not(
    servers: Callable[[str], Place], tmp_path: Path, kind: str
) -> None:
    place = servers(kind)
    there = tree(tmp_path / "tree", 8, 0)
    options = Options(target=place.options)
    copy(str(tmp_path / "tree"), place.at("copy"), options)
    store = open_store(place.url, **place.options)
    store.put(place.at("copy", "extra"), b"x")
    store.put(place.at("copy", "keep.log"), b"x")
    (tmp_path / "tree" / "d1" / "sub 1" / "f1").unlink()
    assert copy(str(tmp_path / "tree"), place.at("copy"), options).deleted == 0
    deleting = Options(target=place.options, delete=True, exclude=["*.log"])
    assert copy(str(tmp_path / "tree"), place.at("copy"), deleting).deleted == 2
    left = place.contents("copy")
    assert set(left) == set(there) - {"d1/sub 1/f1"} | {"keep.log"}


@pytest.mark.parametrize("kind", STORES)
def test_by_checksum_a_change_that_keeps_size_and_time_is_seen(
    servers: Callable[[str], Place], tmp_path: Path, kind: str
) -> None:
    place = servers(kind)
    root = tmp_path / "tree"
    tree(root, 6, 0)
    copy(str(root), place.at("copy"), Options(target=place.options))
    changed = root / "d5" / "sub 2" / "f5"
    times = changed.stat()
    changed.write_bytes(b"other")
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert copy(str(root), place.at("copy"), Options(target=place.options)).new_bytes == 0
    options = Options(target=place.options, compare="checksum")
    done = copy(str(root), place.at("copy"), options)
    assert (done.new_bytes, done.skipped) == (5, 5)
    assert copy(str(root), place.at("copy"), options).new_bytes == 0


def test_single_files(servers: Callable[[str], Place], tmp_path: Path) -> None:
    place = servers("s3")
    (tmp_path / "one").write_bytes(b"one")
    options = Options(source=place.options, target=place.options)
    near = Options(target=place.options)
    assert copy(str(tmp_path / "one"), place.at("x", "named"), near).files == 1
    assert copy(str(tmp_path / "one"), place.at("x") + "/", near).files == 1
    assert set(place.contents("x")) == {"named", "one"}
    assert copy(place.at("x", "one"), place.at("y", "1"), options).new_bytes == 3
    with pytest.raises(NotInStore):
        copy(place.at("x", "none"), str(tmp_path / "none"), Options(source=place.options))
    with pytest.raises(NotInStore, match="not a prefix"):
        copy(place.at("x", "one/"), str(tmp_path / "none"), Options(source=place.options))


def test_names_that_the_fast_client_cannot_say(
    servers: Callable[[str], Place], tmp_path: Path
) -> None:
    place = servers("s3")
    store = open_store(place.url, **place.options)
    store.put(place.at("odd", "new\nline"), b"x")
    store.put(place.at("odd", "ünï 日本+&#?%41"), b"y")
    store.filesystem().pipe_file(store.path(place.at("odd", "marked", "")), b"")
    store.put(place.at("odd", "marked", "z"), b"z")
    done = copy(place.at("odd"), str(tmp_path / "odd"), Options(source=place.options))
    assert done.files == 3
    assert (tmp_path / "odd" / "new\nline").read_bytes() == b"x"
    assert (tmp_path / "odd" / "ünï 日本+&#?%41").read_bytes() == b"y"


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    tree(tmp_path / "tree", 5, 2 * PIECE)
    told: list[Progress] = []
    done = copy(str(tmp_path / "tree"), str(tmp_path / "copy"), Options(progress=told.append))
    assert told[0] == Progress(6, 0, done.bytes, 0)
    assert told[-1] == Progress(6, 6, done.bytes, done.bytes)
    assert [one.bytes_done for one in told] == sorted(one.bytes_done for one in told)


def test_a_limit_holds_over_all_workers() -> None:
    meter = Meter(Options(limit=1e6))
    start = time.monotonic()
    for _ in range(5):
        meter.take(50_000)
    assert time.monotonic() - start >= 0.2  # the first is free, the others wait for it


def test_bad_options() -> None:
    for bad in ({"limit": 0.0}, {"workers": 0}):
        with pytest.raises(StorageError):
            Options(**bad)


@pytest.mark.parametrize("size", [1, PIECE, 80 * 2**30, 5 * 2**40])
def test_pieces_are_few_enough(size: int) -> None:
    piece = piece_size(size)
    assert -(-size // piece) <= 10_000
    assert piece % 2**20 == 0


def test_a_link_that_leads_back_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    tree(root, 4, 0)
    (root / "d1" / "up").symlink_to("..")
    (root / "d2" / "other").symlink_to("../d3")
    (root / "broken").symlink_to("nowhere")
    assert copy(str(root), str(tmp_path / "copy")).files == 5


def test_a_refusal_shows_no_secret(servers: Callable[[str], Place], tmp_path: Path) -> None:
    place = servers("s3")
    tree(tmp_path / "tree", 2, PIECE + 1)
    wrong = {**place.options, "secret": "not-the-secret-0123456789"}
    options = Options(target=wrong, state=tmp_path / "state")
    with pytest.raises(StorageError) as caught:
        copy(str(tmp_path / "tree"), place.at("denied"), options)
    error: BaseException | None = caught.value
    while error is not None:
        assert "0123456789" not in f"{error} {error!r} {options!r}"
        error = error.__cause__ or error.__context__
