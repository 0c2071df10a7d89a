"""Bring a database to the newest schema, whoever starts first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from stix.ledger.database import connect, dsn, patiently
from stix.ledger.schema import HEAD

_LOCK = 0x57195  # any number, the same for every process that migrates


async def migrate(url: str, *, patience_s: float = 60) -> None:
    """Create the database if it is missing and run all migrations, each at most once.

    Safe to call from many processes at once: they queue on an advisory lock, and all but the first
    find nothing to do. One query when the schema is current.

    Args:
        url: ``postgresql://`` or ``postgresql+asyncpg://``.
        patience_s: How long to wait for a database that is just starting.
    """
    await patiently(lambda _attempt: _migrate(url), patience_s)


async def _migrate(url: str) -> None:
    await _create_database(url)
    if await _revision(url) == HEAD:
        return

    async def creator() -> asyncpg.Connection:
        return await connect(url)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=creator)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def _create_database(url: str) -> None:
    try:
        connection = await connect(url)
    except asyncpg.InvalidCatalogNameError:
        parsed = make_url(dsn(url))
        admin = await connect(parsed.set(database="postgres").render_as_string(hide_password=False))
        name = '"' + str(parsed.database).replace('"', '""') + '"'
        try:
            await admin.execute(f"CREATE DATABASE {name}")
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            await asyncio.sleep(0)  # another process was quicker: as good
        finally:
            await admin.close()
    else:
        await connection.close()


async def _revision(url: str) -> str | None:
    connection = await connect(url)
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    # Alembic reads '%' in options as the start of a placeholder.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
