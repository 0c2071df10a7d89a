"""An AWS account of one test: moto behind the proxy, and hosts where a test wants machines."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stix.clouds.config import CloudConfig
from tests.support.aws.gaps import GOOD_KEY, Ec2Gaps
from tests.support.aws.machines import Machines
from tests.support.aws.proxy import Proxy
from tests.support.hosts import HostFarm, Image
from tests.support.s3 import _free_ports

START_SECONDS = 60.0
PR_SET_PDEATHSIG = 1
REGION, OTHER_REGION = "us-east-1", "us-west-2"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": GOOD_KEY, "AWS_SECRET_ACCESS_KEY": "stix-test-secret"}
LOCAL = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
}


@contextmanager
def moto() -> Iterator[int]:
    """A server of moto in a process of its own; gives its port."""
    port = _free_ports(1)[0]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    env = {**os.environ, "MOTO_EC2_LOAD_DEFAULT_AMIS": "true"}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdout=quiet, stderr=quiet, env=env, preexec_fn=_end_with_parent
    )
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("moto did not start: is its server installed?")
            time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()


def _end_with_parent() -> None:
    """A test that is killed cleans up nothing: have the kernel do it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@dataclass
class AwsBed:
    """See the module.

    Attributes:
        gaps: What the account can do, and what has become of its instances.
        proxy: Calls, and what goes wrong with them.
        settings: For the block ``aws`` of ``config.yaml``.
    """

    port: int
    gaps: Ec2Gaps
    proxy: Proxy
    settings: dict[str, Any] = field(default_factory=dict)
    machines: Machines | None = None

    def config(self, home: Path, home_id: str = "bed", **more: Any) -> CloudConfig:
        return CloudConfig(home, home, {**self.settings, **more}, home_id)

    @property
    def environment(self) -> Mapping[str, str]:
        """For processes that use the account."""
        return {**CREDENTIALS, **LOCAL}

    def client(self, service: str = "ec2", region: str = REGION) -> Any:
        """Of moto itself: no fault, no log."""
        return _client(f"http://127.0.0.1:{self.port}", service, region)

    def alive(self, region: str = REGION) -> list[dict[str, Any]]:
        """Instances that are not terminated."""
        pages = self.client("ec2", region).get_paginator("describe_instances").paginate()
        found = [i for page in pages for r in page["Reservations"] for i in r["Instances"]]
        return [i for i in found if i["State"]["Name"] != "terminated"]

    def left(self, region: str = REGION) -> dict[str, list[str]]:
        """What is in the account beside its default network, by kind; empty where nothing is."""
        ec2 = self.client("ec2", region)
        groups = ec2.describe_security_groups()["SecurityGroups"]
        volumes = ec2.describe_volumes()["Volumes"]
        addresses = ec2.describe_addresses()["Addresses"]
        placements = [name for at, name in self.gaps.groups.known if at == region]
        found = {
            "instance": [i["InstanceId"] for i in self.alive(region)],
            "disk": [v["VolumeId"] for v in volumes],
            "security group": [g["GroupId"] for g in groups if g["GroupName"] != "default"],
            "address": [a["AllocationId"] for a in addresses],
            "placement group": placements,
            "key": [k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]],
        }
        return {kind: ids for kind, ids in found.items() if ids}

    def preempt(self, instance: str, region: str = REGION) -> None:
        """Take a spot instance away as EC2 does."""
        self._end(instance, region, "Server.SpotInstanceTermination", "Spot instance termination")

    def crash(self, instance: str, region: str = REGION) -> None:
        """Let an instance fail as EC2 does when its host breaks."""
        self._end(instance, region, "Server.InternalError", "Internal error")

    def _end(self, instance: str, region: str, code: str, message: str) -> None:
        made = self.gaps.made[instance]
        made.state, made.code, made.message = "terminated", code, f"{code}: {message}"
        made.running, made.gone = False, True
        self.client("ec2", region).terminate_instances(InstanceIds=[instance])
        self.proxy.changed()

    def with_machines(self, farm: HostFarm, image: Image | None = None) -> None:
        """From now on instances are hosts, in a network of their own."""
        ec2 = self.client()
        vpc = ec2.create_vpc(CidrBlock=f"{farm.network}.128/25")["Vpc"]["VpcId"]
        for zone, start in (("a", 128), ("b", 192)):
            ec2.create_subnet(
                VpcId=vpc,
                CidrBlock=f"{farm.network}.{start}/26",
                AvailabilityZone=f"{REGION}{zone}",
            )
        self.settings |= {"vpc": vpc, "use_internal_ips": True, "regions": [REGION]}
        self.machines = Machines(farm, ec2, image)
        self.proxy.changed = self.machines.look

    async def hosts_left(self) -> list[str]:
        """Instances whose hosts run on, some time after what ended them."""
        left: list[str] = []
        for _ in range(100):
            left = self.machines.running() if self.machines is not None else []
            if not left:
                break
            await asyncio.sleep(0.05)
        return left

    def close(self) -> None:
        self.proxy.close()
        if self.machines is not None:
            self.machines.close()
            if self.machines.error is not None:
                raise self.machines.error


@contextmanager
def account(port: int) -> Iterator[AwsBed]:
    """A new account at a running moto."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=30).close()
    gaps = Ec2Gaps()
    proxy = Proxy(port, gaps)
    settings = {"endpoint_url": proxy.url, "regions": [REGION, OTHER_REGION]}
    bed = AwsBed(port, gaps, proxy, settings)
    try:
        bed.client().describe_vpcs()  # moto makes a region at its first call
        bed.client("sts").get_caller_identity()
        yield bed
    finally:
        bed.close()


@functools.cache
def _client(url: str, service: str, region: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=GOOD_KEY,
        aws_secret_access_key="stix-test-secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
