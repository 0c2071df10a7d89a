"""One artifact, many consumers: each chunk comes to each host once, by the host's own request."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from stix.engine.runtime import CloudSet
from stix.flows.host import cloud_configs
from stix.ledger import Ledger
from stix.storage.artifacts import ArtifactStore, Replicas
from stix.storage.artifacts.member import Member
from stix.storage.stores.s3 import S3Store
from tests.support.hosts import HostFarm, SshHost
from tests.support.relay import Relay, relay
from tests.support.s3 import S3Server, s3_server
from tests.support.server import ServerHome
from tests.support.workshop import open_workshop
from tests.support.yard import Ended, Yard

__all__ = ["s3_server"]

pytestmark = [pytest.mark.server, pytest.mark.hosts]

MIB = 64
CONSUMERS = 6
POOLS = ("north", "east", "south", "west")
MAKE = f"head -c {MIB * 2**20} /dev/urandom > big; mkdir -p out/d; mv big out/; date > out/d/small"
USE = """
test $(stat -c %s $STIX_INPUT_DATA/big) = {size}
sha256sum $STIX_INPUT_DATA/big | cut -c1-64 > sum
printf '{{"sum": "%s"}}' $(cat sum) > $STIX_RESULT
"""


@pytest.fixture(scope="module")
def four(hosts: HostFarm) -> Iterator[list[SshHost]]:
    made = hosts.up(count=len(POOLS))
    yield made
    for host in made:
        hosts.rm(host)


@pytest.fixture
def way(s3_server: S3Server, hosts: HostFarm, four: list[SshHost]) -> Iterator[Relay]:
    """To the S3 server, from all hosts."""
    with relay(s3_server.endpoint_url, f"{hosts.network}.1") as made:
        yield made


@pytest.fixture
async def field(
    ledger: Ledger,
    url: str,
    tmp_path: Path,
    stix_server: ServerHome,
    hosts: HostFarm,
    four: list[SshHost],
    s3_server: S3Server,
    way: Relay,
) -> AsyncIterator[Yard]:
    """A yard with four pools of one host each, and its artifacts in S3."""
    login = {"user": "root", "identity_file": str(hosts.identity)}
    pools = {
        name: {**login, "hosts": [host.address]} for name, host in zip(POOLS, four, strict=True)
    }
    options = s3_server.options() | {"endpoint_url": way.url}
    store = Replicas([Member(ArtifactStore(s3_server.url(tmp_path.name), **options))])
    settings = {PREFECT_API_URL: f"{stix_server.url}/api", PREFECT_LOGGING_TO_API_ENABLED: False}
    with temporary_settings(settings):
        async with get_client() as client, open_workshop(ledger, tmp_path, prefect=client) as made:
            file = made.runtime.config.home / "ssh_node_pools.yaml"
            file.write_text(json.dumps(pools))
            configs = cloud_configs(made.runtime.config)
            clouds = CloudSet(configs, {"local": False, "ssh": True}, ledger)
            runtime = replace(made.runtime, clouds=clouds, store=store)
            opened = Yard(replace(made, runtime=runtime), url)
            yield opened
            await opened.close()
            await clouds.close()


def pipeline(consumers: int, *, shared: bool, pools: Sequence[str] = POOLS) -> str:
    """One producer; consumers spread over the pools."""
    stages: dict[str, Any] = {
        "make": {
            "run": MAKE,
            "outputs": {"data": "out"},
            "resources": {"infra": f"ssh/{POOLS[0]}"},
        }
    }
    for number in range(consumers):
        stages[f"use{number}"] = {
            "run": USE.format(size=MIB * 2**20),
            "inputs": {"data": {"from": "make.data", "shared": shared}},
            "resources": {"infra": f"ssh/{pools[number % len(pools)]}"},
            "recovery": {"preempted": {"retries": 3, "backoff": 0}},
        }
    return json.dumps({"name": "fanout", "stages": stages})


def sums(ended: Ended) -> set[str]:
    return {row.result["sum"] for key, row in ended.stages.items() if key != "make"}


def chunks_of(yard: Yard, ended: Ended) -> list[str]:
    manifest = yard.workshop.runtime.store.manifest(ended.stages["make"].outputs["data"])
    return sorted({chunk for entry in manifest.entries for chunk in entry.chunks})


def names(paths: list[str]) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in paths)


@pytest.mark.parametrize(
    "shared", [True, pytest.param(False, marks=pytest.mark.full)], ids=["linked", "copied"]
)
async def test_each_chunk_comes_to_each_host_once(
    field: Yard, way: Relay, hosts: HostFarm, four: list[SshHost], shared: bool
) -> None:
    ended = await field.run(pipeline(CONSUMERS, shared=shared))
    assert ended.state == "succeeded", ended.message
    assert len(sums(ended)) == 1
    for host in four:
        assert names(way.gets(host.address)) == chunks_of(field, ended), f"{host.name}: once"
    ours = f"{hosts.network}.1"
    assert not way.gets(ours), "no chunk passed the engine"
    written = [one for one in way.log if one.method == "PUT" and one.status == 200]
    assert {one.client for one in written if "/chunks/" in one.path} == {four[0].address}
    moved = [a.steps["sync"]["result"]["data"] for a in ended.attempts if "sync" in a.steps]
    copied = [one["copied"] for by_node in moved for one in by_node.values()]
    assert all(count == 0 for count in copied) if shared else all(copied)


async def test_neither_a_kill_nor_a_takeover_brings_a_chunk_twice(
    field: Yard, way: Relay, hosts: HostFarm, four: list[SshHost]
) -> None:
    """A process that fetches is killed, then the engine goes; another one ends it."""
    east = four[1]
    way.hold_for(east.address, "/chunks/", free=2)
    run_id = await field.start(pipeline(2, shared=False, pools=["east"]))
    await came(way, east, 2)
    await asyncio.sleep(0.5)  # to be noted down
    await asyncio.to_thread(kill_pulls, east)
    way.hold_for(east.address, "/chunks/", free=1)
    await came(way, east, 3)
    await asyncio.sleep(0.5)
    await field.engines[0].leave()
    await field.engine()
    way.release()
    ended = await field.end(run_id)
    assert ended.state == "succeeded", ended.message
    assert names(way.gets(east.address)) == chunks_of(field, ended)
    assert len(sums(ended)) == 1
    assert all(len(row.steps) for row in ended.attempts)


async def came(way: Relay, host: SshHost, count: int) -> None:
    async with asyncio.timeout(80):
        while len(way.gets(host.address)) < count:
            await asyncio.sleep(0.05)


def kill_pulls(host: SshHost) -> None:
    """SIGKILL to every process that fetches on a host."""
    listed = subprocess.run(["ip", "netns", "pids", host.name], capture_output=True, check=True)
    for pid in map(int, listed.stdout.split()):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.cmdline()[-1:] == ["pull"]:
                process.kill()


async def test_what_a_host_cannot_fetch_the_engine_passes_on_once(
    field: Yard, way: Relay, hosts: HostFarm, four: list[SshHost]
) -> None:
    """A firewall stands between a host and the store."""
    south = four[2]
    way.refusing.add(south.address)
    ended = await field.run(pipeline(3, shared=True, pools=["south"]))
    assert ended.state == "succeeded", ended.message
    assert len(sums(ended)) == 1
    assert way.gets(south.address) == []
    assert names(way.gets(f"{hosts.network}.1")) == chunks_of(field, ended)


async def test_a_bucket_is_copied_by_the_node(
    field: Yard,
    way: Relay,
    four: list[SshHost],
    s3_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``file_mounts`` of a URL: listed by the engine, fetched by the host."""
    for name, value in {**s3_server.environment(), "AWS_ENDPOINT_URL": way.url}.items():
        monkeypatch.setenv(name, value)
    west, top = four[3], s3_server.url("bucket", tmp_path.name)
    files = {"a.txt": b"a", "sub/b c.bin": os.urandom(20 * 2**20), "sub/none": b""}
    backend = S3Store(**s3_server.options())
    for name, data in files.items():
        backend.put(f"{top}/{name}", data)
    stage = {
        "run": "(cd data && find . -type f -exec sha256sum {} +) | sort -k2 > sums",
        "file_mounts": {"data": top},
        "outputs": {"sums": "sums"},
        "resources": {"infra": "ssh/west"},
    }
    ended = await field.run(json.dumps({"name": "copied", "stages": {"main": stage}}))
    assert ended.state == "succeeded", ended.message
    target = tmp_path / "sums"
    field.workshop.runtime.store.get(ended.stages["main"].outputs["sums"], target)
    found = dict(line.split("  ", 1)[::-1] for line in target.read_text().splitlines())
    wanted = {f"./{name}": hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert found == wanted
    came = [one for one in way.log if one.client == west.address and one.method == "GET"]
    assert sum(one.sent for one in came) == sum(map(len, files.values()))


async def test_a_checkpoint_goes_to_the_store_from_its_node(
    field: Yard, way: Relay, hosts: HostFarm, four: list[SshHost]
) -> None:
    """And comes back to the next attempt by the host's own request, where it was not kept."""
    north = four[0]
    run = (
        "mkdir -p c; n=$(cat c/n 2>/dev/null || echo 0); echo $((n + 1)) > c/n; "
        "test $n -ge 1 && cp c/n out || exit 75"
    )
    stage = {
        "run": run,
        "outputs": {"out": "out"},
        "checkpoint": {"path": "c", "every": "1h"},
        "resources": {"infra": "ssh/north"},
        "recovery": {"user_error": {"retries": 2, "backoff": 0}},
    }
    ended = await field.run(json.dumps({"name": "kept", "stages": {"main": stage}}))
    assert ended.state == "succeeded" and len(ended.attempts) == 2
    written = [one for one in way.log if one.method == "PUT" and one.status == 200]
    assert {one.client for one in written if "/chunks/" in one.path} == {north.address}
    assert len(way.gets(north.address)) == 1
    assert way.gets(f"{hosts.network}.1") == []


async def test_nodes_of_this_machine_share_what_lies_in_a_folder(yard: Yard) -> None:
    """The store is a folder, which signs nothing: the engine fills the one copy."""
    tell = 'printf \'{"links": %s, "mode": "%s"}\' $(stat -c "%h %a" $STIX_INPUT_D)'
    stage = {
        "run": f"{tell} > $STIX_RESULT",
        "inputs": {"d": {"from": "make.d", "shared": True}},
    }
    make = {"run": "echo data > d", "outputs": {"d": "d"}}
    ended = await yard.run(
        json.dumps({"name": "near", "stages": {"make": make, "one": stage, "two": stage}})
    )
    assert ended.state == "succeeded", ended.message
    found = [ended.stages[key].result for key in ("one", "two")]
    assert all(one["mode"] == "444" and one["links"] >= 2 for one in found)
