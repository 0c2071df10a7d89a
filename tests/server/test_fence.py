"""The fence: nothing of an engine that lost its leases gets through to Prefect."""

from __future__ import annotations

import asyncio
import http.client
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stix.config import Config
from stix.ledger import Ledger, LedgerUnavailable
from stix.server.context import Standings
from stix.server.fence import Standing
from stix.server.postgres import database_url
from tests.support.server import ServerHome

pytestmark = pytest.mark.server


@asynccontextmanager
async def ledger_of(server: ServerHome) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(database_url(Config.load(server.home), "stix"))
    try:
        yield ledger
    finally:
        await ledger.close()


async def get(server: ServerHome, path: str) -> tuple[int, bytes]:
    def call() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return await asyncio.to_thread(call)


def new_engine() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


async def test_unknown_engine(stix_server: ServerHome) -> None:
    status, body = await get(stix_server, f"/e/{new_engine()}/api/health")
    assert status == 410
    assert "fenced" in json.loads(body)["detail"]
    assert (await get(stix_server, "/e/"))[0] == 410
    assert (await get(stix_server, "/e"))[0] != 410  # a page of the UI, if any


async def test_living_engine_passes_until_it_retires(stix_server: ServerHome) -> None:
    engine = new_engine()
    async with ledger_of(stix_server) as ledger:
        await ledger.register_engine(engine, "here", 1, 60.0)
        for _ in range(3):
            assert await get(stix_server, f"/e/{engine}/api/health") == (200, b"true")
        await ledger.retire_engine(engine)
        assert (await get(stix_server, f"/e/{engine}/api/health"))[0] == 410


async def test_expired_engine(stix_server: ServerHome) -> None:
    engine = new_engine()
    async with ledger_of(stix_server) as ledger:
        await ledger.register_engine(engine, "here", 1, 0.3)
        await asyncio.sleep(0.4)
        assert (await get(stix_server, f"/e/{engine}/api/health"))[0] == 410


async def test_a_fence_between_calls_holds_for_each_next_call(stix_server: ServerHome) -> None:
    """Calls side by side, the engine retired in the middle: none passes that began afterwards."""
    engine = new_engine()
    late: list[int] = []
    async with ledger_of(stix_server) as ledger:
        await ledger.register_engine(engine, "here", 1, 60.0)
        retired = asyncio.Event()

        async def caller() -> None:
            for _ in range(15):
                after = retired.is_set()
                status, _body = await get(stix_server, f"/e/{engine}/api/health")
                if after:
                    late.append(status)

        async def retire() -> None:
            await asyncio.sleep(0.05)
            await ledger.retire_engine(engine)
            retired.set()

        await asyncio.gather(retire(), *(caller() for _ in range(4)))
    assert late and set(late) == {410}


async def test_websocket_of_a_fenced_engine_is_closed(stix_server: ServerHome) -> None:
    engine = new_engine()
    url = stix_server.url.replace("http:", "ws:") + f"/e/{engine}/api/events/in"
    event = {
        "occurred": "2026-01-01T00:00:00Z",
        "event": "stix.test",
        "resource": {"prefect.resource.id": "stix.test"},
        "payload": {},
        "id": str(uuid.uuid4()),
    }
    async with ledger_of(stix_server) as ledger:
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            async with connect(url) as refused:
                await refused.recv()
        await ledger.register_engine(engine, "here", 1, 60.0)
        async with connect(url) as socket:
            await socket.send(json.dumps(event))
            await ledger.retire_engine(engine)
            await socket.send(json.dumps(event))
            with pytest.raises(ConnectionClosed) as closed:
                async with asyncio.timeout(30):
                    await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


async def test_calls_share_a_question_only_if_it_is_asked_after_them() -> None:
    asked: list[int] = []
    calls = 0
    gate = asyncio.Event()

    async def is_fenced(_engine: str) -> bool:
        asked.append(calls)
        await gate.wait()
        return False

    standings = Standings(is_fenced)
    tasks = []
    for _ in range(5):
        calls += 1
        tasks.append(asyncio.create_task(standings.of("e")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*tasks) == [Standing.GOOD] * 5
    assert asked == [1, 5]  # the first alone; the four that came meanwhile by a second question


async def test_unknown_while_the_ledger_is_away() -> None:
    async def away(_engine: str) -> bool:
        raise LedgerUnavailable("no database")

    assert await Standings(away).of("e") is Standing.UNKNOWN
