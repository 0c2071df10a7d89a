"""Each kind of store that can be run here, mounted with the credentials that a node would get."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stix.remote.local import LocalRunner
from stix.spec.buckets import is_written
from stix.spec.storage import StorageMount
from stix.storage.base import CanManageBuckets
from stix.storage.mounts import (
    Bounds,
    Place,
    Wish,
    await_mounted,
    flush,
    granted,
    mount_command,
    options_of,
    probe,
    with_rclone,
)
from stix.storage.registry import open_store
from stix.storage.stores.az import AzOptions
from tests.support import azurite, sftp
from tests.support.fuse import mounted, need_fuse, unmount_all
from tests.support.s3 import S3Server, s3_server

__all__ = ["s3_server"]

BOUNDS = Bounds(mount=30, flush=30)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    need_fuse()
    yield tmp_path / "m"
    unmount_all(tmp_path)


@asynccontextmanager
async def mount(url: str, spec: StorageMount, folder: Path) -> AsyncIterator[tuple[Path, str]]:
    """The mounted folder, and the program that mounts."""
    write = is_written(spec)
    grant = granted(url, write=write, seconds=900)
    runner = LocalRunner()
    found = await with_rclone(await probe(runner), runner, str(folder / "tools"))
    place = Place(str(folder), "0")
    wish = Wish(url, spec.mode, grant.plan, grant.access, write, options_of(spec))
    command = mount_command(wish, found, place, BOUNDS)
    env = {**os.environ, **command.env, **command.secrets}
    process = subprocess.Popen(["bash", "-c", command.script], env=env)

    async def alive() -> bool:
        return process.poll() is None

    try:
        assert await await_mounted(runner, place, BOUNDS, alive)
        yield Path(place.point), command.program
    finally:
        process.terminate()
        process.wait(30)


async def works(url: str, folder: Path, mode: str = "MOUNT") -> None:
    """Read, write, append, rename, remove; the store has it all."""
    store = open_store(url)
    store.put(f"{url}/part/in", b"here\n")
    spec = StorageMount(source=url, mode=mode)
    async with mount(url, spec, folder) as (point, program):
        assert (point / "part" / "in").read_text() == "here\n"
        (point / "new").write_bytes(b"x" * 100_000)
        with (point / "part" / "in").open("a") as file:
            file.write("more\n")
        (point / "new").rename(point / "part" / "moved ü")
        (point / "gone").write_text("x")
        (point / "gone").unlink()
        runner = LocalRunner()
        await flush(runner, Place(str(folder), "0"), program, BOUNDS, lambda _: None)
    assert not mounted(folder)
    files = store.filesystem()
    with store.errors(url):
        assert files.cat_file(store.path(f"{url}/part/in")) == b"here\nmore\n"
        assert files.cat_file(store.path(f"{url}/part/moved ü")) == b"x" * 100_000
        assert not files.exists(store.path(f"{url}/gone"))


@pytest.fixture
def on_s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server.url("mounted", "prefix")


async def test_s3(on_s3: str, folder: Path) -> None:
    await works(on_s3, folder, "MOUNT_CACHED")


async def test_azure(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "az").mkdir()
    with azurite.serve(tmp_path / "az") as server:
        options: dict[str, Any] = dict(server.options())
        said = AzOptions(**options).text()
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", str(said))
        store = open_store("az://mounted")
        assert isinstance(store, CanManageBuckets)
        store.create_bucket("mounted", "", {})
        await works("az://mounted/prefix", folder)


async def test_sftp(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssh").mkdir()
    with sftp.serve(tmp_path / "ssh") as server:
        home = tmp_path / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        shutil.copy(server.identity, home / ".ssh" / "id_ed25519")
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.delenv("STIX_HOME", raising=False)
        await works(server.url("mounted"), folder)


async def test_what_may_only_be_read_is_not_written(on_s3: str, folder: Path) -> None:
    open_store(on_s3).put(f"{on_s3}/in", b"x")
    spec = StorageMount(source=on_s3, config={"mount": {"read_only": True}})
    async with mount(on_s3, spec, folder) as (point, _):
        assert (point / "in").read_bytes() == b"x"
        with pytest.raises(OSError, match="Read-only"):
            (point / "out").write_text("x")
