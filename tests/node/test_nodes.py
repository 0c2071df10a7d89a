"""Nodes on a shared host: made once, counted, and removed whole."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from stix.remote.agent import AgentClient, AgentError, HostAgent, JobStart, NodeRecord, UpRequest
from stix.remote.base import ConnectionLost
from stix.remote.local import LocalRunner
from tests.support.agents import eventually, first_line, marked, output, runs

ESCAPE = "(setsid setsid sleep 600 &); (setsid env -i sleep 601 & echo $!); sleep 602"


async def state_of(agent: HostAgent, node: NodeRecord) -> str:
    return next(n.state for n in await agent.list() if n.id == node.id)


async def test_up_twice_is_one_node(agent: HostAgent) -> None:
    first = await agent.up(UpRequest("t", rank=0, tags={"a": "b"}))
    second = await agent.up(UpRequest("t", rank=0))
    other = await agent.up(UpRequest("t", rank=1))
    assert second == first
    assert (first.state, first.rank, first.tags) == ("running", 0, {"a": "b"})
    assert {n.id for n in await agent.list()} == {first.id, other.id}
    assert Path(first.directory).stat().st_mode & 0o777 == 0o700
    assert Path(first.socket).stat().st_mode & 0o777 == 0o600


async def test_ups_racing(agent: HostAgent, runner: LocalRunner) -> None:
    await agent.ensure()
    nodes = await asyncio.gather(*(agent.up(UpRequest("race")) for _ in range(6)))
    assert len({(n.id, n.pid) for n in nodes}) == 1
    limits = {"cpus": 2}
    wishes = [UpRequest(f"r{i}", demand={"cpus": 1}, limits=limits) for i in range(6)]
    results = await asyncio.gather(*(agent.up(w) for w in wishes), return_exceptions=True)
    refused = [r for r in results if isinstance(r, AgentError)]
    assert len(refused) == 4 and {r.code for r in refused} == {"capacity"}


async def test_capacity_comes_back(agent: HostAgent, runner: LocalRunner) -> None:
    limits = {"cpus": 2, "memory_gib": 8, "accelerators": {"A100": 2}}

    async def up(token: str, **demand: object) -> NodeRecord:
        return await agent.up(UpRequest(token, demand=demand, limits=limits))

    one = await up("one", cpus=1, memory_gib=6)
    with pytest.raises(AgentError, match="memory_gib"):
        await up("two", memory_gib=3)
    two = await up("two", cpus=1)
    with pytest.raises(AgentError, match="cpus"):
        await up("three", cpus=0.5)
    client = AgentClient(runner, one.socket)
    await client.shutdown()
    three = await up("three", cpus=1)
    os.kill(three.pid, signal.SIGKILL)
    await eventually(lambda: not Path(three.socket).exists(), "the keeper cleared up")
    await up("four", cpus=1)
    await agent.mark(two.id, "preempted")
    await up("five", cpus=1)
    with pytest.raises(AgentError, match="B200"):
        await up("six", accelerators={"B200": 1})


async def test_accelerator_indices(agent: HostAgent) -> None:
    limits = {"accelerators": {"A100": 4}}

    async def up(token: str, count: float) -> NodeRecord:
        demand = {"accelerators": {"A100": count}}
        return await agent.up(UpRequest(token, demand=demand, limits=limits))

    halves = [await up(f"h{i}", 0.5) for i in range(3)]
    assert [n.accelerators["A100"] for n in halves] == [[0], [0], [1]]
    whole = await up("w", 2)
    assert whole.accelerators["A100"] == [2, 3]
    with pytest.raises(AgentError) as caught:
        await up("x", 1)
    assert caught.value.code == "capacity"
    await agent.down([halves[2].id])
    assert (await up("y", 1)).accelerators["A100"] == [1]


async def test_down_leaves_nothing(
    agent: HostAgent, runner: LocalRunner, node: NodeRecord, client: AgentClient
) -> None:
    await client.start(JobStart("r/a", ESCAPE))
    hidden = int(await first_line(client, "r/a"))
    closed = Path(node.directory) / "work/closed"
    closed.mkdir()
    (closed / "file").touch()
    closed.chmod(0)
    await agent.down([node.id, "no-such-node"])
    assert marked(node.id) == [] and not runs(hidden)
    assert not Path(node.directory).exists() and not Path(node.socket).exists()
    assert not runs(node.pid)
    with pytest.raises(ConnectionLost):
        await client.hello()


async def test_shutdown_leaves_nothing(
    agent: HostAgent, node: NodeRecord, client: AgentClient
) -> None:
    await client.start(JobStart("r/a", ESCAPE))
    hidden = int(await first_line(client, "r/a"))
    await client.shutdown()
    assert not runs(hidden)
    assert not Path(node.directory).exists() and not Path(node.socket).exists()
    # The agent has answered and let go of its socket; its process may still be on its way out.
    await eventually(lambda: marked(node.id) == [] and not runs(node.pid), "the end of the agent")
    assert await agent.list() == []


async def test_down_of_a_frozen_agent(
    agent: HostAgent, node: NodeRecord, client: AgentClient
) -> None:
    await client.start(JobStart("r/a", "echo $$; sleep 600"))
    pid = int(await first_line(client, "r/a"))
    os.kill(node.pid, signal.SIGSTOP)
    await agent.down([node.id])
    assert not runs(pid) and not runs(node.pid) and marked(node.id) == []


async def test_frozen_agent_counts_as_lost(runner: LocalRunner, node: NodeRecord) -> None:
    client = AgentClient(runner, node.socket, patience=1)
    await client.start(JobStart("r/a", "echo up; sleep 600"))
    tail = client.tail("r/a")
    await anext(tail)
    os.kill(node.pid, signal.SIGSTOP)
    for waiting in (client.hello(), client.stop("r/a", grace=0), anext(tail), client.shutdown()):
        with pytest.raises(ConnectionLost):
            await waiting
    os.kill(node.pid, signal.SIGCONT)
    await eventually(lambda: not runs(node.pid), "the shutdown it was asked for")


@pytest.mark.parametrize("victim", ["agent", "keeper"])
async def test_death_of_the_agent_ends_its_jobs(
    agent: HostAgent, node: NodeRecord, client: AgentClient, victim: str
) -> None:
    await client.start(JobStart("r/a", ESCAPE))
    hidden = int(await first_line(client, "r/a"))
    parent = int(Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(node.pid if victim == "agent" else parent, signal.SIGKILL)
    await eventually(lambda: marked(node.id) == [], "the jobs died")
    await eventually(lambda: not runs(hidden) and not runs(parent), "the hidden one died")
    assert await state_of(agent, node) == "failed"
    assert Path(node.directory).exists()
    with pytest.raises(ConnectionLost):
        await client.hello()
    assert (await agent.up(UpRequest("the-token"))).state == "failed"


async def test_sigterm_keeps_the_directory(
    agent: HostAgent, node: NodeRecord, client: AgentClient
) -> None:
    await client.start(JobStart("r/a", "echo log; sleep 600"))
    assert await first_line(client, "r/a") == "log"
    os.kill(node.pid, signal.SIGTERM)
    await eventually(lambda: not runs(node.pid), "the agent ended")
    assert await state_of(agent, node) == "failed"
    assert marked(node.id) == []
    assert (Path(node.directory) / "jobs/r%2Fa/log").read_text() == "log\n"


@pytest.mark.parametrize("state", ["preempted", "failed"])
async def test_mark(agent: HostAgent, node: NodeRecord, client: AgentClient, state: str) -> None:
    await client.start(JobStart("r/a", ESCAPE))
    hidden = int(await first_line(client, "r/a"))
    await agent.mark(node.id, state)
    assert await state_of(agent, node) == state
    assert marked(node.id) == [] and not runs(hidden)
    assert Path(node.directory).exists()


async def test_mark_of_nothing(agent: HostAgent) -> None:
    with pytest.raises(AgentError) as caught:
        await agent.mark("0123", "failed")
    assert caught.value.code == "not_found"
    with pytest.raises(AgentError) as caught:
        await agent.mark("../x", "failed")
    assert caught.value.code == "invalid"


async def test_no_zombies(agent: HostAgent, node: NodeRecord, client: AgentClient) -> None:
    for number in range(10):
        await client.start(JobStart(f"r/{number}", "(sleep 0.05 &) ; (setsid sleep 0.05 &)"))
        await client.wait(f"r/{number}")

    def no_children() -> bool:
        return not Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()

    await eventually(no_children, "every child was reaped")


async def test_files(client: AgentClient, node: NodeRecord, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    await client.put_file("work/sub/data", data, 0o640)
    info = await client.stat("work/sub/data")
    assert (info.type, info.size, info.mode) == ("file", 3_000_000, 0o640)
    assert (Path(node.directory) / "work/sub/data").read_bytes() == data
    await client.put_file("work/empty", b"")
    import hashlib

    assert await client.digest("work/sub/data") == hashlib.sha256(data).hexdigest()
    before = await client.digest("work")
    await client.put_file("work/sub/data", b"other", 0o640)
    assert await client.digest("work") != before
    (Path(node.directory) / "work/out").symlink_to(tmp_path)
    await client.remove(["work/sub", "work/out", "work/missing"])
    assert (await client.stat("work/sub")).type == "missing"
    assert tmp_path.exists()


async def test_remove_stays_inside(client: AgentClient, node: NodeRecord, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (Path(node.directory) / "work/out").symlink_to(tmp_path)
    for path in (str(tmp_path / "outside"), "../x", "work/out/outside", "work/../../x", "."):
        with pytest.raises(AgentError) as caught:
            await client.remove(["work/missing", path])
        assert caught.value.code == "invalid"
    assert (tmp_path / "outside").exists() and Path(node.directory).exists()


async def test_put_file_that_cannot_be(client: AgentClient, node: NodeRecord) -> None:
    await client.put_file("work/file", b"x")
    with pytest.raises(AgentError) as caught:
        await client.put_file("work/file/below", b"y" * 1000)
    assert caught.value.code == "failed"
    assert (await client.hello())["id"] == node.id


async def test_unknown_requests(runner: LocalRunner, node: NodeRecord) -> None:
    stream = await runner.open_unix(node.socket)
    for line in (b"nonsense", b"[]", b'{"op":"fly"}', b'{"op":"status","job":"x"}', b"{}"):
        stream.write(line + b"\n")
    for code in ("invalid", "invalid", "invalid", "not_found", "invalid"):
        assert f'"code": "{code}"'.encode() in await stream.reader.readline()
    await stream.close()


async def test_info(agent: HostAgent) -> None:
    info = await agent.info()
    assert info["cpus"] >= 1 and info["memory_gib"] > 0.1 and info["disk_free_gib"] > 0
    assert info["home"] == str(Path("~").expanduser())


async def test_oom_is_told_only_by_the_kernel(client: AgentClient) -> None:
    await client.start(JobStart("r/a", "kill -KILL $$"))
    _, status = await output(client, "r/a")
    assert (status.signal, status.oom) == (9, False)
