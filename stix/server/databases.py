"""The two databases on our PostgreSQL, made before the server uses them."""

from __future__ import annotations

import asyncio
import logging
import time
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from stix.config import Config
from stix.errors import StixError
from stix.server.postgres import database_url

log = logging.getLogger("stix.databases")

OWN_TIMEOUT_S = 5.0
EMBEDDED_TIMEOUT_S = 60.0
NAMES = ("prefect", "stix")
_AWAY = (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)


class DatabaseAway(StixError):
    """PostgreSQL did not answer in time."""


def plain_url(config: Config, database: str) -> str:
    """The URL as asyncpg itself takes it."""
    return database_url(config, database).replace("+asyncpg", "", 1)


async def connect(config: Config, database: str, timeout: float) -> asyncpg.Connection:
    """Connect, waiting for a PostgreSQL (or a database) that is not there yet.

    Raises:
        DatabaseAway: ``timeout`` seconds passed.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return await asyncpg.connect(plain_url(config, database))
        except (*_AWAY, asyncpg.InvalidCatalogNameError) as error:
            if time.monotonic() > deadline:
                raise DatabaseAway(
                    f"PostgreSQL does not answer: {_place(config)}: {error}",
                    fix="see `stix server logs`",
                ) from error
        await asyncio.sleep(0.02)


async def create(config: Config) -> None:
    """Make both databases where they are missing.

    Raises:
        DatabaseAway: PostgreSQL does not answer; the embedded one gets longer, for its first start.
    """
    own = config.server.database_url
    timeout = OWN_TIMEOUT_S if own else EMBEDDED_TIMEOUT_S
    entry = (urlsplit(own).path.strip("/") if own else "") or "postgres"
    connection = await connect(config, entry, timeout)
    try:
        rows = await connection.fetch("select datname from pg_database")
        for name in set(NAMES) - {row["datname"] for row in rows}:
            try:
                await connection.execute(f'create database "{name}" template template0')
            except asyncpg.DuplicateDatabaseError:
                log.info("somebody else made the database %s meanwhile", name)
    finally:
        await connection.close()


def _place(config: Config) -> str:
    parts = urlsplit(database_url(config, ""))
    host = parts.netloc.rpartition("@")[2] or parts.query
    return urlunsplit((parts.scheme, host, "", "", ""))
