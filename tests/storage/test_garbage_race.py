"""A writer and a collection, each a process of its own, on real stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stix.storage.artifacts import ArtifactStore, Timing
from stix.storage.registry import open_store
from tests.support.s3 import S3Server

COMMON = """
import json, os, random, sys, time
from pathlib import Path
from stix.storage.artifacts import ArtifactStore, Timing, Wish
from stix.storage.base import Corrupt, StorageError
from stix.storage.registry import open_store
options = json.loads(os.environ["STORE_OPTIONS"])
timing = Timing(*json.loads(os.environ["TIMING"]))
store = ArtifactStore.over(open_store(sys.argv[1], **options), sys.argv[1], timing)
roots, me = Path(sys.argv[2]), sys.argv[3]
least, most = (time.monotonic() + float(word) for word in sys.argv[4:6])
def goes_on(enough):
    # Until all have done enough: a busy machine takes longer and proves as much.
    if enough:
        (roots.parent / f"enough-{me}").touch()
    now = time.monotonic()
    return now < most and (now < least or len(list(roots.parent.glob("enough-*"))) < 3)
"""
WRITER = (
    COMMON
    + """
chance, written, slow = random.Random(int(me)), 0, 0
trees = []
for number in range(12):
    tree = roots.parent / f"tree{me}-{number}"
    tree.mkdir()
    for name in chance.sample("abcdefgh", 4):
        (tree / name).write_bytes(name.encode() * 500)
    trees.append(tree)
while goes_on(written > 2):
    begun = time.monotonic()
    try:
        digest = store.put_path(chance.choice(trees)).digest
    except Corrupt:
        raise
    except StorageError:
        slow += 1
        continue
    root = roots / f"{digest}.{me}"
    root.touch()
    # Too late to be recorded. S3 tells whole seconds: what it calls old may be one younger.
    if time.monotonic() - begun > 2 * timing.fresh_s - 1:
        root.unlink()
        slow += 1
        continue
    written += 1
    store.verify(digest)
    if chance.random() < 0.8:
        root.unlink()
    time.sleep(chance.choice([0, 0, 0.3, 1]))
for root in roots.glob(f"*.{me}"):
    store.verify(root.name.partition(".")[0])
print(json.dumps({"written": written, "slow": slow}))
"""
)
COLLECTOR = (
    COMMON
    + """
freed = late = 0
while goes_on(freed > 0):
    try:
        freed += store.gc(Wish(lambda: {p.name.partition(".")[0] for p in roots.iterdir()})).bytes
    except Corrupt:
        raise
    except StorageError:
        late += 1
    time.sleep(0.1)
print(json.dumps({"freed": freed, "late": late}))
"""
)
MOST = 200
"""Seconds of the race, if not all have done enough before."""


def pace(folder: Path, url: str, options: dict[str, str]) -> Timing:
    """Spans in which this machine, as busy as it is, can write and record an artifact."""
    store = ArtifactStore.over(open_store(url, **options), url)
    took = 0.0
    for number in range(3):
        file = folder / f"pace{number}"
        file.write_text(str(number))
        begun = time.monotonic()
        store.put_path(file)
        took = time.monotonic() - begun if number else 0.0  # the first opens connections
    fresh = max(2.0, min(10.0, 10 * took))
    return Timing(fresh, 5 * fresh, 1.5 * fresh)


def race(folder: Path, url: str, options: dict[str, str]) -> list[dict[str, int]]:
    """Two writers and a collection at once; what each says at its end."""
    roots = folder / "roots"
    roots.mkdir()
    timing = pace(folder, f"{url}-pace", options)
    environment = {
        **os.environ,
        "STORE_OPTIONS": json.dumps(options),
        "TIMING": json.dumps([timing.fresh_s, timing.hold_s, timing.sweep_s]),
    }
    times = [str(timing.grace_s + 2 * timing.fresh_s), str(MOST)]
    commands = [
        [program, url, str(roots), me, *times]
        for me, program in (("1", WRITER), ("2", WRITER), ("3", COLLECTOR))
    ]
    processes = [
        subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, env=environment)
        for command in commands
    ]
    try:
        said = [process.communicate(timeout=MOST + 60)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [json.loads(text) for text in said]


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_what_a_root_names_outlives_any_collection(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, options = (tmp_path / "store").as_uri(), {}
    if kind == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        url, options = server.url("race"), server.options()
    one, two, collection = race(tmp_path, url, options)
    assert one["written"] > 2 and two["written"] > 2
    assert collection["freed"] > 0
