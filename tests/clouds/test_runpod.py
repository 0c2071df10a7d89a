"""RunPod against a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stix.clouds.base import HasVolumes
from stix.clouds.errors import CapacityError, InvalidRequest, UnsupportedFeature
from stix.clouds.runpod import RunpodCloud
from stix.clouds.testing.bench import Bench, desk
from stix.clouds.testing.double import Thing
from stix.clouds.testing.suite import CloudConformance
from stix.clouds.volumes import Attachment, VolumeWish
from stix.remote.ssh import SshRunner
from stix.remote.ssh_target import SshTarget
from tests.support.clouds.benches import bench as rented
from tests.support.clouds.benches import offer_of
from tests.support.clouds.runpod import KEY, Runpod
from tests.support.hosts import HostFarm

GPU = offer_of("runpod", "*", "1x_RTX4090_SECURE")


class TestRunpod(CloudConformance):
    @pytest.fixture
    def bench(self, account: Bench) -> Bench:
        return account


@pytest.fixture
def double() -> Iterator[Runpod]:
    with Runpod().running() as double:
        yield double


@pytest.fixture
def account(double: Runpod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    spot = replace(GPU, spot=True, price=0.35)
    volume = VolumeWish("", "runpod-network-volume", "EU-RO-1", size_gib=10.0)
    return rented(RunpodCloud, double, tmp_path, GPU, secrets=[KEY], spot_offer=spot, volume=volume)


async def test_a_pod_of_cpus(account: Bench, double: Runpod) -> None:
    async with desk(account) as at:
        await at.cloud.create(at.request(offer=offer_of("runpod", "*", "cpu5c-2-4")))
        body = double.server.requests[-1].json
        assert body["cpu"] == {"id": "cpu5c", "vcpuCount": 2}
        assert body["disk"] == 20


async def test_the_lowest_bids_are_offered(account: Bench) -> None:
    async with desk(account) as at:
        spot = {o.instance_type: o.price for o in await at.cloud.offers() if o.spot}
        assert spot == {f"{n}x_RTX4090_SECURE": 0.35 * n for n in (1, 2, 4, 8)}


async def test_without_an_answer_about_bids_the_catalog_is_offered(
    account: Bench, double: Runpod
) -> None:
    async with desk(account) as at:
        double.wire("error 500", 0)
        offers = await at.cloud.offers()
        assert GPU in offers
        assert not [offer for offer in offers if offer.spot]


@pytest.mark.parametrize("why", ["bid", "capacity"])
async def test_a_bid_that_gets_nothing_leaves_nothing(
    account: Bench, double: Runpod, why: str
) -> None:
    async with desk(account) as at:
        price = 0.01 if why == "bid" else 0.5
        if why == "capacity":
            double.refuse("capacity")
        with pytest.raises(CapacityError) as raised:
            await at.cloud.create(at.request(offer=replace(GPU, spot=True, price=price)))
        assert raised.value.scope == "type"
        assert not double.alive()


async def test_ports_are_mapped_and_too_many_are_refused(account: Bench, double: Runpod) -> None:
    async with desk(account) as at:
        await at.cloud.create(at.request(ports=("8080", "9000-9002", "22")))
        ports = double.server.requests[-1].json["ports"]
        assert ports == ["22/tcp", "8080/tcp", "9000/tcp", "9001/tcp", "9002/tcp"]
        with pytest.raises(InvalidRequest, match="20 ports"):
            await at.cloud.create(at.request(ports=("10000-10019",)))


async def test_the_settings_limit_the_places(
    double: Runpod, account: Bench, tmp_path: Path
) -> None:
    settings = {"data_centers": ["EU-RO-1", "US-TX-3"], "image": "debian:12"}
    limited = rented(RunpodCloud, double, tmp_path, GPU, settings=settings)
    async with desk(limited) as at:
        await at.cloud.create(at.request())
        body = double.server.requests[-1].json
        assert (body["dataCenterIds"], body["image"]) == (["EU-RO-1", "US-TX-3"], "debian:12")
        spot = replace(GPU, spot=True, price=0.35)
        await at.cloud.create(at.request(offer=spot, image="ubuntu:24.04"))
        wish = double.server.requests[-1].json["variables"]["input"]
        assert (wish["dataCenterId"], wish["imageName"]) == ("EU-RO-1", "ubuntu:24.04")


LOGIN = """
cat > /root/key; chmod 600 /root/key
ip link set lo up
eval "$1" > /root/said 2>&1 &
for i in $(seq 100); do
  ssh -q -p 22 -i /root/key -o StrictHostKeyChecking=no root@127.0.0.1 'echo hello; id -un' && exit
  sleep 0.1
