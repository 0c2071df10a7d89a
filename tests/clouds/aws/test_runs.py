"""Whole runs on EC2: a real server and engine, instances with an address each, stages on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.user import User, by_key, kinds, states
from tests.support.aws.bed import CREDENTIALS, REGION, AwsBed, account
from tests.support.aws.shelf import zones
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


@pytest.fixture(scope="module")
def bed(moto_port: int, hosts: HostFarm) -> Iterator[AwsBed]:
    with account(moto_port) as made:
        made.with_machines(hosts)
        yield made


@pytest.fixture(scope="module")
def aws_server(bed: AwsBed) -> Iterator[ServerHome]:
    """A server that may use EC2 only."""
    config = {"local": {"enabled": False}, "aws": bed.settings}
    server = ServerHome(make_home(json.dumps(config)), env=bed.environment)
    try:
        yield server.start()
    finally:
        server.clean()


@pytest.fixture
def user(aws_server: ServerHome, tmp_path: Path) -> User:
    return User(aws_server, tmp_path)


def test_who_we_are_and_what_there_is(user: User) -> None:
    """Where credentials are and whose, never what they are; with the limits of the account."""
    said = user.cli("check", "aws", "--quotas", REGION)
    assert "123456789012" in said.stdout and "$AWS_ACCESS_KEY_ID" in said.stdout
    assert "vCPU" in said.stdout
    assert not any(secret in said.stdout + said.stderr for secret in CREDENTIALS.values())
    assert "aws" not in user.cli("resources", "ls", "--output", "json").stdout


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


TAKEN = """
name: taken
stages:
  train:
    resources: {infra: aws, cpus: 2+, use_spot: true}
    run: |
      if [ "$STIX_ATTEMPT" = 1 ]; then echo up; sleep 600; fi
      hostname -I > $STIX_OUTPUT_WHERE
    outputs: {where: where.txt}
    recovery: {preempted: {retries: 2, backoff: 0.1s}}
"""


def test_a_spot_instance_that_is_taken_away_is_replaced(user: User, bed: AwsBed) -> None:
    run = user.start(TAKEN)
    user.said(run, "train", "up")
    [instance] = bed.alive()
    assert instance["InstanceLifecycle"] == "spot"
    bed.preempt(instance["InstanceId"])
    shown = user.end(run)
    assert shown["state"] == "succeeded", shown["stages"]
    assert states(shown, "train") == ["failed", "succeeded"]
    assert kinds(shown, "train") == ["preempted", None]
    eventually(lambda: not bed.alive(), seconds=30, hint="the instances are terminated")


GANG = """
name: gang
stages:
  meet:
    resources: {infra: aws, cpus: 2+}
    num_nodes: 3
    run: |
      [ "$(echo "$SKYPILOT_NODE_IPS" | wc -l)" = 3 ]
      for ip in $SKYPILOT_NODE_IPS; do exec 3<>/dev/tcp/$ip/22; head -c 4 <&3; done
"""


def test_a_gang_meets_though_the_cheapest_type_is_sold_out(user: User, bed: AwsBed) -> None:
    """There is room for two of the type that is tried first, and none of them is left behind."""
    assert user.run(GANG)["state"] == "succeeded"
    first = orders(bed)[-1]
    bed.gaps.stock = {(first, zone): 2 for zone in zones(first, REGION)}
    begun = len(orders(bed))
    shown = user.run(GANG)
    assert shown["state"] == "succeeded", shown["stages"]
    tried = orders(bed)[begun:]
    assert tried[0] == first and tried[-1] != first
    eventually(lambda: not bed.alive(), seconds=30, hint="the instances are terminated")


def orders(bed: AwsBed) -> list[str]:
    """The types that were asked for."""
    return [c.params["InstanceType"] for c in bed.proxy.calls if c.action == "RunInstances"]
