"""Word that a node is about to go: by SIGTERM to its agent, or from a provider's metadata."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stix.node.agent import notice
from stix.remote.agent import AgentClient, HostAgent, JobStart, NodeRecord
from tests.support.agents import eventually, runs

TOKEN = "/latest/api/token"
AWS = "/latest/meta-data/spot/instance-action"
GCP = "/computeMetadata/v1/instance/preempted"
AZURE = "/metadata/scheduledevents?api-version=2020-07-01"
TAKEN: dict[str, str] = {
    AWS: '{"action": "terminate", "time": "2030-01-01T00:00:00Z"}',
    GCP: "TRUE",
    AZURE: '{"DocumentIncarnation": 2, "Events": [{"EventId": "x", "EventType": "Preempt"}]}',
}
PATHS = {"aws": AWS, "gcp": GCP, "azure": AZURE}
QUIET: dict[str, list[str]] = {
    "aws": ["{}", "<html>", "[]"],
    "gcp": ["FALSE", ""],
    "azure": ['{"Events": []}', '{"Events": [{"EventType": "Freeze"}]}', "<html>"],
}


class Metadata(BaseHTTPRequestHandler):
    """Answers with the texts of its server, to those who send the headers that providers want."""

    server: Any

    def do_PUT(self) -> None:
        self._answer("secret" if self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") else None)

    def do_GET(self) -> None:
        allowed = {
            AWS: self.headers.get("X-aws-ec2-metadata-token") == "secret",
            GCP: self.headers.get("Metadata-Flavor") == "Google",
            AZURE: self.headers.get("Metadata") == "true",
        }
        self._answer(self.server.texts.get(self.path) if allowed.get(self.path) else None)

    def _answer(self, text: str | None) -> None:
        body = (text or "").encode()
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def metadata(texts: dict[str, str]) -> Iterator[str]:
    """A metadata service; its URL."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    server.texts = texts
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("provider", PATHS)
def test_each_provider_is_understood(provider: str) -> None:
    with metadata(TAKEN) as url:
        assert notice.told(provider, url)
        assert notice.told(provider, f"{url}/")
    assert not notice.told(provider, url), "nobody answers"
    with metadata({}) as url:
        assert not notice.told(provider, url)


@pytest.mark.parametrize(
    ("provider", "text"), [(name, text) for name, texts in QUIET.items() for text in texts]
)
def test_what_is_no_notice(provider: str, text: str) -> None:
    with metadata({PATHS[provider]: text}) as url:
        assert not notice.told(provider, url)


async def test_a_node_is_told_by_its_provider(agent: HostAgent, node: NodeRecord) -> None:
    with metadata(TAKEN) as url:
        said = await agent.notice(node.directory, 20, provider="gcp", url=url)
    assert said == "preempted"
    assert await agent.notice(node.directory, 0) == "", "nobody was asked"


async def test_who_listens_hears_that_the_node_is_removed(
    agent: HostAgent, node: NodeRecord
) -> None:
    waiting = asyncio.create_task(agent.notice(node.directory, 60))
    await eventually(Path(node.directory, "watch.json").exists, "somebody listens")
    await agent.down([node.id])
    assert await waiting == "gone"
    assert await agent.notice(node.directory, 60) == "gone"


async def busy(client: AgentClient) -> None:
    await client.start(JobStart("r/a/1/run", "sleep 1000"))


async def test_an_agent_that_is_heard_waits_until_its_listener_is_done(
    agent: HostAgent, node: NodeRecord, client: AgentClient
) -> None:
    await busy(client)
    waiting = asyncio.create_task(agent.notice(node.directory, 60))
    await eventually(Path(node.directory, "watch.json").exists, "somebody listens")
    os.kill(node.pid, signal.SIGTERM)
    assert await waiting == "terminated"
    assert (await client.hello())["jobs"] == {"r/a/1/run": "running"}
    await agent.notice_heard(node.directory)
    await eventually(lambda: not runs(node.pid), "the agent ends")
    assert [one.state for one in await agent.list()] == ["failed"]


async def test_a_second_signal_ends_the_agent(
    agent: HostAgent, node: NodeRecord, client: AgentClient
) -> None:
    await busy(client)
    assert await agent.notice(node.directory, 0) == ""
    os.kill(node.pid, signal.SIGTERM)
    await eventually(Path(node.directory, "notice.json").exists, "the note")
    assert runs(node.pid)
    os.kill(node.pid, signal.SIGTERM)
    await eventually(lambda: not runs(node.pid), "the agent ends")


@pytest.mark.parametrize("listened", [None, 0.0])
async def test_an_agent_that_nobody_hears_ends_at_once(
    node: NodeRecord, client: AgentClient, listened: float | None
) -> None:
    """Nobody ever listened, or that was long ago."""
    await busy(client)
    if listened is not None:
        Path(node.directory, "watch.json").write_text(json.dumps({"until": listened}))
    os.kill(node.pid, signal.SIGTERM)
    await eventually(lambda: not runs(node.pid), "the agent ends")
    assert not Path(node.directory, "notice.json").exists()


async def test_an_agent_without_its_keeper_does_not_wait(
    agent: HostAgent, node: NodeRecord, client: AgentClient
) -> None:
    await busy(client)
    await agent.notice(node.directory, 0)
    keeper = json.loads(Path(node.directory, "node.json").read_text())["keeper"]
    os.kill(keeper, signal.SIGKILL)
    await eventually(lambda: not runs(node.pid), "the agent ends")
    assert not Path(node.directory, "notice.json").exists()
