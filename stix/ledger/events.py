"""Events of runs, and notifications that there are new ones."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import asyncpg

from stix.ledger.base import Part
from stix.ledger.database import connect, patiently
from stix.ledger.errors import NotFound
from stix.ledger.rows import EventRow, Fence
from stix.ledger.sql import Statement, fence, statement, unfenced

_INSERT = """event AS (
    INSERT INTO events (run_id, number, kind, key, data, op)
    SELECT f.run_id, f.number, :kind, :key, :data, :op FROM fence f)"""
_ADD = statement(fence(), _INSERT)
_ADD_ANY = statement(unfenced(), _INSERT)

_LIST = Statement.of("""
    SELECT run_id, number, kind, key, data, at FROM events
    WHERE run_id = :run_id AND number > :after ORDER BY number LIMIT :limit::bigint""")

_LOST = (asyncpg.InterfaceError, asyncpg.InternalClientError)

CHANNELS = ("stix_events", "stix_work", "stix_cancel")

_CHECK_S = 5.0
"""How often a listener asks whether its connection still lives."""


class Listener:
    """An async context manager and iterator of ``(channel, payload)``.

    Inside ``async with`` nothing sent later is missed; while the database restarts, messages are
    lost, so afterwards comes ``("reconnected", "")`` and the reader polls once. Raises
    ``LedgerUnavailable`` when the database stays away for longer than the patience.
    """

    def __init__(self, url: str, channels: tuple[str, ...], patience_s: float) -> None:
        if not channels or set(channels) - set(CHANNELS):
            raise ValueError(f"channels are {CHANNELS}, not {channels}")
        self._url = url
        self._channels = channels
        self._patience_s = patience_s
        self._messages: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()
        self._connection: asyncpg.Connection | None = None

    async def __aenter__(self) -> Self:
        self._connection = await self._connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[str, str]:
        if self._connection is None:
            self._connection = await self._connect()
        while True:
            try:
                async with asyncio.timeout(_CHECK_S):
                    message = await self._messages.get()
            except TimeoutError:
                if await self._alive(self._connection):
                    continue
                message = None
            if message is not None:
                return message
            await self.aclose()
            self._connection = await self._connect()
            return ("reconnected", "")

    async def _alive(self, connection: asyncpg.Connection) -> bool:
        try:
            await connection.fetchval("SELECT 1", timeout=_CHECK_S)
        except (*_LOST, asyncpg.PostgresError, OSError):
            return False
        return True

    async def _connect(self) -> asyncpg.Connection:
        return await patiently(lambda _attempt: self._listen(), self._patience_s)

    async def _listen(self) -> asyncpg.Connection:
        messages: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()

        def received(_connection: object, _pid: int, channel: str, payload: str) -> None:
            messages.put_nowait((channel, payload))

        def lost(_connection: object) -> None:
            messages.put_nowait(None)

        connection = await connect(self._url)
        connection.add_termination_listener(lost)
        try:
            for channel in self._channels:
                await connection.add_listener(channel, received)
        except _LOST as error:
            connection.terminate()
            raise ConnectionResetError(str(error)) from error
        self._messages = messages
        return connection


class Events(Part):
    """Events and notifications."""

    async def add_event(
        self, held: Fence | None, run_id: str, kind: str, key: str | None, data: dict[str, Any]
    ) -> None:
        """Append an event; without a fence for those who are no engine."""
        values = {"kind": kind, "key": key, "data": data}
        if held is not None:
            await self._write(held, _ADD, **values)
            return
        rows = await self._append(_ADD_ANY, run_id=run_id, **values)
        if rows is not None and not rows:
            raise NotFound(f"there is no run {run_id}")

    async def events(self, run_id: str, after: int, limit: int = 500) -> list[EventRow]:
        """Events with a number above ``after``, in order.

        A reader that goes on from the last number it got misses none: numbers of a run become
        visible in their order.
        """
        return EventRow.all(await self._db.fetch(_LIST, run_id=run_id, after=after, limit=limit))

    def listen(self, *channels: str) -> Listener:
        """Messages on ``stix_events``, ``stix_work``, ``stix_cancel``; the payload is a run id."""
        return Listener(self._db.url, channels, self._db.patience_s)
