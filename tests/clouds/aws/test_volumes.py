"""A volume of EBS in whole runs: a real server and engine, instances, disks, mounts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.user import User
from tests.support.aws.bed import REGION, AwsBed, account
from tests.support.hosts import HostFarm
from tests.support.server import ServerHome, make_home

pytestmark = [pytest.mark.hosts, pytest.mark.server, pytest.mark.full]

VOLUME = f"""
name: shared
type: aws-ebs
infra: aws/{REGION}/{REGION}b
size: 2
"""
# Both want the disk at the same time, and one machine at a time can have it.
PIPELINE = """
name: pass-on
defaults: {resources: {infra: aws, cpus: 2+}}
stages:
  first:
    volumes: {/data: shared}
    run: cat /data/log || true; echo one >> /data/log
  second:
    volumes: {~/data: {name: shared}}
    run: cat ~/data/log || true; echo two >> ~/data/log
  last:
    needs: [first, second]
    volumes: {/part: {name: shared, sub_path: new/part}, /data: shared}
    run: sort /data/log; touch /part/word; ls /data/new/part
"""


@pytest.fixture
def user(
    moto_port: int, hosts: HostFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[User, AwsBed]]:
    with account(moto_port) as bed:
        bed.with_machines(hosts)
        # Hosts of tests have no sudo, by which others than root mount disks.
        config = {"local": {"enabled": False}, "aws": {**bed.settings, "user": "root"}}
        server = ServerHome(make_home(json.dumps(config)), env=bed.environment)
        try:
            yield User(server.start(), tmp_path), bed
        finally:
            server.clean()


def test_stages_pass_on_what_they_wrote(user: tuple[User, AwsBed]) -> None:
    at, bed = user
    at.cli("volumes", "apply", at.write(VOLUME, "volume.yaml"))
    run = at.run(PIPELINE)
    assert run["state"] == "succeeded", run
    said = at.cli("logs", run["id"], "last").stdout.split()
    assert said == ["one", "two", "word"]
    nodes = [n for s in run["stages"] for a in s["attempts"] for n in a["nodes"]]
    assert len({node["id"] for node in nodes}) >= 3
    [volume] = bed.client().describe_volumes()["Volumes"]
    assert volume["AvailabilityZone"] == f"{REGION}b" and volume["Attachments"] == []
    swept = json.loads(at.cli("sweep", "-o", "json").stdout)
    assert swept["resources"] == [] and swept["nodes"] == []
    at.cli("volumes", "delete", "shared", "-y")
    assert bed.client().describe_volumes()["Volumes"] == []
