"""Nodes on SSH hosts made of namespaces: the conformance suite, pools, and what can go wrong."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from stix.clouds.agents import UnusableHost
from stix.clouds.base import CreateRequest, NodeState, Selector
from stix.clouds.config import CloudConfig
from stix.clouds.errors import AuthError, CapacityError, CloudError
from stix.clouds.ssh import SshCloud
from stix.clouds.ssh.link import UnknownHost, Unreachable
from stix.clouds.testing.bench import Bench
from stix.clouds.testing.suite import CloudConformance
from stix.plan.offers import Demand, Offer
from tests.support.hosts import HostFarm, Image, SshHost

pytestmark = pytest.mark.hosts


@pytest.fixture(scope="module")
def three(hosts: HostFarm) -> Iterator[list[SshHost]]:
    made = hosts.up(count=3)
    yield made
    for host in made:
        hosts.rm(host)


def write_pools(home: Path, farm: HostFarm, pools: dict[str, Any]) -> None:
    home.mkdir(exist_ok=True)
    whole = {
        name: {"user": "root", "identity_file": str(farm.identity), "hosts": hosts}
        for name, hosts in pools.items()
    }
    (home / "ssh_node_pools.yaml").write_text(json.dumps(whole))


@pytest.fixture
def config(
    tmp_path: Path, hosts: HostFarm, three: list[SshHost], monkeypatch: pytest.MonkeyPatch
) -> CloudConfig:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    write_pools(tmp_path / "home", hosts, {"rack": [host.address for host in three]})
    return CloudConfig(tmp_path / "home", tmp_path, {}, tmp_path.name)


@pytest.fixture
async def cloud(config: CloudConfig) -> AsyncIterator[SshCloud]:
    cloud = SshCloud(config)
    yield cloud
    await cloud.terminate([node.ref for node in await cloud.list(Selector())])
    await cloud.close()


def on(farm: HostFarm, host: SshHost, script: str) -> str:
    """What a command prints on a host, by the ssh of the system."""
    options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
    argv = ["ssh", *options, "-i", str(farm.identity), f"root@{host.address}", script]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


async def remains(farm: HostFarm, hosts: Sequence[SshHost]) -> list[str]:
    """Directories, sockets and processes of nodes on the hosts."""
    script = "ls -d ~/.stix/nodes/* ~/.stix/s/* 2>/dev/null; pgrep -a -f 'sleep 1000|agent-.* up'"
    words = [on(farm, host, f"{script}; true") for host in hosts]
    return [line for text in words for line in text.splitlines() if "pgrep" not in line]


class TestSsh(CloudConformance):
    @pytest.fixture
    async def bench(self, config: CloudConfig, hosts: HostFarm, three: list[SshHost]) -> Bench:
        cloud = SshCloud(config)
        offer = next(o for o in await cloud.offers() if o.zone is None)
        await cloud.close()
        demand = Demand(memory_gib=offer.memory_gib / 2)
        return Bench(lambda: SshCloud(config), offer, demand, 6, lambda: remains(hosts, three))


async def request(cloud: SshCloud, token: str = "t", **changes: Any) -> CreateRequest:
    fields = {"token": token, "count": 1, "name": token, "tags": {"stix-token": token}}
    offer = next(o for o in await cloud.offers() if o.zone is None)
    return CreateRequest(**{"offer": offer, "demand": Demand(), **fields, **changes})


async def test_check_counts_the_hosts(cloud: SshCloud, three: list[SshHost]) -> None:
    identity = await cloud.check()
    assert identity.account == "3 of 3 hosts"
    assert all(f"rack/{host.address}: " in identity.detail for host in three)


async def test_a_pool_offers_its_sizes_and_its_hosts(cloud: SshCloud, three: list[SshHost]) -> None:
    pool, *single = await cloud.offers()
    assert (pool.region, pool.zone, pool.capacity, pool.shared) == ("rack", None, 3, True)
    assert pool.price == 0
    assert [(o.zone, o.capacity) for o in single] == [(host.address, 1) for host in three]
    assert pool.cpus > 0
    assert pool.memory_gib > 0


async def test_a_gang_spreads_over_hosts_then_shares_them(
    cloud: SshCloud, three: list[SshHost]
) -> None:
    nodes = await cloud.create(await request(cloud, count=7))
    addresses = [node.address for node in nodes]
    assert set(addresses[:3]) == {host.address for host in three}
    assert sorted(addresses.count(host.address) for host in three) == [2, 2, 3]
    assert [node.ref.zone for node in nodes] == addresses
    assert [node.rank for node in nodes] == list(range(7))


async def test_stages_go_where_the_fewest_nodes_are(cloud: SshCloud, three: list[SshHost]) -> None:
    zones = [(await cloud.create(await request(cloud, t)))[0].ref.zone for t in ("a", "b", "c")]
    assert sorted(map(str, zones)) == [host.address for host in three]


async def test_many_stages_at_once_share_the_hosts(cloud: SshCloud, three: list[SshHost]) -> None:
    """About evenly: a node that is just made may be counted twice."""
    requests = [await request(cloud, f"t{number}") for number in range(15)]
    made = await asyncio.gather(*(cloud.create(wish) for wish in requests))
    zones = [nodes[0].ref.zone for nodes in made]
    assert all(3 <= zones.count(host.address) <= 7 for host in three), zones


async def test_a_host_that_is_named_is_the_only_one(cloud: SshCloud, three: list[SshHost]) -> None:
    offer = next(o for o in await cloud.offers() if o.zone == three[1].address)
    demand = Demand(memory_gib=offer.memory_gib / 2)
    nodes = await cloud.create(await request(cloud, offer=offer, demand=demand, count=2))
    assert {node.ref.zone for node in nodes} == {three[1].address}
    with pytest.raises(CapacityError) as caught:
        await cloud.create(await request(cloud, "more", offer=offer, demand=demand))
    assert caught.value.scope == "zone"


async def test_nodes_of_another_home_are_not_ours(cloud: SshCloud, config: CloudConfig) -> None:
    theirs = SshCloud(CloudConfig(config.home, config.socket_dir, {}, "another-home"))
    nodes = await theirs.create(await request(theirs, "theirs"))
    assert await cloud.list(Selector()) == []
    await theirs.terminate([node.ref for node in nodes])
    await theirs.close()


async def test_a_dead_host_is_left_out(
    cloud: SshCloud, config: CloudConfig, hosts: HostFarm, three: list[SshHost]
) -> None:
    (extra,) = hosts.up()
    hosts.down(extra)
    write_pools(config.home, hosts, {"rack": [extra.address, three[0].address]})
    identity = await cloud.check()
    assert identity.account == "1 of 2 hosts"
    assert f"ssh/rack/{extra.address}" in identity.detail
    nodes = await cloud.create(await request(cloud, count=2))
    assert {node.address for node in nodes} == {three[0].address}
    assert len(await cloud.list(Selector())) == 2
    hosts.rm(extra)


@pytest.mark.full
async def test_a_host_that_dies_takes_its_nodes_out_of_the_list(
    config: CloudConfig, hosts: HostFarm
) -> None:
    (extra,) = hosts.up()
    write_pools(config.home, hosts, {"alone": [extra.address]})
    cloud = SshCloud(config)
    (node,) = await cloud.create(await request(cloud))
    assert node.state is NodeState.RUNNING
    hosts.down(extra)
    with pytest.raises(Unreachable, match=extra.address) as caught:
        await cloud.terminate([node.ref])
    assert caught.value.retryable
    assert await cloud.list(Selector()) == []
    await cloud.close()
    hosts.rm(extra)


async def _check_error(config: CloudConfig) -> CloudError:
    cloud = SshCloud(config)
    with pytest.raises(CloudError) as caught:
        await cloud.check()
    await cloud.close()
    assert caught.value.fix
    return caught.value


@pytest.mark.full
async def test_a_silent_host_is_no_proof_that_a_node_is_gone(
    config: CloudConfig, hosts: HostFarm
) -> None:
    (extra,) = hosts.up()
    write_pools(config.home, hosts, {"alone": [extra.address]})
    cloud = SshCloud(config)
    (node,) = await cloud.create(await request(cloud))
    assert await cloud.describe(node.ref) is NodeState.RUNNING
    hosts.down(extra)
    with pytest.raises(Unreachable, match=extra.address):
        await cloud.describe(node.ref)
    hosts.boot(extra)
    await cloud.check()
    assert await cloud.describe(node.ref) is None
    await cloud.close()
    hosts.rm(extra)


async def test_an_unknown_host(config: CloudConfig, hosts: HostFarm) -> None:
    write_pools(config.home, hosts, {"rack": ["no-such-host.invalid"]})
    error = await _check_error(config)
    assert isinstance(error, UnknownHost)
    assert "no-such-host.invalid" in error.message


async def test_a_refused_key(config: CloudConfig, hosts: HostFarm, three: list[SshHost]) -> None:
    other = config.home / "other-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    pools = {"rack": {"user": "root", "identity_file": str(other), "hosts": [three[0].address]}}
    (config.home / "ssh_node_pools.yaml").write_text(json.dumps(pools))
    error = await _check_error(config)
    assert isinstance(error, AuthError)
    assert three[0].address in error.message
    cloud = SshCloud(config)
    offer = Offer("ssh", "rack", None, "any", 1, 1, shared=True)
    with pytest.raises(AuthError):
        await cloud.create(CreateRequest("t", offer, Demand(), 1, "t", {}))
    await cloud.close()


async def test_a_changed_host_key(config: CloudConfig, hosts: HostFarm) -> None:
    (extra,) = hosts.up()
    write_pools(config.home, hosts, {"rack": [extra.address]})
    cloud = SshCloud(config)
    await cloud.check()
    await cloud.close()
    hosts.down(extra)
    hosts.boot(extra, new_key=True)
    error = await _check_error(config)
    assert isinstance(error, AuthError)
    assert "host key" in error.message
    assert str(config.home / "known_hosts") in error.fix
    hosts.rm(extra)


async def test_a_host_without_python(config: CloudConfig, hosts: HostFarm) -> None:
    (extra,) = hosts.up(Image(path="/opt/bare"))
    programs = "/bin/sh /bin/true /bin/cat /bin/mkdir /bin/mv"
    on(hosts, extra, f"/bin/mkdir -p /opt/bare && /bin/ln -s {programs} /opt/bare/")
    write_pools(config.home, hosts, {"rack": [extra.address]})
    error = await _check_error(config)
    assert isinstance(error, UnusableHost)
    assert "no Python 3.8" in error.message
    assert "install python3" in error.fix
    hosts.rm(extra)


async def test_no_pools_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    error = await _check_error(CloudConfig(tmp_path, tmp_path))
    assert "no pools" in error.message
    assert "ssh_node_pools.yaml" in error.fix


async def test_unknown_pools_and_hosts_get_a_suggestion(
    cloud: SshCloud, three: list[SshHost]
) -> None:
    wanted = Offer("ssh", "rak", None, "any", 1, 1)
    with pytest.raises(UnknownHost) as caught:
        await cloud.create(await request(cloud, offer=wanted))
    assert "did you mean rack?" in caught.value.fix
    wanted = Offer("ssh", "rack", "10.0.0.99", "any", 1, 1)
    with pytest.raises(UnknownHost) as caught:
        await cloud.create(await request(cloud, offer=wanted))
    assert three[0].address in caught.value.fix


async def test_a_name_of_the_ssh_config_works(
    config: CloudConfig, hosts: HostFarm, three: list[SshHost], tmp_path: Path
) -> None:
    folder = tmp_path / "user" / ".ssh"
    folder.mkdir(parents=True)
    key = shlex.quote(str(hosts.identity))
    text = f"Host desk\n  HostName {three[2].address}\n  User root\n  IdentityFile {key}\n"
    (folder / "config").write_text(text)
    (config.home / "ssh_node_pools.yaml").write_text("desks: {hosts: [desk]}\n")
    cloud = SshCloud(config)
    (node,) = await cloud.create(await request(cloud))
    assert (node.ref.zone, node.address) == ("desk", three[2].address)
    await cloud.terminate([node.ref])
    await cloud.close()


async def test_facts_are_remembered_by_the_next_engine(
    config: CloudConfig, cloud: SshCloud, hosts: HostFarm
) -> None:
    first = list(await cloud.offers())
    kept = json.loads((config.home / "cache" / "ssh-hosts.json").read_text())
    assert len(kept) == 3
    other = SshCloud(config)
    assert list(await other.offers()) == first
    assert other._links == {}  # no host was asked
