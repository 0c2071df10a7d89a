"""What only a server can refuse: one clear message, an exit code of 1 or 2, no traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.conftest import CONFIG
from tests.acceptance.leftovers import leftovers, query
from tests.acceptance.user import User
from tests.support.server import NewServer

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class Bad:
    """A pipeline that cannot run, where the message must point, and what it must say."""

    text: str
    at: str
    words: tuple[str, ...]
    options: tuple[str, ...] = ()


UNPLACED = {
    "too many cpus": Bad(
        "name: x\nstages:\n  one:\n    resources: {cpus: 100}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("one", "100", "8"),
    ),
    "too much memory": Bad(
        "name: x\nstages:\n  one:\n    resources: {memory: 5000}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("one", "5000"),
    ),
    "no such accelerator": Bad(
        "name: x\nstages:\n  one:\n    resources: {accelerators: H200}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("one", "H200"),
    ),
    "more accelerators than there are": Bad(
        "name: x\nstages:\n  one:\n    resources: {accelerators: 'A100:16'}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("one", "A100"),
    ),
    "no such cloud": Bad(
        "name: x\nstages:\n  one:\n    resources: {infra: lokal}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("lokal", "local"),
    ),
    "no spot": Bad(
        "name: x\nstages:\n  one:\n    resources: {use_spot: true}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("one", "spot"),
    ),
    "too dear": Bad(
        "name: x\nstages:\n  one:\n    resources: {max_hourly_cost: 0.5}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("one", "0.5"),
    ),
    "more nodes than fit": Bad(
        "name: x\nstages:\n  one:\n    num_nodes: 3\n    resources: {cpus: 4}\n    run: 'true'\n",
        "pipeline.yaml:",
        ("one", "3"),
    ),
    "no such pool": Bad(
        "name: x\nstages:\n  one:\n    resources: {infra: ssh/nowhere}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("ssh/nowhere",),
    ),
}
REFUSED = {
    "refused field": Bad(
        "name: x\nstages:\n  one:\n    resources: {priority: 8}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("priority",),
    ),
    "secret missing": Bad(
        "name: x\nstages:\n  one:\n    secrets: {TOKEN: null}\n    run: 'true'\n",
        "pipeline.yaml:4:",
        ("TOKEN", "--secret TOKEN"),
    ),
    "secret not in the environment": Bad(
        "name: x\nstages: {one: {run: 'true'}}\n",
        "--secret NO_SUCH_VARIABLE",
        ("environment",),
        ("--secret", "NO_SUCH_VARIABLE"),
    ),
    "negative deadline": Bad(
        "name: x\ndeadline: -5s\nstages: {one: {run: 'true'}}\n",
        "pipeline.yaml:2:",
        ("deadline",),
    ),
    "no such stage to force": Bad(
        "name: x\nstages: {one: {run: 'true'}}\n", "two", ("one",), ("--force", "two")
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_pipeline_that_cannot_run(user: User, name: str) -> None:
    bad = REFUSED[name]
    runs = len(user.client.runs(limit=1000))
    done = user.cli("run", user.write(bad.text), *bad.options, code=None)
    said = done.stdout + done.stderr
    assert done.returncode in (1, 2), said
    assert "Traceback" not in said
    assert bad.at in said, said
    assert "fix:" in said, said
    for word in bad.words:
        assert word in said, said
    assert len(user.client.runs(limit=1000)) == runs
    assert leftovers(user.server) == {}


@pytest.mark.parametrize("name", UNPLACED)
def test_a_pipeline_that_fits_nowhere(user: User, name: str) -> None:
    bad = UNPLACED[name]
    for command in ("plan", "run"):
        done = user.cli(command, user.write(bad.text), code=1 if command == "run" else None)
        said = done.stdout + done.stderr
        assert done.returncode in (1, 2), said
        assert "Traceback" not in said
        assert "fix:" in done.stderr, said
        for word in (bad.at, *bad.words) if command == "plan" else bad.words:
            assert word in done.stderr, said
    assert leftovers(user.server) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "show", "none-such"),
        ("logs", "none-such"),
        ("cancel", "none-such"),
        ("resume", "none-such"),
        ("why", "none-such", "one"),
        ("artifacts", "get", "one.out", "--run", "none-such"),
        ("chaos", "preempt", "none-such"),
    ],
)
def test_unknown_names(user: User, arguments: tuple[str, ...]) -> None:
    done = user.cli(*arguments, code=None)
    assert done.returncode in (1, 2), done
    assert "Traceback" not in done.stderr
    assert "none-such" in done.stderr and "fix:" in done.stderr, done.stderr


@pytest.fixture
def tight(new_server: NewServer) -> Iterator[User]:
    """A server whose artifact store lies on a file system of 2 MiB."""
    server = new_server(CONFIG, started=False)
    store = server.home / "artifacts"
    store.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this machine cannot mount a tmpfs: {done.stderr}")
    folder = server.home / "work"
    folder.mkdir()
    try:
        yield User(server.start(), folder)
        server.stop()
    finally:
        subprocess.run(["umount", "-l", str(store)], check=True)


def test_an_upload_to_a_full_disk(tight: User) -> None:
    workdir = tight.folder / "data"
    workdir.mkdir()
    shutil.copy(shutil.which("bash") or "/bin/sh", workdir / "one")
    (workdir / "two").write_bytes(bytes(range(256)) * 40_000)
    text = "name: x\nstages: {one: {workdir: data, run: ls}}\n"
    with (workdir / "random").open("wb") as file, Path("/dev/urandom").open("rb") as source:
        file.write(source.read(5_000_000))
    done = tight.cli("run", tight.write(text), code=1)
    assert "space" in done.stderr and "fix:" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert query(tight.server, "stix", "select id from runs") == []
    shown = json.loads(tight.cli("status", "--output", "json", code=None).stdout or "{}")
    assert shown != {}
