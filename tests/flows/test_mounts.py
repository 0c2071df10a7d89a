"""Buckets that are mounted on hosts, while their server dies, freezes, or is as it should be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from stix.engine.runtime import CloudSet
from stix.flows.host import cloud_configs
from stix.ledger import Ledger
from stix.storage.base import CanManageBuckets, Store
from stix.storage.registry import open_store
from tests.support.fuse import need_fuse
from tests.support.hosts import HostFarm, SshHost
from tests.support.s3 import S3Server, serve
from tests.support.server import ServerHome
from tests.support.workshop import open_workshop
from tests.support.yard import Ended, Yard

pytestmark = [pytest.mark.server, pytest.mark.hosts]

BOUNDS = "mounts: {idle: 1, connect: 1, flush: 4, silence: 20, check: 20}\n"
PATIENCE_S = 300.0
MIB = 1 << 20


@dataclass
class Rack:
    """A yard whose stages run on hosts, and an S3 server that these reach."""

    yard: Yard
    farm: HostFarm
    hosts: list[SshHost]
    server: S3Server
    pid: int
    made: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return open_store(self.server.url())

    def bucket(self, name: str) -> str:
        store = self.store
        assert isinstance(store, CanManageBuckets)
        return store.create_bucket(name, "us-east-1", {}).url

    def text(self, url: str) -> str:
        store = self.store
        with store.errors(url), store.filesystem().open(store.path(url)) as file:
            return bytes(file.read()).decode()

    def on(self, host: SshHost, script: str) -> str:
        """What a command prints on a host, by the ssh of the system."""
        options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"]
        argv = ["ssh", *options, "-oLogLevel=ERROR", "-i", str(self.farm.identity)]
        argv += [f"root@{host.address}", script]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout

    def left(self) -> list[str]:
        """What is mounted on the hosts, and who still uses or serves it."""
        script = "grep fuse.rclone /proc/mounts; pgrep -a -f '[r]clone mount|data/[a-z]'; true"
        return [line for host in self.hosts for line in self.on(host, script).splitlines()]

    def signal(self, name: str) -> None:
        os.kill(self.pid, getattr(signal, name))

    async def begun(self, run_id: str, word: str = "begun") -> None:
        """Wait until the command of the first attempt said so."""
        path = self.yard.workshop.runtime.config.attempt_logs(run_id, "main", 1) / "run-0.log"
        async with asyncio.timeout(PATIENCE_S):
            while not (path.exists() and word in path.read_text()):
                row = await self.yard.ledger.run(run_id)
                assert not row.state.final, row.error
                await asyncio.sleep(0.05)

    async def ended(self, run_id: str) -> Ended:
        async with asyncio.timeout(PATIENCE_S):
            while not (await self.yard.ledger.run(run_id)).state.final:
                await asyncio.sleep(0.1)
        return await self.yard.end(run_id)


@pytest.fixture
def hosts_(hosts: HostFarm) -> Iterator[list[SshHost]]:
    need_fuse()
    made = hosts.up(count=2)
    yield made
    for host in made:
        hosts.rm(host)


@pytest.fixture
def server(hosts: HostFarm, tmp_path: Path) -> Iterator[tuple[S3Server, int]]:
    """A server of this test's own, which it may freeze."""
    folder = tmp_path / "s3"
    folder.mkdir()
    with serve(folder, f"{hosts.network}.1") as made:
        pid = _pid(folder)
        yield made, pid
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGCONT)


def _pid(folder: Path) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if f"-dir={folder}/data".encode() in path.read_bytes().split(b"\0"):
            return int(path.parent.name)
    raise AssertionError("the server is not there")


@pytest.fixture
async def rack(
    ledger: Ledger,
    url: str,
    tmp_path: Path,
    stix_server: ServerHome,
    hosts: HostFarm,
    hosts_: list[SshHost],
    server: tuple[S3Server, int],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Rack]:
    for name, value in server[0].environment().items():
        monkeypatch.setenv(name, value)
    addresses = [host.address for host in hosts_]
    pools = {"p": {"user": "root", "identity_file": str(hosts.identity), "hosts": addresses}}
    settings = {PREFECT_API_URL: f"{stix_server.url}/api", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings):
        async with (
            get_client() as client,
            open_workshop(ledger, tmp_path, BOUNDS, prefect=client) as made,
        ):
            file = made.runtime.config.home / "ssh_node_pools.yaml"
            file.write_text(json.dumps(pools))
            configs = cloud_configs(made.runtime.config)
            clouds = CloudSet(configs, {"local": False, "ssh": True}, ledger)
            yard = Yard(replace(made, runtime=replace(made.runtime, clouds=clouds)), url)
            yield Rack(yard, hosts, hosts_, *server)
            await yard.close()
            await clouds.close()


def pipeline(url: str, run: str, mode: str, **more: Any) -> str:
    mounts = {"data": {"source": url, "mode": mode}, **more.pop("mounts", {})}
    stage = {"run": run, "file_mounts": mounts, **more}
    return json.dumps({"name": "mounted", "stages": {"main": stage}})


WORK = """\
set -e
test "$(cat data/in)" = here
echo $STIX_NODE_RANK > data/own-$STIX_NODE_RANK
echo more >> data/own-$STIX_NODE_RANK
mv data/own-$STIX_NODE_RANK data/moved-$STIX_NODE_RANK
head -c 200000 /dev/zero | tr '\\0' $STIX_NODE_RANK > data/same
echo made > named/$STIX_NODE_RANK
echo begun
for i in $(seq 300); do ls data | grep -q later && break; sleep 0.2; done
cat data/later
"""


