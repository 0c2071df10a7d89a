"""Whole runs on EC2: a real server and engine, instances with an address each, stages on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.user import User, by_key
from tests.support.aws.bed import AwsBed
from tests.support.hosts import HostFarm
from tests.support.server import ServerHome, eventually, make_home

pytestmark = [pytest.mark.hosts, pytest.mark.server]

CROSSING = """
name: crossing
envs:
  TELL: >-
    printf '{"host": "%s", "sum": "%s"}' "$(hostname -I | tr -d ' ')" "$(sha256sum < "$FILE")"
    > "$STIX_RESULT"
stages:
  make:
    resources: {infra: aws, cpus: 2+}
    run: |
      hostname > $STIX_OUTPUT_DATA
      head -c 3000000 /dev/urandom >> $STIX_OUTPUT_DATA
      FILE=$STIX_OUTPUT_DATA; eval "$TELL"
    outputs: {data: data.bin}
  use:
    resources: {infra: aws, cpus: 2+}
    inputs: {data: make.data}
    run: FILE=$STIX_INPUT_DATA; eval "$TELL"
"""


@pytest.fixture
def user(bed: AwsBed, hosts: HostFarm, tmp_path: Path) -> Iterator[User]:
    bed.with_machines(hosts)
    config = {"local": {"enabled": False}, "aws": bed.settings}
    server = ServerHome(make_home(json.dumps(config)), env=bed.environment)
    try:
        yield User(server.start(), tmp_path)
    finally:
        server.clean()


def test_an_artifact_crosses_from_instance_to_instance(user: User, bed: AwsBed) -> None:
    shown = user.run(CROSSING)
    assert shown["state"] == "succeeded", shown["stages"]
    stages = by_key(shown)
    made, used = stages["make"]["result"], stages["use"]["result"]
    assert made["sum"] == used["sum"]
    nodes = [n for s in shown["stages"] for a in s["attempts"] for n in a["nodes"]]
    assert len({node["id"] for node in nodes}) == 2
    assert {node["cloud"] for node in nodes} == {"aws"}
    eventually(lambda: not bed.alive(), seconds=30, hint="the instances are terminated")
    assert list(bed.left()) == ["security group"]
