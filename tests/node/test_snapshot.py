"""Copies of a directory at rest, by the agent's own command."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stix.node.agent.errors import AgentError
from stix.node.agent.snapshot import snapshot
from stix.remote.agent import AgentError as Refused
from stix.remote.agent import HostAgent

OLD = 1_000_000_000.0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The directory of a program."""
    made = tmp_path / "state"
    made.mkdir()
    return made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "copy"


def take(place: Path, target: Path, seconds: float = 20.0, mark: str = "") -> dict[str, Any]:
    return snapshot({"source": str(place), "target": str(target), "seconds": seconds, "mark": mark})


def listing(root: Path) -> dict[str, Any]:
    """Everything below: content of files, targets of links, modes of files."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_dir():
            found[name] = ("dir",)
        else:
            found[name] = (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    return found


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Something that goes on in another thread until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_all_that_is_there(place: Path, target: Path) -> None:
    (place / "a").write_bytes(b"\0" * 3_000_000)
    (place / "a").chmod(0o640)
    (place / "run.sh").write_text("x")
    (place / "run.sh").chmod(0o755)
    (place / "no").touch()
    (place / "deep" / "er").mkdir(parents=True)
    (place / "deep" / "er" / "ünï cøde\n").write_text("y")
    (place / "hollow").mkdir()
    (place / "latest").symlink_to("deep/er")
    (place / "dangling").symlink_to("nowhere")
    found = take(place, target)
    assert (found["state"], found["files"], found["bytes"]) == ("taken", 6, 3_000_002)
    assert listing(target) == listing(place)
    assert found["newest"] == max(p.lstat().st_mtime_ns for p in place.rglob("*")) / 1e9


def test_nothing_to_copy(place: Path, target: Path) -> None:
    assert take(place / "never", target) == {"state": "missing"}
    assert take(place, target) == {"state": "missing"}
    (place / "only").mkdir()
    assert take(place, target) == {"state": "missing"}
    assert not target.exists()


@pytest.mark.parametrize("odd", ["pipe", "socket"])
def test_what_is_neither_file_nor_link_is_refused(
    place: Path, target: Path, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "a").touch()
    if odd == "pipe":
        os.mkfifo(place / "odd")
    else:
        monkeypatch.chdir(place)  # a socket's path must be short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("odd")
    with pytest.raises(AgentError, match="odd is neither a file nor a link"):
        take(place, target)
    assert not target.exists()


def test_files_that_change_together_are_copied_together(place: Path, target: Path) -> None:
    """Two files with the same number each time: a copy never has two numbers."""

    def write(stop: threading.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for name in ("a", "b"):
                (place / name).write_text(str(number) * 1000)
            if number % 20 == 0:
                stop.wait(0.3)  # it rests now and then

    (place / "a").write_text("0")
    (place / "b").write_text("0")
    with beside(write):
        for _ in range(3):
            assert take(place, target)["state"] == "taken"
            assert (target / "a").read_text() == (target / "b").read_text()


def test_files_that_come_and_go(place: Path, target: Path) -> None:
    """The list is that of one moment: a folder is written anew, and renamed into its place."""

    def turn(stop: threading.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            new = place / f"step-{number}"
            new.mkdir()
            for name in ("model", "optimizer"):
                (new / name).write_text(str(number))
            for name in ("model", "optimizer"):
                (place / f"step-{number - 1}" / name).unlink(missing_ok=True)
            if number > 1:
                (place / f"step-{number - 1}").rmdir()
            stop.wait(0.25)

    (place / "config").write_text("{}")
    with beside(turn):
        for _ in range(3):
            assert take(place, target)["state"] == "taken"
            texts = {path.read_text() for path in target.glob("step-*/*")}
            assert len(texts) == 1 or not list(target.glob("step-*"))


def test_what_never_rests_gives_no_copy_and_leaves_the_last(place: Path, target: Path) -> None:
    """A time in the future stands for a file that is written again and again."""
    (place / "a").write_text("first")
    assert take(place, target)["state"] == "taken"
    (place / "a").write_text("second")
    os.utime(place / "a", (time.time() + 3600, time.time() + 3600))
    assert take(place, target, seconds=0.3) == {"state": "restless"}
    assert (target / "a").read_text() == "first"
    assert not Path(f"{target}.new").exists()


def test_what_a_killed_copy_left_is_no_part_of_the_next(place: Path, target: Path) -> None:
    (place / "a").write_text("now")
    draft = Path(f"{target}.new")
    (draft / "closed").mkdir(parents=True)
    (draft / "closed" / "b").write_text("then")
    (draft / "closed").chmod(0)
    target.mkdir()
    (target / "c").write_text("older")
    assert take(place, target)["state"] == "taken"
    assert listing(target) == listing(place)
    assert not draft.exists()


def test_one_copy_at_a_time(place: Path, target: Path) -> None:
    (place / "a").touch()
    lock = os.open(f"{target}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert take(place, target, seconds=0.2) == {"state": "busy"}
    finally:
        os.close(lock)
    assert take(place, target)["state"] == "taken"


def change(place: Path) -> None:
    (place / "a").write_text("new")


def touch(place: Path) -> None:
    os.utime(place / "a", (OLD, OLD))


def add(place: Path) -> None:
    (place / "b").touch()


def drop(place: Path) -> None:
    (place / "sub" / "c").unlink()


def same_size_and_time(place: Path) -> None:
    """Only the time of the inode tells it."""
    before = (place / "a").stat()
    (place / "a").write_text("ole")
    os.utime(place / "a", ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("edit", [change, touch, add, drop, same_size_and_time])
def test_only_what_changed_is_copied(
    place: Path, target: Path, edit: Callable[[Path], None]
) -> None:
    (place / "a").write_text("old")
    (place / "sub").mkdir()
    (place / "sub" / "c").write_text("c")
    first = take(place, target)
    shutil.rmtree(target)  # it has been stored
    again = take(place, target, mark=first["mark"])
    assert (again["state"], again["mark"]) == ("unchanged", first["mark"])
    assert not target.exists()
    edit(place)
    found = take(place, target, mark=first["mark"])
    assert found["state"] == "taken"
    assert found["mark"] != first["mark"]
    assert listing(target) == listing(place)


async def test_by_the_command_on_a_host(agent: HostAgent, place: Path, target: Path) -> None:
    (place / "a").write_text("x")
    found = await agent.snapshot(str(place), str(target), seconds=20)
    assert found["state"] == "taken"
    again = await agent.snapshot(str(place), str(target), seconds=20, mark=found["mark"])
    assert again["state"] == "unchanged"
    os.mkfifo(place / "pipe")
    with pytest.raises(Refused) as caught:
        await agent.snapshot(str(place), str(target), seconds=20)
    assert caught.value.code == "invalid"
