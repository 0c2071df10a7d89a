"""A foreign client accepts the double: kubectl, which knows nothing of us."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube.double import KubeDouble, node
from tests.support.kube.fixture import kube_double

KEEP = "trap 'exit 0' TERM; echo begun; while :; do sleep 86400 & wait $!; done"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "one", "labels": {"app": "demo"}},
    "spec": {"containers": [{"name": "main", "image": "any", "command": ["sh", "-c", KEEP]}]},
}
WEBSOCKETS = (1, 31)  # before, kubectl executes over SPDY, which the double does not speak


class Kubectl:
    def __init__(self, kube: KubeDouble, folder: Path) -> None:
        self._base = ["kubectl", "--kubeconfig", str(kube.kubeconfig())]
        self._base += ["--cache-dir", str(folder / "cache")]
        self.pod = folder / "pod.json"
        self.pod.write_text(json.dumps(POD))

    def run(self, *args: str, input: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._base, *args],
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, *args: str, input: str = "") -> str:
        done = self.run(*args, input=input)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def version(self) -> tuple[int, int]:
        text = self("version", "--client", "-o", "json")
        found = re.match(r"v(\d+)\.(\d+)", json.loads(text)["clientVersion"]["gitVersion"])
        assert found is not None
        return int(found[1]), int(found[2])


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[KubeDouble]:
    with kube_double(tmp_path / "kube", [node("n1"), node("n2")]) as double:
        yield double


@pytest.fixture
def kubectl(kube: KubeDouble, tmp_path: Path) -> Kubectl:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed (Debian: kubernetes-client)")
    return Kubectl(kube, tmp_path)


def create(kubectl: Kubectl) -> None:
    # The schema that kubectl checks against, before 1.27 in a form of its own, is the server's.
    kubectl("create", "-f", str(kubectl.pod), "--validate=false")
    kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=30s")


def test_nodes_and_pods_by_label(kubectl: Kubectl) -> None:
    create(kubectl)
    assert kubectl("get", "nodes", "-o", "name").split() == ["node/n1", "node/n2"]
    assert kubectl("get", "pods", "-l", "app=demo", "-o", "name").split() == ["pod/one"]
    assert kubectl("get", "pods", "-l", "app in (demo,x),app!=y", "-o", "name").split()
    assert kubectl("get", "pods", "-l", "app=other", "-o", "name") == ""
    assert kubectl("get", "pods", "--all-namespaces", "--chunk-size=1", "-o", "name").split()


def test_a_name_is_given_once(kubectl: Kubectl) -> None:
    create(kubectl)
    again = kubectl.run("create", "-f", str(kubectl.pod), "--validate=false")
    assert again.returncode == 1
    assert "AlreadyExists" in again.stderr


def test_describe_shows_state_and_events(kubectl: Kubectl) -> None:
    create(kubectl)
    said = kubectl("describe", "pod", "one")
    assert re.search(r"Status:\s+Running", said)
    assert "Successfully assigned one to n1" in said
    reasons = kubectl("get", "events", "-o", "jsonpath={.items[*].reason}").split()
    assert {"Scheduled", "Started"} <= set(reasons)
    assert kubectl("logs", "one") == "begun\n"


def test_deletion_is_waited_for(kubectl: Kubectl, kube: KubeDouble) -> None:
    create(kubectl)
    assert kube.remains()
    kubectl("delete", "pod", "one", "--grace-period=1")
    assert kube.remains() == []
    gone = kubectl.run("get", "pod", "one")
    assert "NotFound" in gone.stderr


def test_labels_can_be_changed(kubectl: Kubectl) -> None:
    create(kubectl)
    kubectl("label", "pod", "one", "tier=front")
    assert kubectl("get", "pods", "-l", "tier=front", "-o", "name").split() == ["pod/one"]


def test_a_pod_that_fits_nowhere_says_so(kubectl: Kubectl) -> None:
    big = json.loads(json.dumps(POD))
    big["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "99"}}
    kubectl.pod.write_text(json.dumps(big))
    kubectl("create", "-f", str(kubectl.pod), "--validate=false")
    assert "0/2 nodes are available: 2 Insufficient cpu." in kubectl("describe", "pod", "one")


def test_commands_run_by_websocket_where_it_knows_them(kubectl: Kubectl) -> None:
    create(kubectl)
    if kubectl.version() < WEBSOCKETS:
        refused = kubectl.run("exec", "one", "--", "true")
        assert "websocket" in refused.stderr
        return
    done = kubectl.run("exec", "-i", "one", "--", "sh", "-c", "cat; echo e >&2; exit 3", input="hi")
    assert (done.returncode, done.stdout) == (3, "hi")
    assert done.stderr.startswith("e\n")
