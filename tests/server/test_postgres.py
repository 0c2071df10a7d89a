"""The embedded PostgreSQL: private, silent on the network, and quick to come back."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator

import asyncpg
import psutil
import pytest

from stix.config import Config
from stix.server import databases, postgres
from stix.server.process import spawn
from tests.support.server import ServerHome, eventually, make_home

Started = tuple[Config, subprocess.Popen[bytes]]


@pytest.fixture
def started() -> Iterator[Started]:
    home = make_home()
    config = Config.load(home)
    config.create()
    postgres.prepare(config)
    process = spawn(postgres.command(config))
    yield config, process
    process.send_signal(postgres.STOP_SIGNAL)
    process.wait(timeout=30)
    ServerHome(home).clean()


async def one(config: Config, query: str) -> object:
    connection = await databases.connect(config, "postgres", 30)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_settings(started: Started) -> None:
    config, process = started
    assert await one(config, "show listen_addresses") == ""
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert await one(config, f"show {name}") == "on"
    assert psutil.Process(process.pid).net_connections(kind="inet") == []


async def test_only_its_users_get_in(started: Started) -> None:
    config, _ = started
    await one(config, "select 1")
    assert stat.S_IMODE(config.postgres.stat().st_mode) == 0o700
    assert stat.S_IMODE(config.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(config.socket_dir().stat().st_mode) == 0o700
    if os.geteuid() == 0:
        tool = str(postgres.binaries() / "psql")
        sockets = str(config.socket_dir() / "pg")
        refused = subprocess.run(
            [tool, "-h", sockets, "-U", "postgres", "-c", "select 1"],
            user="nobody",
            group="nogroup",
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode != 0
        assert "denied" in refused.stderr


async def test_comes_back_after_a_kill_with_stale_files(started: Started) -> None:
    config, process = started
    await databases.create(config)
    connection = await asyncpg.connect(databases.plain_url(config, "stix"))
    await connection.execute("create table t (x int); insert into t values (7)")
    process.kill()
    process.wait()
    assert (config.postgres / "postmaster.pid").exists()
    postgres.prepare(config)
    assert postgres.leftovers(config) == []
    again = spawn(postgres.command(config))
    try:
        back = await databases.connect(config, "stix", 30)
        assert await back.fetchval("select x from t") == 7
        await back.close()
    finally:
        again.send_signal(postgres.STOP_SIGNAL)
        again.wait(timeout=30)


async def test_a_pid_file_that_names_another_process_does_not_stop_it(started: Started) -> None:
    config, process = started
    await one(config, "select 1")
    process.kill()
    process.wait()
    lines = (config.postgres / "postmaster.pid").read_text().splitlines()
    (config.postgres / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
    postgres.prepare(config)
    again = spawn(postgres.command(config))
    try:
        assert await one(config, "select 1") == 1
    finally:
        again.send_signal(postgres.STOP_SIGNAL)
        again.wait(timeout=30)


def test_an_interrupted_first_start_is_begun_again() -> None:
    home = make_home()
    config = Config.load(home)
    config.create()
    try:
        config.postgres.mkdir()
        (config.postgres / "half").write_text("made")
        postgres.prepare(config)
        assert (config.postgres / "PG_VERSION").is_file()
        assert not (config.postgres / "half").exists()
    finally:
        ServerHome(home).clean()


def test_other_postgres_processes_are_not_ours(started: Started) -> None:
    config, process = started
    eventually(lambda: len(postgres.leftovers(config)) > 1)
    assert process.pid in {each.pid for each in postgres.leftovers(config)}
    other = Config.load(make_home())
    try:
        assert postgres.leftovers(other) == []
    finally:
        ServerHome(other.home).clean()


def test_an_own_database_is_used_as_given() -> None:
    home = make_home("server: {database_url: 'postgresql://me:pw@db.example:5433/any?ssl=require'}")
    config = Config.load(home)
    expected = "postgresql+asyncpg://me:pw@db.example:5433/stix?ssl=require"
    assert postgres.database_url(config, "stix") == expected
    assert "pw" not in repr(config) and "pw" not in repr(config.server)
    ServerHome(home).clean()
