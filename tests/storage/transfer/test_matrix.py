"""Every store to every store, and what a kill leaves."""

from __future__ import annotations

import itertools
import json
import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stix.storage.transfer import PIECE, Options, copy
from tests.storage.transfer.ends import STORES, Place, Seeded, put, tree

FAST = {("file", other) for other in STORES} | {(other, "file") for other in STORES}
FAST |= {("s3", "s3"), ("az", "s3"), ("s3", "sftp")}
KILLED = {("file", "s3"), ("s3", "file"), ("az", "s3"), ("file", "az"), ("s3", "sftp")}


def _pairs(fast: set[tuple[str, str]]) -> list[Any]:
    """All of them; those that are not in ``fast`` in full runs only."""
    return [
        pytest.param(*pair, marks=() if pair in fast else pytest.mark.full)
        for pair in itertools.product(STORES, STORES)
    ]


COPIER = """
import json, sys, threading
from pathlib import Path
from stix.storage.transfer import Options, copy
given = json.load(sys.stdin)
def tell(progress):
    print(progress.bytes_done, flush=True)
options = Options(source=given["from"], target=given["to"], state=Path(given["state"]),
    limit=given["limit"], workers=2, progress=tell)
copy(given["source"], given["target"], options)
print("done", flush=True)
"""


SMALL = [60, pytest.param(2000, marks=[pytest.mark.full, pytest.mark.timeout(1200)])]


@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize(("source", "target"), _pairs(FAST))
def test_a_copy_is_the_same(
    servers: Callable[[str], Place],
    seeded: Callable[[str, int], Seeded],
    tmp_path: Path,
    source: str,
    target: str,
    small: int,
    record_property: Callable[[str, object], None],
) -> None:
    state = tmp_path / "state"
    seed, other = seeded(source, small), servers(target)
    one = seed.place
    options = Options(source=one.options, target=other.options, state=state, verify=True)
    done = copy(one.at("source"), other.at("copy"), options)
    record_property("seconds", round(done.seconds, 2))
    assert (done.files, done.skipped) == (small + 1, 0)
    assert done.new_bytes == done.bytes == seed.size
    assert other.contents("copy") == seed.there
    again = copy(one.at("source"), other.at("copy"), options)
    assert (again.new_bytes, again.skipped) == (0, small + 1)
    assert not state.exists() or not list(state.iterdir())


def _killed_after(given: dict[str, object], least: int, seed: int) -> int:
    """Run a copy and kill it once so many bytes are done; how many it had told of."""
    process = subprocess.Popen(
        [sys.executable, "-c", COPIER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(given).encode())
        process.stdin.close()
        told = 0
        for line in process.stdout:
            if line == b"done\n":
                break
            told = int(line)
            if told >= least:
                # Anywhere until the next piece is told of.
                select.select([process.stdout], [], [], random.Random(seed).uniform(0, 0.1))
                break
        return told
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()


@pytest.mark.parametrize(("source", "target"), _pairs(KILLED))
@pytest.mark.parametrize(
    "seeds",
    [
        range(1),
        pytest.param(range(1, 10), marks=[pytest.mark.full, pytest.mark.timeout(1200)]),
    ],
    ids=["one", "more"],
)
def test_a_killed_copy_goes_on(
    servers: Callable[[str], Place],
    seeded: Callable[[str, int], Seeded],
    tmp_path: Path,
    source: str,
    target: str,
    seeds: range,
    record_property: Callable[[str, object], None],
) -> None:
    state = tmp_path / "state"
    seed = seeded(source, 20)
    place, there = seed.place, seed.there
    old = tmp_path / "old"
    before = tree(old, 0, 2 * PIECE + 1)
    again = []
    for number in seeds:
        other = servers(target)
        put(old, other, "copy", state)
        # At 48 MB/s the copy takes half a second: the kill meets it while it works.
        given = {
            "source": place.at("source"),
            "target": other.at("copy"),
            "from": dict(place.options),
            "to": dict(other.options),
            "state": str(state),
            "limit": 48e6,
        }
        least = random.Random(number).randrange(PIECE, seed.size - PIECE)
        told = _killed_after(given, least, number)
        assert least <= told
        left = other.contents("copy")
        assert left["large.bin"] in {there["large.bin"], before["large.bin"]}
        assert all(there[name] == left[name] for name in left if name in there and name[0] == "d")
        options = Options(source=place.options, target=other.options, state=state)
        done = copy(place.at("source"), other.at("copy"), options)
        assert done.new_bytes < done.bytes, "all was read again"
        assert other.contents("copy") == there
        again.append(round(done.new_bytes / done.bytes, 2))
    record_property("read-again", again)
