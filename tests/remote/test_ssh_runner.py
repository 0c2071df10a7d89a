"""The SSH runner conforms, on hosts with a real sshd, and names what goes wrong there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stix.remote.agent import AgentClient, Chunk, HostAgent, JobStart, UpRequest
from stix.remote.base import ConnectionLost, HostKeyError, LoginRefused, Runner
from stix.remote.ssh import SshRunner, SshTarget
from stix.remote.testing import RunnerConformance
from tests.support.hosts import HostFarm, Image, SshHost

pytestmark = pytest.mark.hosts


def target(farm: HostFarm, host: SshHost, known: Path, **more: object) -> SshTarget:
    fields = {"user": "root", "identity_file": farm.identity, **more}
    return SshTarget(host=host.address, known_hosts=known, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def host(hosts: HostFarm) -> SshHost:
    return hosts.up()[0]


class TestSshRunner(RunnerConformance):
    @pytest.fixture
    async def runner(
        self, hosts: HostFarm, host: SshHost, tmp_path_factory: pytest.TempPathFactory
    ) -> AsyncIterator[Runner]:
        known = tmp_path_factory.mktemp("keys") / "known_hosts"
        runner = SshRunner(target(hosts, host, known))
        yield runner
        await runner.close()

    @pytest.fixture
    async def lost(
        self, hosts: HostFarm, tmp_path_factory: pytest.TempPathFactory
    ) -> AsyncIterator[Runner]:
        gone = hosts.up()[0]
        runner = SshRunner(target(hosts, gone, tmp_path_factory.mktemp("keys") / "known_hosts"))
        assert (await runner.run(["true"])).exit_code == 0
        hosts.down(gone)
        yield runner
        await runner.close()
        hosts.rm(gone)


async def test_changed_host_key_is_refused(hosts: HostFarm, tmp_path: Path) -> None:
    host = hosts.up()[0]
    known = tmp_path / "known_hosts"
    first = SshRunner(target(hosts, host, known))
    assert (await first.run(["true"])).exit_code == 0
    await first.close()
    assert known.stat().st_mode & 0o777 == 0o600
    hosts.down(host)
    hosts.boot(host, new_key=True)
    second = SshRunner(target(hosts, host, known))
    with pytest.raises(HostKeyError, match=r"remove its line"):
        await second.run(["true"])
    await second.close()
    hosts.rm(host)


async def test_wrong_key_is_refused(hosts: HostFarm, host: SshHost, tmp_path: Path) -> None:
    import asyncssh

    wrong = tmp_path / "wrong"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(wrong))
    runner = SshRunner(target(hosts, host, tmp_path / "known", identity_file=wrong))
    with pytest.raises(LoginRefused):
        await runner.run(["true"])


async def test_missing_and_broken_key_files(hosts: HostFarm, host: SshHost, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("no key")
    for name in ("missing", "broken"):
        file = tmp_path / name
        runner = SshRunner(target(hosts, host, tmp_path / "known", identity_file=file))
        with pytest.raises(LoginRefused):
            await runner.run(["true"])


async def test_nobody_on_the_port(hosts: HostFarm, host: SshHost, tmp_path: Path) -> None:
    runner = SshRunner(target(hosts, host, tmp_path / "known", port=2222))
    with pytest.raises(ConnectionLost):
        await runner.run(["true"])


async def test_through_another_host(hosts: HostFarm, host: SshHost, tmp_path: Path) -> None:
    inner = hosts.up()[0]
    runner = SshRunner(target(hosts, inner, tmp_path / "known", proxy_jump=f"root@{host.address}"))
    done = await runner.run(["sh", "-c", "hostname; echo $SSH_CONNECTION"])
    assert done.stdout.decode().split()[:2] == [inner.name, host.address]
    await runner.close()
    hosts.rm(inner)


async def test_session_path_is_the_image(hosts: HostFarm, tmp_path: Path) -> None:
    host = hosts.up(Image(path="/opt/own/bin:/usr/bin:/bin"))[0]
    runner = SshRunner(target(hosts, host, tmp_path / "known"))
    done = await runner.run(["sh", "-c", "echo $PATH"])
    assert done.stdout == b"/opt/own/bin:/usr/bin:/bin\n"
    await runner.close()
    hosts.rm(host)


@pytest.mark.full
async def test_power_cut_ends_everything_waiting(hosts: HostFarm, tmp_path: Path) -> None:
    host = hosts.up()[0]
    runner = SshRunner(target(hosts, host, tmp_path / "known"))
    agent = HostAgent(runner, "~/.stix")
    node = await agent.up(UpRequest("power"))
    client = AgentClient(runner, node.socket)
    await client.start(JobStart("r/1", "echo on; sleep 600"))
    tail = client.tail("r/1")
    first = await anext(tail)
    assert isinstance(first, Chunk) and first.data == b"on\n"
    command = asyncio.create_task(runner.run(["sleep", "600"]))
    await asyncio.sleep(0.2)
    hosts.down(host)
    with pytest.raises(ConnectionLost):
        await anext(tail)
    with pytest.raises(ConnectionLost):
        await command
    with pytest.raises(ConnectionLost):
        await client.hello()
    hosts.boot(host)
    assert (await runner.run(["hostname"])).stdout.decode().strip() == host.name
    with pytest.raises(ConnectionLost):
        await client.hello()
    assert await HostAgent(runner, "~/.stix").list() == []
    await runner.close()
    hosts.rm(host)


@pytest.mark.full
async def test_cut_network_and_back(hosts: HostFarm, tmp_path: Path) -> None:
    """The job goes on while nobody can see it, and its log is whole afterwards."""
    host = hosts.up()[0]
    runner = SshRunner(target(hosts, host, tmp_path / "known"))
    node = await HostAgent(runner, "~/.stix").up(UpRequest("cable"))
    client = AgentClient(runner, node.socket)
    await runner.run(["mkfifo", "/root/go"])
    await client.start(JobStart("r/1", "echo before; read x < ~/go; echo after"))
    tail = client.tail("r/1")
    seen = await anext(tail)
    assert isinstance(seen, Chunk) and seen.data == b"before\n"
    hosts.cut(host)
    with pytest.raises(ConnectionLost):
        await anext(tail)
    hosts.uncut(host)
    await runner.run(["sh", "-c", "echo > /root/go"], timeout=60)
    rest = [item async for item in client.tail("r/1", seen.next_offset)]
    assert [i.data for i in rest if isinstance(i, Chunk)] == [b"after\n"]
    await client.shutdown()
    await runner.close()
    hosts.rm(host)


async def test_host_without_socket_forwarding(hosts: HostFarm, tmp_path: Path) -> None:
    host = hosts.up(Image(sshd="AllowStreamLocalForwarding no"))[0]
    plain = SshRunner(target(hosts, host, tmp_path / "known"))
    agent = HostAgent(plain, "~/.stix")
    node = await agent.up(UpRequest("bridge"))
    bridge = tuple(await agent.bridge_command())
    runner = SshRunner(target(hosts, host, tmp_path / "known", bridge=bridge))
    client = AgentClient(runner, node.socket)
    for number in range(12):
        await client.start(JobStart(f"r/{number}", f"echo {number}; sleep 0.5"))

    async def read(number: int) -> bytes:
        items = [item async for item in client.tail(f"r/{number}")]
        return b"".join(i.data for i in items if isinstance(i, Chunk))

    got = await asyncio.gather(*(read(n) for n in range(12)))
    assert got == [b"%d\n" % n for n in range(12)]
    await client.shutdown()
    await runner.close()
    await plain.close()
    hosts.rm(host)


async def test_full_disk_leaves_no_half_file(hosts: HostFarm, tmp_path: Path) -> None:
    from stix.remote.base import RemoteError

    host = hosts.up(Image(disk="16m"))[0]
    runner = SshRunner(target(hosts, host, tmp_path / "known"))
    for size in (4 << 20, 24 << 20):
        (tmp_path / "data").write_bytes(os.urandom(size))
        with pytest.raises(RemoteError):
            await runner.run(["sh", "-c", "mkdir -p /srv/x; head -c 14M /dev/zero > /srv/x/fill"])
            await runner.put(tmp_path / "data", "/srv/x/data")
        left = await runner.run(["ls", "/srv/x"])
        assert left.stdout == b"fill\n"
    await runner.close()
    hosts.rm(host)


async def test_full_disk_cuts_the_log_and_not_the_job(hosts: HostFarm, tmp_path: Path) -> None:
    host = hosts.up(Image(disk="16m"))[0]
    runner = SshRunner(target(hosts, host, tmp_path / "known"))
    node = await HostAgent(runner, "/srv/stix").up(UpRequest("full"))
    client = AgentClient(runner, node.socket)
    script = "head -c 40M /dev/zero; echo written > /run/end; exit 3"
    await client.start(JobStart("r/1", script))
    status = await client.wait("r/1")
    assert (status.exit_code, status.truncated) == (3, True)
    assert 0 < status.size < 16 << 20
    assert (await runner.run(["cat", "/run/end"])).stdout == b"written\n"
    await client.shutdown()
    await runner.close()
    hosts.rm(host)
