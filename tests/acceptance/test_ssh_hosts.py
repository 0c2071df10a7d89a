"""The same pipelines on three SSH hosts: real sshd, a network each, and what can go wrong there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from tests.acceptance.leftovers import leftovers
from tests.acceptance.ssh_hosts import CONFIG, image, left_on, write_pool
from tests.acceptance.user import User, by_key, kinds, states
from tests.support.hosts import HostFarm, SshHost
from tests.support.server import ServerHome, eventually, make_home

pytestmark = [pytest.mark.hosts, pytest.mark.server]

ROOT = Path(__file__).resolve().parents[2]
MODELS = {"logreg", "svm", "forest", "knn", "bayes"}
CUT_S = 10.0


@pytest.fixture(scope="module")
def three(hosts: HostFarm) -> Iterator[list[SshHost]]:
    made = hosts.up(image(), count=3)
    yield made
    for host in made:
        hosts.rm(host)


@pytest.fixture(scope="module")
def rack_server(hosts: HostFarm, three: list[SshHost]) -> Iterator[ServerHome]:
    """A server that may use the three hosts only."""
    server = ServerHome(make_home(CONFIG))
    write_pool(server.home, hosts, three)
    try:
        yield server.start()
    finally:
        server.clean()


@pytest.fixture
def user(rack_server: ServerHome, tmp_path: Path) -> User:
    return User(rack_server, tmp_path)


def places(run: dict[str, Any]) -> dict[str, list[str]]:
    """Stage key to the hosts of its last attempt, by rank."""
    return {s["key"]: [n["zone"] for n in s["attempts"][-1]["nodes"]] for s in run["stages"]}


def clean(farm: HostFarm, hosts: list[SshHost]) -> None:
    """Nothing of ours is left on the hosts."""
    expected = dict.fromkeys((host.name for host in hosts), "")
    eventually(lambda: left_on(farm, hosts) == expected, seconds=20, every=0.5, hint="teardown")


def test_the_digits_on_three_hosts(user: User, hosts: HostFarm, three: list[SshHost]) -> None:
    """The example as it is: models trained side by side on all hosts, the report somewhere."""
    run = user.cli("run", str(ROOT / "examples" / "digits" / "pipeline.yaml"), "--detach")
    shown = user.end(run.stdout.strip())
    assert shown["state"] == "succeeded", shown["stages"][0]["attempts"]
    where = places(shown)
    trained = {zone for key, zones in where.items() if key.startswith("train[") for zone in zones}
    assert trained == {host.address for host in three}
    stages = by_key(shown)
    scores = {s["result"]["model"]: s["result"]["accuracy"] for k, s in stages.items() if "[" in k}
    assert set(scores) == MODELS
    assert min(scores.values()) > 0.8
    assert stages["compare"]["result"]["accuracy"] == max(scores.values()) > 0.97
    user.cli("artifacts", "get", "report.report", "--run", shown["id"], "report")
    table = json.loads((user.folder / "report" / "scores.json").read_text())
    assert {row["model"]: row["accuracy"] for row in table} == scores
    with Picture.open(user.folder / "report" / "confusion.png") as picture:
        assert picture.size == (720, 720)
    assert "digits misread" in user.cli("logs", shown["id"], "report").stdout
    clean(hosts, three)
    assert leftovers(user.server) == {}


CROSSING = """
name: crossing
envs:
  TELL: >-
    printf '{{"host": "%s", "sum": "%s"}}' "$(hostname)" "$(sha256sum < "$FILE")" > "$STIX_RESULT"
stages:
  make:
    resources: {{infra: ssh/rack/{first}}}
    run: |
      hostname > $STIX_OUTPUT_DATA
      head -c 3000000 /dev/urandom >> $STIX_OUTPUT_DATA
      FILE=$STIX_OUTPUT_DATA; eval "$TELL"
    outputs: {{data: data.bin}}
  use:
    resources: {{infra: ssh/rack/{second}}}
    inputs: {{data: make.data}}
    run: FILE=$STIX_INPUT_DATA; eval "$TELL"
"""


def test_an_artifact_crosses(user: User, hosts: HostFarm, three: list[SshHost]) -> None:
    """The same bytes on another host; the digest that both hosts computed is the same."""
    text = CROSSING.format(first=three[0].address, second=three[1].address)
    shown = user.run(text)
    assert shown["state"] == "succeeded", shown["stages"][0]["attempts"]
    stages = by_key(shown)
    made, used = stages["make"]["result"], stages["use"]["result"]
    assert (made["host"], used["host"]) == (three[0].name, three[1].name)
    assert made["sum"] == used["sum"]
    assert places(shown) == {"make": [three[0].address], "use": [three[1].address]}
    clean(hosts, three)


GANG = """
name: gang
stages:
  talk:
    num_nodes: 3
    run: |
      python3 -c "import socket, time
      server = socket.create_server(('', 8000 + $SKYPILOT_NODE_RANK)); time.sleep(600)" &
      rank=0
      for ip in $SKYPILOT_NODE_IPS; do
        until (exec 3<>/dev/tcp/$ip/$((8000 + rank))) 2>/dev/null; do sleep 0.2; done
        rank=$((rank + 1))
      done
      echo "rank $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES on $(hostname) reached $rank nodes"
      sleep 2
