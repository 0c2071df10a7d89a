"""A real agent process for each test that wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stix.remote.agent import AgentClient, HostAgent, NodeRecord, UpRequest
from stix.remote.local import LocalRunner


@pytest.fixture
def runner() -> LocalRunner:
    return LocalRunner()


@pytest.fixture
async def agent(runner: LocalRunner, tmp_path: Path) -> AsyncIterator[HostAgent]:
    """The host, with an empty base directory; every node is removed at the end."""
    agent = HostAgent(runner, str(tmp_path / "base"))
    yield agent
    await agent.down([node.id for node in await agent.list()])
    assert await agent.list() == []


@pytest.fixture
async def node(agent: HostAgent) -> NodeRecord:
    return await agent.up(UpRequest("the-token", tags={"stix-run": "r"}))


@pytest.fixture
async def client(runner: LocalRunner, node: NodeRecord) -> AsyncIterator[AgentClient]:
    client = AgentClient(runner, node.socket)
    yield client
    await client.close()
