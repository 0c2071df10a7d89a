"""A writer that is killed at any moment leaves a valid store."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stix.storage.artifacts import ArtifactStore
from stix.storage.artifacts.manifest import sha256
from stix.storage.testing.artifacts import content

WRITER = """
import sys
from stix.storage.artifacts import ArtifactStore
store = ArtifactStore(sys.argv[1])
print("ready", flush=True)
for path in sys.argv[2:]:
    print(store.put_path(path).digest, flush=True)
"""
READER = """
import sys
from stix.storage.artifacts import ArtifactStore
store = ArtifactStore(sys.argv[1])
print("ready", flush=True)
store.get(sys.argv[2], sys.argv[3])
"""


def _tree(root: Path, seed: int) -> Path:
    values = random.Random(seed)
    root.mkdir()
    for number in range(60):
        (root / f"f{number}").write_bytes(values.randbytes(values.randrange(200_000)))
    return root


def _kill_after(command: list[str], seconds: float) -> bytes:
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    return process.communicate()[0]


@pytest.mark.parametrize("seed", range(10))
def test_a_killed_writer_leaves_only_whole_things(tmp_path: Path, seed: int) -> None:
    trees = [_tree(tmp_path / f"tree{number}", 10 * seed + number) for number in range(3)]
    store = ArtifactStore((tmp_path / "store").as_uri())
    command = [sys.executable, "-c", WRITER, store.url, *map(str, trees)]
    said = _kill_after(command, random.Random(seed).uniform(0, 0.5)).decode().split()
    committed = store.ls()
    assert set(said) <= set(committed)  # what was reported is there
    for digest in committed:
        store.verify(digest)
    for chunk in (tmp_path / "store" / "chunks").glob("*/[0-9a-f]*"):
        assert sha256(chunk.read_bytes()) == chunk.name
    for tree in trees:  # and the work can simply be done again
        store.verify(store.put_path(tree).digest)


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_reader_leaves_no_half_target(tmp_path: Path, seed: int) -> None:
    tree = _tree(tmp_path / "tree", seed)
    store = ArtifactStore((tmp_path / "store").as_uri())
    digest = store.put_path(tree).digest
    target = tmp_path / "out" / "target"
    command = [sys.executable, "-c", READER, store.url, digest, str(target)]
    _kill_after(command, random.Random(seed).uniform(0, 0.05))
    if not target.exists():
        store.get(digest, target)
    assert content(target) == content(tree)
