"""Claims in a whole run: a real server and engine, pods, volumes with a name and new ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.user import User
from tests.support.kube.double import KubeDouble
from tests.support.server import ServerHome, make_home

pytestmark = [pytest.mark.server, pytest.mark.full]

VOLUME = "name: shared\ntype: k8s-pvc\nsize: 2Gi\nconfig: {access_mode: ReadWriteOnce}\n"
PIPELINE = """
name: pass-on
defaults: {resources: {infra: kubernetes, cpus: 1+}}
stages:
  write:
    volumes: {/data: {name: shared, sub_path: one/two}, ~/scratch: {size: 1}}
    run: |
      echo kept > ~/scratch/word
      cp ~/scratch/word /data/word
  read:
    needs: [write]
    volumes: {/all: shared, ~/scratch: {size: 1}}
    run: cat /all/one/two/word; ls ~/scratch
"""


@pytest.fixture
def user(kube: KubeDouble, tmp_path: Path) -> Iterator[User]:
    block = {"enabled": True, "kubeconfig": str(kube.kubeconfig())}
    server = ServerHome(make_home(json.dumps({"local": {"enabled": False}, "kubernetes": block})))
    try:
        yield User(server.start(), tmp_path)
    finally:
        server.clean()
        kube.clear()


def test_stages_pass_on_what_they_wrote(user: User, kube: KubeDouble) -> None:
    made = json.loads(
        user.cli("volumes", "apply", user.write(VOLUME, "volume.yaml"), "-o", "json").stdout
    )
    assert (made["state"], made["region"], made["size_gib"]) == ("ready", "test", 2.0)
    run = user.run(PIPELINE)
    assert run["state"] == "succeeded", run
    assert user.cli("logs", run["id"], "read").stdout.split() == ["kept"]
    claims = [claim["metadata"]["name"] for claim in kube.all("persistentvolumeclaims")]
    assert [f"default/{name}" for name in claims] == [made["id"]]
    user.cli("volumes", "delete", "-a", "-y")
    assert kube.all("persistentvolumeclaims") == []
    twice = PIPELINE.replace("run: |", "num_nodes: 2\n    run: |").replace("shared", "one")
    user.cli("volumes", "apply", user.write(VOLUME.replace("shared", "one"), "volume.yaml"))
    refused = user.cli("run", user.write(twice), code=None)
    assert "pipeline.yaml:7:16: error: stages.write.num_nodes: one node at a time" in refused.stderr
    assert "access_mode: ReadWriteMany" in refused.stderr
