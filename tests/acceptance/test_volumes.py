"""Volumes of a container engine: from the file to two stages of which the second reads what the
first wrote, and to the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stix.clouds.volumes import VOLUME_TAG
from tests.acceptance.user import User
from tests.support.docker import IMAGE, ContainerEngine
from tests.support.server import ServerHome, eventually, make_home

VOLUME = """\
# what all stages share
name: shared
type: docker-volume
labels: {team: research}
"""
PIPELINE = """\
name: pass-on
defaults: {resources: {infra: docker, cpus: 0.5}}
stages:
  write:
    volumes: {/data: shared, ~/again: shared}
    run: |
      echo kept > /data/word
      cat ~/again/word
  read:
    needs: [write]
    volumes: {/elsewhere: {name: shared}}
    run: |
      cat /elsewhere/word
      cp /elsewhere/word out
    outputs: {data: out}
"""
HOLDING = """\
name: hold
resources: {infra: docker, cpus: 0.5}
volumes: {/data: shared}
run: sleep 600
"""


@pytest.fixture(scope="module")
def server(docker: ContainerEngine) -> Iterator[ServerHome]:
    """A server that may use a container engine."""
    config = f"""
docker: {{enabled: true, host: 'unix://{docker.socket}', image: '{IMAGE}', pull: never, cpus: 4,
  memory: 4, accelerators: {{}}}}
