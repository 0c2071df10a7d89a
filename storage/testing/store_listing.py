"""Checks of listings."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

from stix.storage.base import NotInStore
from stix.storage.testing.place import At, Check


def lists_every_page(at: At) -> None:
    names = [f"{index % 7}/{index:05}" for index in range(at.place.listed)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: at.put(f"list/{name}", b"x"), names))
    assert at.find("list") == sorted(names)


def lists_what_is_there_now(at: At) -> None:
    other = at.place.open()
    at.put("fresh/1", b"x")
    assert at.find("fresh") == ["1"]
    other.put(at.url("fresh/2"), b"x")
    assert at.find("fresh") == ["1", "2"]
    at.store.filesystem().rm_file(at.path("fresh/1"))
    assert at.find("fresh") == ["2"]


def lists_one_level(at: At) -> None:
    for name in ("a", "b/c", "b/d/e"):
        at.put(f"level/{name}", b"x")
    listed = at.store.filesystem().ls(at.path("level"), detail=True)
    found = {str(one["name"]).rstrip("/").rpartition("/")[2]: one["type"] for one in listed}
    assert found == {"a": "file", "b": "directory"}


def lists_no_neighbours(at: At) -> None:
    for name in ("run", "run-2", "run.old", "running"):
        at.put(f"near/{name}/x", b"x")
    assert at.find("near/run") == ["x"]


def lists_sizes(at: At) -> None:
    for size in (0, 7, 70_000):
        at.put(f"sizes/{size}", b"x" * size)
    found = at.store.filesystem().find(at.path("sizes"), detail=True)
    sizes = {str(path).rpartition("/")[2]: one["size"] for path, one in found.items()}
    assert sizes == {"0": 0, "7": 7, "70000": 70_000}


def adds_up(at: At) -> None:
    for number in range(5):
        at.put(f"sum/{number % 2}/{number}", b"x" * 1000 * number)
    assert at.store.filesystem().du(at.path("sum")) == 10_000


def lists_nothing_where_nothing_is(at: At) -> None:
    with contextlib.suppress(NotInStore):
        assert at.find("nowhere") == []


def tells_prefixes_from_objects(at: At) -> None:
    at.put("kind/inner/x", b"x")
    filesystem = at.store.filesystem()
    assert filesystem.info(at.path("kind/inner"))["type"] == "directory"
    assert filesystem.isdir(at.path("kind"))
    assert filesystem.isfile(at.path("kind/inner/x"))


def misses_nothing_while_others_write(at: At) -> None:
    """What was there before the listing began and stays is in it."""
    kept = [f"{number:03}" for number in range(0, 60, 2)]
    for name in kept:
        at.put(f"busy/{name}", b"x")
    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(at.put, f"busy/{number:03}", b"x") for number in range(1, 60, 2)]
        found = set(at.find("busy"))
        for write in writes:
            write.result()
    assert set(kept) <= found
    assert len(at.find("busy")) == 60


def globs(at: At) -> None:
    for name in ("a.csv", "b.csv", "c.txt"):
        at.put(f"glob/{name}", b"x")
    found = at.store.filesystem().glob(f"{at.path('glob')}/*.csv")
    assert sorted(str(path).rpartition("/")[2] for path in found) == ["a.csv", "b.csv"]


CHECKS: tuple[Check, ...] = tuple(
    map(
        Check,
        (
            lists_every_page,
            lists_what_is_there_now,
            lists_one_level,
            lists_no_neighbours,
            lists_sizes,
            adds_up,
            lists_nothing_where_nothing_is,
            tells_prefixes_from_objects,
            misses_nothing_while_others_write,
            globs,
        ),
    )
)
