"""Checks of several writers: conditions, races, threads, forks, writers that are killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from stix.storage.base import CanPutIfMatch, NotInStore
from stix.storage.testing.place import At, Check, get

WRITERS = 8
_WRITER = """
import json, sys
from stix.storage.registry import open_store
told = json.load(sys.stdin)
store = open_store(told["url"], **told["options"])
store.filesystem().exists(store.path(told["url"]))  # the client is up
print("begins", flush=True)
store.put(told["url"], b"n" * told["size"])
"""


def put_if_absent_keeps_the_first(at: At) -> None:
    assert at.store.put_if_absent(at.url("new/once"), b"first") is True
    assert at.store.put_if_absent(at.url("new/once"), b"second") is False
    assert at.get("new/once") == b"first"


def put_if_absent_of_nothing(at: At) -> None:
    assert at.store.put_if_absent(at.url("mark"), b"") is True
    assert at.store.put_if_absent(at.url("mark"), b"x") is False
    assert at.get("mark") == b""


def put_if_absent_after_put(at: At) -> None:
    at.put("there", b"first")
    assert at.store.put_if_absent(at.url("there"), b"second") is False
    assert at.get("there") == b"first"


def put_if_absent_after_deletion(at: At) -> None:
    at.put("gone", b"x")
    at.store.filesystem().rm_file(at.path("gone"))
    assert at.store.put_if_absent(at.url("gone"), b"y") is True
    assert at.get("gone") == b"y"


def put_if_absent_lets_one_of_many_win(at: At) -> None:
    stores = [at.place.open() for _ in range(2)]
    for turn in range(3):
        url = at.url(f"race/{turn}")

        def write(number: int, url: str = url) -> bool:
            return stores[number % 2].put_if_absent(url, bytes([number]) * 70_000)

        won = _together(write)
        assert won.count(True) == 1
        assert at.get(f"race/{turn}") == bytes([won.index(True)]) * 70_000


def put_if_match_replaces(at: At) -> None:
    store = _matching(at)
    at.put("matched", b"1")
    version = store.version(at.url("matched"))
    assert store.put_if_match(at.url("matched"), b"2", version) is True
    assert at.get("matched") == b"2"


def put_if_match_refuses_the_old(at: At) -> None:
    store = _matching(at)
    at.put("stale", b"1")
    version = store.version(at.url("stale"))
    at.put("stale", b"22")
    assert store.put_if_match(at.url("stale"), b"3", version) is False
    assert at.get("stale") == b"22"


def put_if_match_refuses_what_is_gone(at: At) -> None:
    store = _matching(at)
    at.put("vanished", b"1")
    version = store.version(at.url("vanished"))
    at.store.filesystem().rm_file(at.path("vanished"))
    assert store.put_if_match(at.url("vanished"), b"2", version) is False
    assert not at.store.filesystem().exists(at.path("vanished"))


def version_is_of_the_content(at: At) -> None:
    store = _matching(at)
    at.put("versioned", b"1")
    first = store.version(at.url("versioned"))
    assert first and store.version(at.url("versioned")) == first
    at.put("versioned", b"2")
    assert store.version(at.url("versioned")) != first


def version_of_nothing(at: At) -> None:
    with pytest.raises(NotInStore):
        _matching(at).version(at.url("missing"))


def put_if_match_lets_one_of_many_win(at: At) -> None:
    store = _matching(at)
    at.put("contended", b"start")
    version = store.version(at.url("contended"))
    won = _together(
        lambda number: store.put_if_match(at.url("contended"), bytes([number]) * 999, version)
    )
    assert won.count(True) == 1
    assert at.get("contended") == bytes([won.index(True)]) * 999


def put_if_match_loses_no_count(at: At) -> None:
    store = _matching(at)
    url = at.url("counter")
    at.put("counter", b"0")

    def add(_: int) -> bool:
        for _try in range(200):
            version = store.version(url)
            count = int(at.get("counter"))
            if store.put_if_match(url, str(count + 1).encode(), version):
                return True
        return False

    assert all(_together(add))
    assert at.get("counter") == str(WRITERS).encode()


def readers_see_whole_objects(at: At) -> None:
    versions = [bytes([number]) * 300_000 for number in range(2)]
    at.put("whole", versions[0])
    with ThreadPoolExecutor(4) as pool:
        reads = pool.map(lambda _: at.get("whole") in versions, range(40))
        for number in range(20):
            at.put("whole", versions[number % 2])
        assert all(reads)


def one_of_many_puts_remains_whole(at: At) -> None:
    def write(number: int) -> bool:
        at.put("last", bytes([number]) * 400_000)
        return True

    assert all(_together(write))
    data = at.get("last")
    assert len(data) == 400_000
    assert len(set(data)) == 1


def deletes_and_puts_cross(at: At) -> None:
    """Whatever comes last, the object is whole or not there, and nobody fails."""

    def cross(number: int) -> bool:
        if number % 2:
            at.put("crossed", b"x" * 1000)
            return True
        try:
            with at.store.errors(at.url("crossed")):
                at.store.filesystem().rm_file(at.path("crossed"))
        except NotInStore:
            pass
        return True

    assert all(_together(cross))
    with contextlib.suppress(NotInStore):
        assert at.get("crossed") == b"x" * 1000


def many_threads_share_a_store(at: At) -> None:
    def trip(number: int) -> bool:
        data = str(number).encode() * 1000
        at.put(f"threads/{number}", data)
        return at.get(f"threads/{number}") == data

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(trip, range(64)))


def a_store_survives_a_fork(at: At) -> None:
    """Used before, in the child and in the parent afterwards."""
    at.put("fork/parent", b"before")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            at.put("fork/child", get(at.store, at.url("fork/parent")) + b" child")
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert at.get("fork/child") == b"before child"
    at.put("fork/parent", b"after")
    assert at.get("fork/parent") == b"after"


def a_killed_writer_leaves_old_or_new(at: At) -> None:
    size = 24 * 2**20
    at.put("killed", b"o" * 1000)
    for seconds in (0.02, 0.15):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            told = {"url": at.url("killed"), "options": dict(at.place.options), "size": size}
            child.stdin.write(json.dumps(told).encode())
            child.stdin.close()
            assert child.stdout.readline() == b"begins\n"
            time.sleep(seconds)
            child.kill()
        assert at.get("killed") in (b"o" * 1000, b"n" * size)


def _matching(at: At) -> CanPutIfMatch:
    assert isinstance(at.store, CanPutIfMatch)
    return at.store


def _together(act: Callable[[int], bool]) -> list[bool]:
    """What eight threads get that start at one moment."""
    barrier = Barrier(WRITERS)

    def one(number: int) -> bool:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


CHECKS: tuple[Check, ...] = (
    Check(put_if_absent_keeps_the_first),
    Check(put_if_absent_of_nothing),
    Check(put_if_absent_after_put),
    Check(put_if_absent_after_deletion),
    Check(put_if_absent_lets_one_of_many_win),
    Check(put_if_match_replaces, needs=CanPutIfMatch),
    Check(put_if_match_refuses_the_old, needs=CanPutIfMatch),
    Check(put_if_match_refuses_what_is_gone, needs=CanPutIfMatch),
    Check(version_is_of_the_content, needs=CanPutIfMatch),
    Check(version_of_nothing, needs=CanPutIfMatch),
    Check(put_if_match_lets_one_of_many_win, needs=CanPutIfMatch),
    Check(put_if_match_loses_no_count, needs=CanPutIfMatch),
    Check(readers_see_whole_objects),
    Check(one_of_many_puts_remains_whole),
    Check(deletes_and_puts_cross),
    Check(many_threads_share_a_store),
    Check(a_store_survives_a_fork),
    Check(a_killed_writer_leaves_old_or_new),
)
