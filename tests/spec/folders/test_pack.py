"""Packing of workdirs and files."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stix.spec.folders.pack import PackError, PackInfo, pack
from stix.spec.folders.trees import bad_link, bad_name


def packed(path: Path) -> bytes:
    out = io.BytesIO()
    pack(path, out)
    return out.getvalue()


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o700)
    (root / "sub" / "data").write_bytes(b"x" * 1500)
    (root / "link").symlink_to("sub/data")
    return root


def test_plain_tar_unpacks_it(workdir: Path, tmp_path: Path) -> None:
    out = io.BytesIO()
    assert pack(workdir, out) == PackInfo(files=2, bytes=1510)
    (tmp_path / "there").mkdir()
    subprocess.run(["tar", "-x", "-C", tmp_path / "there"], input=out.getvalue(), check=True)
    assert (tmp_path / "there" / "sub" / "data").read_bytes() == b"x" * 1500
    assert os.access(tmp_path / "there" / "run.sh", os.X_OK)
    assert (tmp_path / "there" / "link").readlink() == Path("sub/data")
    assert (tmp_path / "there" / "sub" / "empty").is_dir()


def test_equal_content_gives_equal_bytes(workdir: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", workdir, other], check=True)
    (other / "z").touch()
    (other / "z").unlink()
    for place in (other, other / "run.sh", other / "sub" / "data"):
        os.utime(place, (1, 1))
    (other / "run.sh").chmod(0o755)
    (other / "sub" / "data").chmod(0o600)
    assert packed(workdir) == packed(other)
    (other / "sub" / "data").write_bytes(b"y" * 1500)
    assert packed(workdir) != packed(other)


def test_ignored_things_stay_behind(workdir: Path) -> None:
    (workdir / ".gitignore").write_text("*.log\nbuild/\n")
    (workdir / "build").mkdir()
    (workdir / "build" / "x").touch()
    (workdir / "a.log").touch()
    (workdir / ".git").mkdir()
    (workdir / "venv.log").symlink_to("/usr/bin")  # an ignored link may point anywhere
    assert names(packed(workdir)) == [
        *[".", ".gitignore", "link", "run.sh", "sub", "sub/data", "sub/empty"]
    ]


def test_a_file_is_one_member_and_never_ignored(workdir: Path) -> None:
    (workdir / ".gitignore").write_text("*\n")
    assert names(packed(workdir / "run.sh")) == ["run.sh"]
    assert names(packed(workdir / "link")) == ["link"]


def test_names_that_are_not_text(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "odd")
    os.mkdir(root)
    for odd in (b"\xff\xfe", "ü".encode() * 60, b"new\nline", b"x" * 200):
        os.close(os.open(root + b"/" + odd, os.O_WRONLY | os.O_CREAT))
    with tarfile.open(fileobj=io.BytesIO(packed(tmp_path / "odd"))) as archive:
        archive.extractall(tmp_path / "back", filter="data")
    assert sorted(os.listdir(os.fsencode(tmp_path / "back"))) == sorted(os.listdir(root))


def test_an_escaping_link_is_named(workdir: Path) -> None:
    for target in ("/etc/passwd", "../outside", "sub/../../outside"):
        (workdir / "bad").symlink_to(target)
        with pytest.raises(PackError, match="bad cannot be sent") as caught:
            packed(workdir)
        assert ".skyignore" in caught.value.fix
        (workdir / "bad").unlink()


def test_a_link_that_escapes_through_another_is_named(workdir: Path) -> None:
    (workdir / "sub" / "up").symlink_to("..")
    packed(workdir)
    (workdir / "sub" / "sly").symlink_to("up/../outside")
    with pytest.raises(PackError, match="sly"):
        packed(workdir)


def test_special_files_are_named(workdir: Path) -> None:
    os.mkfifo(workdir / "pipe")
    with pytest.raises(PackError, match="pipe is neither"):
        packed(workdir)
    (workdir / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(workdir)  # a socket's path must be short
        try:
            listener.bind("s")
        finally:
            os.chdir(here)
        with pytest.raises(PackError, match="s is neither"):
            packed(workdir)


def test_missing_and_unreadable_things_are_named(workdir: Path) -> None:
    with pytest.raises(PackError, match="nothing cannot be read: No such file"):
        packed(workdir / "nothing")
    _let_in(workdir)
    (workdir / "run.sh").chmod(0o755)
    for place in (workdir / "sub" / "data", workdir / "sub"):
        place.chmod(0)
        try:
            with (
                _without_rights(),
                pytest.raises(PackError, match=f"{place} cannot be read: Permission denied"),
            ):
                packed(workdir)
        finally:
            place.chmod(0o755)


@contextmanager
def _without_rights() -> Iterator[None]:
    """Root reads everything: be a user who does not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def _let_in(path: Path) -> None:
    """Let other users reach ``path``, below pytest's private folder."""
    for parent in path.parents:
        if parent.stat().st_uid == os.getuid() and parent.stat().st_mode & 0o077 == 0:
            parent.chmod(0o711)
    path.chmod(0o755)


def test_a_file_that_shrinks_is_named(workdir: Path) -> None:
    (workdir / "moving").write_bytes(b"x" * 5_000_000)

    class Shrinking(io.BytesIO):
        def write(self, data: object) -> int:
            os.truncate(workdir / "moving", 3_000_000)
            return len(data)  # type: ignore[arg-type]

    with pytest.raises(PackError, match="moving changed"):
        pack(workdir, Shrinking())


def test_a_pipe_is_enough_for_the_output(workdir: Path) -> None:
    reader, writer = os.pipe()
    parts: list[bytes] = []

    def drain() -> None:
        with os.fdopen(reader, "rb") as file:
            parts.append(file.read())

    thread = threading.Thread(target=drain)
    thread.start()
    with os.fdopen(writer, "wb") as out:
        pack(workdir, out)
    thread.join()
    assert parts[0] == packed(workdir)


def test_it_loads_nothing_heavy() -> None:
    code = "import sys, stix.spec.folders.pack; print(*{n.split('.')[0] for n in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"pydantic", "prefect", "fsspec", "s3fs", "boto3", "pathspec", "asyncio"}
    assert not heavy & set(loaded.stdout.split())


@pytest.mark.parametrize("name", ["", "/a", "a/../b", "..", "a//b", "./a", "a/", "a\0b"])
def test_dangerous_names(name: str) -> None:
    assert bad_name(name) is not None


@pytest.mark.parametrize("name", ["a", "a/b", "...", "a b", "a\\b", "-x", "~"])
def test_harmless_names(name: str) -> None:
    assert bad_name(name) is None


def test_a_ring_of_links_leads_nowhere() -> None:
    links = {"a": "b", "b": "a", "c": "a/../../x", "d": "d/x"}
    assert bad_link("a", links) is None
    assert bad_link("d", links) is None
