"""One artifact, many consumers: each chunk comes to each host once, by the host's own request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from stix.clouds.base import CanChaos
from stix.engine.runtime import CloudSet
from stix.flows.host import cloud_configs
from stix.ledger import Ledger
from stix.storage.artifacts import ArtifactStore, Replicas
from stix.storage.artifacts.member import Member
from tests.support.hosts import HostFarm, SshHost
from tests.support.relay import Relay, relay
from tests.support.s3 import S3Server, s3_server
from tests.support.server import ServerHome
from tests.support.workshop import open_workshop
from tests.support.yard import Yard

__all__ = ["s3_server"]

pytestmark = [pytest.mark.server, pytest.mark.hosts]

MIB = 64
CONSUMERS = 8
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


def pipeline(consumers: int, *, shared: bool, use: str = USE) -> str:
    """One producer; consumers spread over all pools."""
    stages: dict[str, Any] = {
        "make": {
            "run": MAKE,
            "outputs": {"data": "out"},
            "resources": {"infra": f"ssh/{POOLS[0]}"},
        }
    }
    for number in range(consumers):
        stages[f"use{number}"] = {
            "run": use.format(size=MIB * 2**20),
            "inputs": {"data": {"from": "make.data", "shared": shared}},
            "resources": {"infra": f"ssh/{POOLS[number % len(POOLS)]}"},
            "recovery": {"preempted": {"retries": 3, "backoff": 0}},
        }
    return json.dumps({"name": "fanout", "stages": stages})


def sums(yard: Yard, ended: Any) -> set[str]:
    return {row.result["sum"] for key, row in ended.stages.items() if key != "make"}


@pytest.mark.parametrize("shared", [True, False], ids=["linked", "copied"])
async def test_each_chunk_comes_to_each_host_once(
    field: Yard, way: Relay, hosts: HostFarm, four: list[SshHost], shared: bool
) -> None:
    ended = await field.run(pipeline(CONSUMERS, shared=shared))
    assert ended.state == "succeeded", ended.message
    assert len(sums(field, ended)) == 1
    manifest = field.workshop.runtime.store.manifest(ended.stages["make"].outputs["data"])
    chunks = {chunk for entry in manifest.entries for chunk in entry.chunks}
    for host in four:
        got = [path.rpartition("/")[2] for path in way.gets(host.address)]
        assert sorted(got) == sorted(chunks), f"{host.name} got them once"
    ours = f"{hosts.network}.1"
    assert not way.gets(ours), "no chunk passed the engine"
    written = [one for one in way.log if one.method == "PUT" and one.status == 200]
    assert {one.client for one in written if "/chunks/" in one.path} == {four[0].address}
    moved = [a.steps["sync"]["result"]["data"] for a in ended.attempts if "sync" in a.steps]
    copied = [one["copied"] for by_node in moved for one in by_node.values()]
    assert all(count == 0 for count in copied) if shared else all(copied)