"""


def test_three_nodes_talk_by_their_addresses(
    user: User, hosts: HostFarm, three: list[SshHost]
) -> None:
    shown = user.run(GANG)
    assert shown["state"] == "succeeded", shown["stages"][0]["attempts"]
    assert sorted(places(shown)["talk"]) == sorted(host.address for host in three)
    said = user.cli("logs", shown["id"], "talk").stdout
    names = {host.address: host.name for host in three}
    for rank, zone in enumerate(places(shown)["talk"]):
        assert f"rank {rank} of 3 on {names[zone]} reached 3 nodes" in said
    clean(hosts, three)


ONE = """
name: one
stages:
  work:
    resources: {{infra: ssh/rack{place}}}
    recovery: {{node_lost: 2}}
    run: |
      echo "began on $(hostname)"
      i=0; while [ $i -lt {seconds} ]; do i=$((i + 1)); echo "tick $i"; sleep 1; done
      echo "done on $(hostname)"
"""


@pytest.mark.full
def test_a_host_loses_power(user: User, hosts: HostFarm, three: list[SshHost]) -> None:
    """The attempt ends as node_lost, and the next one is elsewhere."""
    (extra,) = hosts.up(image())
    write_pool(user.server.home, hosts, [extra, three[0]])
    run = user.start(ONE.format(place="", seconds=8))
    user.said(run, "work", "tick 2")
    first = user.server.api("GET", f"/runs/{run}")["stages"][0]["attempts"][0]["nodes"][0]
    lost, left = (extra, three[0]) if first["zone"] == extra.address else (three[0], extra)
    hosts.down(lost)
    shown = user.end(run)
    hosts.boot(lost)
    assert shown["state"] == "succeeded", shown["stages"][0]["attempts"]
    assert kinds(shown, "work") == ["node_lost", None]
    assert places(shown) == {"work": [left.address]}
    assert f"done on {left.name}" in user.cli("logs", run, "work").stdout
    write_pool(user.server.home, hosts, three)
    clean(hosts, [extra, three[0]])
    hosts.rm(extra)


@pytest.mark.full
def test_a_cable_is_pulled_for_a_while(user: User, hosts: HostFarm, three: list[SshHost]) -> None:
    """The stage goes on, once, and every line of its output arrives."""
    run = user.start(ONE.format(place=f"/{three[0].address}", seconds=15))
    user.said(run, "work", "tick 2")
    hosts.cut(three[0])
    time.sleep(CUT_S)
    hosts.uncut(three[0])
    shown = user.end(run)
    assert shown["state"] == "succeeded", shown["stages"][0]["attempts"]
    assert states(shown, "work") == ["succeeded"]
    said = user.cli("logs", run, "work").stdout
    assert [line.split()[-1] for line in said.splitlines() if "tick" in line] == [
        str(number) for number in range(1, 16)
    ]
    assert said.count("began on") == said.count("done on") == 1
    clean(hosts, three)


HELLO = "name: hello\nstages: {{hi: {{run: date +%s.%N}}}}\n"


def first_line(user: User, run: str) -> float:
    """The time, in seconds since 1970, that the stage ``hi`` printed first."""
    user.end(run)
    return float(user.cli("logs", run, "hi").stdout.split()[0])


def test_the_first_line_on_a_host_that_never_saw_us(user: User, hosts: HostFarm) -> None:
    """Printed, not judged: from `stix run` on a warm server."""
    for number in range(2):
        (fresh,) = hosts.up(image())
        write_pool(user.server.home, hosts, [fresh])
        for words in ("that never saw us", "that knows us"):
            began = time.time()
            line = first_line(user, user.start(HELLO.format().replace("hello", f"hello-{number}")))
            print(f"first line of user code on a host {words}: {line - began:.2f} s")
            assert line > began
        hosts.rm(fresh)


def refused(user: User) -> tuple[str, str]:
    """What ``check`` says of the cloud, and ``run`` of a pipeline that fits nowhere now."""
    checked = user.cli("check", "--output", "json", code=1).stdout
    (cloud,) = (each for each in json.loads(checked) if each["name"] == "ssh")
    ran = user.cli("run", user.write(HELLO.format()), code=None)
    assert ran.returncode in (1, 100)
    assert "Traceback" not in ran.stdout + ran.stderr
    return f"{cloud['error']['message']} {cloud['error']['fix']}", ran.stdout + ran.stderr


def test_a_wrong_identity_file(user: User, hosts: HostFarm, three: list[SshHost]) -> None:
    (user.folder / "key").write_text("this is no key\n")
    write_pool(user.server.home, hosts, three, identity_file=str(user.folder / "key"))
    for words in refused(user):
        assert f"ssh/rack/{three[0].address}" in words
        assert "identity file" in words


def test_a_changed_host_key(user: User, hosts: HostFarm) -> None:
    (host,) = hosts.up(image())
    write_pool(user.server.home, hosts, [host])
    assert user.run(HELLO.format())["state"] == "succeeded"
    hosts.down(host)
    hosts.boot(host, new_key=True)
    (user.server.home / "cache" / "ssh-hosts.json").unlink()
    for words in refused(user):
        assert f"ssh/rack/{host.address}" in words
        assert "host key" in words
        assert "known_hosts" in words
    hosts.rm(host)


def test_an_unknown_host(user: User, hosts: HostFarm) -> None:
    pool = {"user": "root", "hosts": ["no-such-host.invalid"]}
    (user.server.home / "ssh_node_pools.yaml").write_text(json.dumps({"rack": pool}))
    for words in refused(user):
        assert "no-such-host.invalid" in words
