"""Connections to PostgreSQL: a pool, one patient way to run a statement.

SQLAlchemy holds the pool; statements go to asyncpg itself, which prepares each text once per
connection. That is one round trip and about half the CPU of SQLAlchemy's own execution.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stix.ledger.errors import LedgerUnavailable
from stix.ledger.sql import Statement

POOL_SIZE = 9
"""One more connection is kept for heartbeats, which must not queue behind writes."""

_T = TypeVar("_T")

_CONNECT_TIMEOUT_S = 10
_STATEMENT_TIMEOUT_S = 30
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0

# Class 08 connection errors, 57P01..57P03 shutdown, crash and "starting up", 53300 too many
# connections, 40001 and 40P01 serialization failure and deadlock: the statement had no effect or
# its outcome is unknown, and the same statement may be sent again.
_AGAIN = ("08", "57P01", "57P02", "57P03", "53300", "40001", "40P01")


def dsn(url: str) -> str:
    """The URL as asyncpg reads it; ``?host=/folder`` names a Unix socket's folder."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        raise ValueError(f"the ledger needs a postgresql URL, not {parsed.get_backend_name()}")
    return parsed.set(drivername="postgresql").render_as_string(hide_password=False)


async def connect(url: str) -> asyncpg.Connection:
    """One connection outside of the pool."""
    # jit: our statements are short, and compiling one costs more than running it.
    return await asyncpg.connect(
        dsn(url),
        timeout=_CONNECT_TIMEOUT_S,
        command_timeout=_STATEMENT_TIMEOUT_S,
        server_settings={"application_name": "stix", "jit": "off"},
    )


# SQLAlchemy gives asyncpg's errors its own types while it connects; asyncpg's is the cause.
_ERRORS = (asyncpg.PostgresError, AsyncAdapt_asyncpg_dbapi.Error, DBAPIError, OSError)


def worth_retrying(error: BaseException) -> bool:
    """True when the same statement may succeed on a new connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, asyncpg.PostgresError):
            return str(cause.sqlstate).startswith(_AGAIN)
        # TimeoutError is an OSError. The other two, as a cause: cut off while connecting.
        if isinstance(cause, OSError | asyncpg.InternalClientError | asyncpg.InterfaceError):
            return True
        cause = cause.__cause__
    return False


async def patiently(call: Callable[[int], Awaitable[_T]], patience_s: float) -> _T:
    """Await ``call(attempt)`` again while the database is away, at most for the patience.

    Raises:
        LedgerUnavailable: it stayed away.
    """
    deadline = time.monotonic() + patience_s
    pause = _FIRST_PAUSE_S
    attempt = 0
    while True:
        try:
            return await call(attempt)
        except _ERRORS as error:
            if not worth_retrying(error):
                raise
            if time.monotonic() + pause > deadline:
                raise LedgerUnavailable(
                    f"the database did not answer for {patience_s:g} seconds",
                    fix="see 'stix server status' and the log of postgres",
                ) from error
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
        attempt += 1


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be kept as JSON in the ledger")


def _text(value: str) -> str:
    """Text as PostgreSQL can hold it: no NUL, no half of a surrogate pair."""
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _clean(value: object) -> object:
    if isinstance(value, dict):
        return {_text(str(k)): _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return _text(value) if isinstance(value, str) else value


def to_json(value: object) -> str:
    """JSON as jsonb takes it: NaN and infinities become text, NUL the replacement character."""
    try:
        text = json.dumps(value, default=_plain, allow_nan=False)
    except ValueError:
        return json.dumps(_clean(value), default=_plain)
    if "\\u0000" in text or "\\ud" in text:
        return json.dumps(_clean(value), default=_plain)
    return text


def _register_json(connection: Any, _record: object) -> None:
    async def register(driver: asyncpg.Connection) -> None:
        for kind in ("json", "jsonb"):
            await driver.set_type_codec(
                kind, schema="pg_catalog", encoder=to_json, decoder=json.loads, format="text"
            )

    connection.run_async(register)


class _Pool:
    """Up to ``size`` connections; waiting for one is first come, first served."""

    def __init__(self, url: str, size: int) -> None:
        async def creator() -> asyncpg.Connection:
            return await connect(url)

        self._free = asyncio.Semaphore(size)
        self._engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=creator,
            pool_size=size,
            max_overflow=0,
            pool_use_lifo=True,
            pool_reset_on_return=None,  # every statement is its own transaction
        )
        event.listen(self._engine.sync_engine, "connect", _register_json)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._free:
            pooled = await self._engine.raw_connection()
            driver: asyncpg.Connection = pooled.driver_connection
            while driver.is_closed():
                # A restart of the database closes all of them; each says so without a round trip.
                pooled.invalidate()
                pooled = await self._engine.raw_connection()
                driver = pooled.driver_connection
            try:
                yield driver
            except asyncpg.PostgresError as error:
                if worth_retrying(error):
                    # "terminating connection" comes before the connection closes.
                    driver.terminate()
                raise
            except asyncpg.InterfaceError as error:
                # A value it cannot send, or a connection found closed before sending.
                if driver.is_closed():
                    raise ConnectionResetError(str(error)) from error
                raise
            except asyncpg.InternalClientError as error:
                # The server's farewell arrived between two statements; nothing was sent.
                driver.terminate()
                raise ConnectionResetError(str(error)) from error
            except BaseException:
                # Cancelled or cut off in the middle of an answer: nobody may use it again.
                driver.terminate()
                raise
            finally:
                pooled.close()

    async def dispose(self) -> None:
        await self._engine.dispose()


class Database:
    """Runs statements, again and again while PostgreSQL restarts."""

    def __init__(self, url: str, patience_s: float) -> None:
        self.url = url
        self.patience_s = patience_s
        self._pool = _Pool(url, POOL_SIZE)
        self._express = _Pool(url, 1)

    async def fetch(self, statement: Statement, **values: object) -> list[asyncpg.Record]:
        """Run a statement that may run twice."""
        return await patiently(
            lambda _attempt: self._once(statement, values, self._pool), self.patience_s
        )

    async def fetch_ahead(self, statement: Statement, **values: object) -> list[asyncpg.Record]:
        """As ``fetch``, on the connection kept for heartbeats."""
        return await patiently(
            lambda _attempt: self._once(statement, values, self._express), self.patience_s
        )

    async def append(
        self, statement: Statement, applied: Statement, **values: object
    ) -> list[asyncpg.Record] | None:
        """Run a statement that must have its effect once.

        A connection lost after sending leaves the outcome unknown, so before a repetition
        ``applied`` asks whether the first one arrived.

        Returns:
            The rows, or None where an earlier try did it and its answer was lost.
        """

        async def once(attempt: int) -> list[asyncpg.Record] | None:
            if attempt and await self._once(applied, values, self._pool):
                return None
            return await self._once(statement, values, self._pool)

        return await patiently(once, self.patience_s)

    async def _once(
        self, statement: Statement, values: dict[str, object], pool: _Pool
    ) -> list[asyncpg.Record]:
        arguments = [values[name] for name in statement.names]
        arguments = [_text(a) if isinstance(a, str) else a for a in arguments]
        async with pool.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(statement.text, *arguments)
            return rows

    async def close(self) -> None:
        await self._pool.dispose()
        await self._express.dispose()