done
cat /root/said; exit 1
"""


@pytest.mark.hosts
async def test_the_container_lets_us_in(
    account: Bench, double: Runpod, hosts: HostFarm, tmp_path: Path
) -> None:
    """What a pod is told to start is started, on a host of its own with no other sshd in reach."""
    async with desk(account) as at:
        await at.cloud.create(at.request())
        start = double.server.requests[-1].json["args"]
        assert isinstance(at.cloud, RunpodCloud)
        key = at.cloud.keys.private_file.read_bytes()
    host = hosts.up()[0]
    target = SshTarget(host.address, tmp_path / "known", 22, "root", hosts.identity)
    runner = SshRunner(target)
    try:
        argv = ["unshare", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", LOGIN]
        done = await runner.run([*argv, "login", start], input=key, timeout=30)
        assert done.stdout == b"hello\nroot\n", done
    finally:
        await runner.close()
        hosts.rm(host)


async def test_a_volume_is_mounted_on_demand_and_on_a_bid(account: Bench, double: Runpod) -> None:
    """It is where the pod is, and a pod has one."""
    wish = VolumeWish("data", "runpod-network-volume", "EU-RO-1", size_gib=10.5)
    async with desk(account) as at:
        assert isinstance(at.cloud, HasVolumes)
        made = await at.cloud.create_volume(wish)
        assert (made.region, made.size_gib) == ("EU-RO-1", 11.0)
        attached = Attachment("~/data", wish, made.id)
        for spot in (False, True):
            offer = replace(GPU, spot=spot, region="EU-RO-1", price=0.5)
            node = (await at.cloud.create(at.request(offer=offer, volumes=(attached,))))[0]
            box = double.boxes[node.ref.id]
            network = [{"volumeId": made.id, "path": "/root/data"}]
            assert box.more["mounts"] == {"network": network}
        body = [r.json for r in double.server.requests if r.path == "/v2/pods" and r.json]
        assert body[0]["dataCenterIds"] == ["EU-RO-1"]
        two = (attached, replace(attached, path="/other"))
        with pytest.raises(UnsupportedFeature, match="one network volume"):
            await at.cloud.create(at.request(volumes=two))
        with pytest.raises(InvalidRequest, match="is in EU-RO-1, and not in US-TX-3"):
            await at.cloud.create_volume(replace(wish, region="US-TX-3"))


async def test_a_volume_of_others_is_used_and_stays(account: Bench, double: Runpod) -> None:
    async with desk(account) as at:
        assert isinstance(at.cloud, HasVolumes)
        wish = VolumeWish("mine", "runpod-network-volume", "EU-RO-1", existing="theirs")
        with pytest.raises(InvalidRequest, match="no network volume theirs"):
            await at.cloud.create_volume(wish)
        more = {"name": "theirs", "size": 20, "dataCenter": "EU-RO-1", "id": "v9"}
        double.things["v9"] = Thing("v9", "network volume", single=False, more=more)
        made = await at.cloud.create_volume(wish)
        assert (made.id, made.name) == ("v9", "")
        await at.cloud.delete_volume(wish)
        assert "v9" in double.things