"""
    server = ServerHome(make_home(config))
    try:
        yield server.start()
    finally:
        server.clean()


@pytest.fixture
def at(server: ServerHome, docker: ContainerEngine, tmp_path: Path) -> Iterator[User]:
    """Somebody who leaves no volume behind."""
    yield User(server, tmp_path)
    assert docker.remains(VOLUME_TAG) == []


def listed(at: User) -> dict[str, dict[str, object]]:
    rows = json.loads(at.cli("volumes", "ls", "-r", "-o", "json").stdout)
    return {row["name"]: row for row in rows}


def test_a_volume_from_its_file_to_its_end(at: User, docker: ContainerEngine) -> None:
    file = at.write(VOLUME, "volume.yaml")
    for _ in range(2):
        assert "shared is ready in docker" in at.cli("volumes", "apply", file).stdout
    row = listed(at)["shared"]
    assert (row["kind"], row["state"], row["missing"]) == ("docker-volume", "ready", False)
    [made] = docker.call("GET", "/volumes")["Volumes"]
    assert made["Name"] == row["id"] and made["Labels"]["team"] == "research"

    run = at.run(PIPELINE)
    assert run["state"] == "succeeded", run
    for stage in ("write", "read"):
        assert at.cli("logs", run["id"], stage).stdout.strip() == "kept"
    again = at.run(PIPELINE)  # what a volume holds is in no key of the cache
    assert [stage["state"] for stage in again["stages"]] == ["succeeded", "succeeded"]
    assert listed(at)["shared"]["attached"] is not None

    held = at.start(HOLDING)
    eventually(lambda: listed(at)["shared"]["used_by"], seconds=60)
    refused = at.cli("volumes", "delete", "shared", "-y", code=1)
    assert f"the volume shared is in use by {held}/" in refused.stderr
    things = json.loads(at.cli("resources", "ls", "-o", "json").stdout)["things"]
    [ours] = [thing for thing in things if thing["id"] == row["id"]]
    assert (ours["orphan"], ours["why"]) == (False, "it is the volume shared")
    at.cli("cancel", held)
    at.end(held)
    eventually(lambda: not listed(at)["shared"]["used_by"], seconds=60)
    assert json.loads(at.cli("sweep", "-o", "json").stdout)["resources"] == []

    assert "deleted: shared" in at.cli("volumes", "delete", "shared", "-y").stdout
    assert listed(at) == {}
    assert "there is no volume 'shared'" in at.cli("run", at.write(HOLDING), code=None).stderr


MISTAKES = {
    "another cloud": (
        "name: x\nresources:\n  infra: local\nvolumes: {/data: shared}\nrun: ls\n",
        "x.yaml:3:10: error: resources.infra: the volume shared is in docker, where this stage may",
    ),
    "no such volume": (
        "name: x\nvolumes:\n  /data: share\nrun: ls\n",
        "x.yaml:3:10: error: volumes./data: there is no volume 'share'\n"
        "  fix: did you mean 'shared'? or make it: stix volumes apply --name share",
    ),
    "a folder inside": (
        "name: x\nvolumes:\n  /data:\n    name: shared\n    sub_path: a\nrun: ls\n",
        "x.yaml:5:15: error: volumes./data.sub_path: a folder inside of a volume of the engine",
    ),
    "a folder of the host": (
        "name: x\nresources: {infra: slurm}\nvolumes:\n  /d: {host_path: /mnt/x}\nrun: ls\n",
        "x.yaml:4:8: error: volumes./d.host_path: the field host_path does not act",
    ),
    "a new one where none can be": (
        "name: x\nresources: {infra: docker}\nvolumes:\n  /data: {size: 1}\nrun: ls\n",
        "wants a new volume for each node, which docker does not have",
    ),
}
WRONG_FILES = {
    "a size": ("name: x\ntype: docker-volume\nsize: 3\n", "v.yaml:3:7: error: size: a volume of"),
    "a type": ("name: x\ntype: docker-disk\n", "v.yaml:2:7: error: type: there are no volumes of"),
    "a name": ("name: X_1\ntype: docker-volume\n", "v.yaml:1:7: error: name: 'X_1' is no name of"),
    "a place": (
        "name: x\ntype: docker-volume\ninfra: aws/eu-west-1\n",
        "v.yaml:3:8: error: infra: a volume of type docker-volume is in docker, and not in aws",
    ),
    "an option": (
        "name: x\ntype: docker-volume\nconfig:\n  access_mode: ReadWriteOnce\n",
        "v.yaml:4:3: error: config.access_mode: the option access_mode does not act",
    ),
    "another of the name": (
        "name: shared\ntype: docker-volume\nlabels: {team: other}\n",
        "v.yaml:3:9: error: labels: the volume shared is there with labels",
    ),
    "one that does not exist": (
        "name: x\ntype: docker-volume\nuse_existing: true\nresource_name: nobodys\n",
        "there is no volume nobodys",
    ),
    "a folder of hosts": ("name: x\ntype: k8s-hostpath\n", "v.yaml:2:7: error: type: folders of"),
    "a key": ("name: x\ntype: docker-volume\nlable: {}\n", "v.yaml:3:1: error: lable: unknown"),
}


def test_wrong_input_is_told_with_its_place(at: User) -> None:
    at.cli("volumes", "apply", at.write(VOLUME, "volume.yaml"))
    for what, (text, said) in WRONG_FILES.items():
        refused = at.cli("volumes", "apply", at.write(text, "v.yaml"), code=None)
        assert refused.returncode and said in refused.stderr, (what, refused.stderr)
    assert [*listed(at)] == ["shared"]
    for what, (text, said) in MISTAKES.items():
        refused = at.cli("run", at.write(text, "x.yaml"), code=None)
        assert refused.returncode, (what, refused.stdout)
        assert said in refused.stderr + refused.stdout, (what, refused.stderr, refused.stdout)
    planned = at.cli("plan", at.write(MISTAKES["another cloud"][0], "x.yaml"), code=None)
    assert MISTAKES["another cloud"][1] in planned.stderr
    at.cli("volumes", "delete", "-a", "-y")


PROGRAM = """
import stix.sky as sky
from stix.errors import StixError

volume = sky.volumes.Volume.from_yaml_config({"name": "mine", "type": "docker-volume"})
for _ in range(2):
    made = sky.get(sky.volumes.apply(volume))
assert (made["state"], made["cloud"]) == ("ready", "docker")
assert [row["name"] for row in sky.get(sky.volumes.ls(refresh=True))] == ["mine"]
try:
    sky.volumes.Volume.from_yaml_config({"name": "X", "type": "docker-volume"})
except StixError as error:
    assert "no name of a volume" in str(error)
sky.get(sky.volumes.delete(["mine"]))
assert sky.get(sky.volumes.ls()) == []
"""


def test_a_program_for_skypilot(at: User) -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=at.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