async def test_two_hosts_work_in_one_bucket(rack: Rack) -> None:
    """Read, write, append, rename; two writers of one file; what others add is seen.

    A second bucket is made for them, by its name.
    """
    url = rack.bucket("both")
    rack.store.put(f"{url}/in", b"here\n")
    more = {"named": {"name": "stix-by-name", "store": "s3", "mode": "MOUNT_CACHED"}}
    text = pipeline(url, WORK, "MOUNT", num_nodes=2, resources={"infra": "ssh"}, mounts=more)
    run_id = await rack.yard.start(text)
    await rack.begun(run_id)
    rack.store.put(f"{url}/later", b"seen by all\n")
    ended = await rack.ended(run_id)
    assert ended.state == "succeeded", ended.stages["main"].reason
    assert [rack.text(f"{url}/moved-{n}") for n in (0, 1)] == ["0\nmore\n", "1\nmore\n"]
    assert rack.text(f"{url}/same") in ("0" * 200_000, "1" * 200_000), "whole, of one of the two"
    steps = ended.attempts[0].steps
    mounted = steps["mounts"]["result"]["mounted"]
    assert {one["rank"] for one in mounted} == {0, 1} and "tools/rclone-" in mounted[0]["program"]
    assert {one["rank"] for one in steps["flush"]["result"]["flushed"]} == {0, 1}
    assert rack.text("s3://stix-by-name/1") == "made\n"
    log = rack.yard.workshop.runtime.config.attempt_logs(run_id, "main", 1)
    assert "seen by all" in (log / "run-0.log").read_text()
    assert rack.left() == []


READ = "exec 3< data/big; head -c 1M <&3 > /dev/null; echo begun; sleep 3; cat <&3 > /dev/null"
WRITE = "exec 3> data/out; head -c 4M /dev/zero >&3; echo begun; sleep 3; exec 3>&-; true"
CASES = [
    *((mode, "read", blow) for mode in ("MOUNT", "MOUNT_CACHED", "STREAM") for blow in ("K", "S")),
    *((mode, "flush", blow) for mode in ("MOUNT", "MOUNT_CACHED") for blow in ("K", "S")),
]
BLOWS = {"K": "SIGKILL", "S": "SIGSTOP"}


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("mode", "phase", "blow"), CASES)
async def test_a_server_that_goes(rack: Rack, mode: str, phase: str, blow: str) -> None:
    """The command, or the flush, ends with an error within a bound, and so does the stage."""
    url = rack.bucket("hurt")
    rack.store.put(f"{url}/big", os.urandom(MIB) * 96)
    recovery = {"setup_failed": {"retries": 0}}
    text = pipeline(url, READ if phase == "read" else WRITE, mode, recovery=recovery)
    run_id = await rack.yard.start(text)
    await rack.begun(run_id)
    rack.signal(BLOWS[blow])
    since = time.monotonic()
    ended = await rack.ended(run_id)
    print(f"{mode} {phase} {BLOWS[blow]}: over after {time.monotonic() - since:.0f} s")
    assert ended.state == "failed"
    (attempt,) = ended.attempts
    assert attempt.event is not None and attempt.event["kind"] == "setup_failed", attempt.event
    wanted = "its mount had errors" if phase == "read" else "were not uploaded within"
    assert wanted in attempt.event["detail"]
    assert phase == "read" or "1 files (4194304 bytes): out" in attempt.event["detail"]
    assert rack.left() == []


@pytest.mark.full
@pytest.mark.timeout(900)
async def test_a_server_that_comes_back_lets_the_next_attempt_succeed(rack: Rack) -> None:
    url = rack.bucket("back")
    rack.store.put(f"{url}/big", os.urandom(MIB) * 96)
    recovery = {"setup_failed": {"retries": 1, "backoff": 2}}
    run_id = await rack.yard.start(pipeline(url, READ, "MOUNT", recovery=recovery))
    await rack.begun(run_id)
    rack.signal("SIGSTOP")
    async with asyncio.timeout(PATIENCE_S):
        while not any(a.event for a in await rack.yard.ledger.attempts(run_id)):
            await asyncio.sleep(0.1)
    rack.signal("SIGCONT")
    ended = await rack.ended(run_id)
    assert ended.state == "succeeded"
    assert [a.event and a.event["kind"] for a in ended.attempts] == ["setup_failed", None]
    assert rack.left() == []


@pytest.mark.full
@pytest.mark.timeout(900)
async def test_a_pause_of_the_server_during_the_flush_costs_nothing_but_time(rack: Rack) -> None:
    """Within the bound of the flush: what is written arrives, and the stage succeeds."""
    url = rack.bucket("pause")
    run_id = await rack.yard.start(pipeline(url, WRITE, "MOUNT_CACHED"))
    await rack.begun(run_id)
    rack.signal("SIGSTOP")
    await asyncio.sleep(5)
    rack.signal("SIGCONT")
    ended = await rack.ended(run_id)
    assert ended.state == "succeeded", ended.stages["main"].reason
    assert len(rack.text(f"{url}/out")) == 4 * MIB
    assert rack.left() == []
