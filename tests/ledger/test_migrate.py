"""The schema on a new database, by many at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from stix.ledger import Ledger, migrate, schema
from stix.ledger.schema import HEAD, metadata

CODE = "import asyncio, sys; from stix.ledger import migrate; asyncio.run(migrate(sys.argv[1]))"


async def test_four_processes_at_once(url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", CODE, url, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    ends = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * 4, ends
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT version_num FROM alembic_version")
    await connection.close()
    assert [row["version_num"] for row in rows] == [HEAD]


async def test_migrations_build_the_tables_the_code_means(url: str) -> None:
    await migrate(url)
    await migrate(url)

    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )

    async def creator() -> asyncpg.Connection:
        return await asyncpg.connect(url)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=creator)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


def test_the_known_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


async def test_both_forms_of_the_url(url: str) -> None:
    long = url.replace("postgresql://", "postgresql+asyncpg://")
    await migrate(long)
    ledger = await Ledger.open(long)
    assert await ledger.runs() == []
    await ledger.close()


async def test_only_postgresql() -> None:
    with pytest.raises(ValueError, match="sqlite"):
        await migrate("sqlite:///x")
