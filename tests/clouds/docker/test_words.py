"""What engines say, read: words of refusals, states, settings, and what a container is given."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from stix.clouds.base import CreateRequest, NodeState
from stix.clouds.config import CloudConfig
from stix.clouds.docker import DockerCloud, PodmanCloud, spec
from stix.clouds.docker.refusals import refused
from stix.clouds.docker.settings import SETTINGS, read, socket_of
from stix.clouds.errors import (
    AuthError,
    CapacityError,
    CloudError,
    InvalidRequest,
    Throttled,
    TransientError,
)
from stix.clouds.hosts import HostFacts
from stix.plan.offers import Demand, Offer
from stix.remote.base import ConnectionLost, RemoteError
from stix.remote.container import ApiError

CREATE = "failed to create shim task: OCI runtime create failed: "
WORDS = [
    (500, "passing bulk input to subprocess: write |1: broken pipe", TransientError),
    (404, "No such image: none:latest", InvalidRequest),
    (404, "none: image not known", InvalidRequest),
    (404, "manifest for python:9 not found: manifest unknown", InvalidRequest),
    (404, "pull access denied for x, repository does not exist", InvalidRequest),
    (500, "toomanyrequests: You have reached your pull rate limit", Throttled),
    (400, "invalid reference format", InvalidRequest),
    (500, 'could not select device driver "" with capabilities: [[gpu]]', InvalidRequest),
    (400, "unknown or invalid runtime name: nvidia", InvalidRequest),
    (500, "Bind for 0.0.0.0:8080 failed: port is already allocated", CapacityError),
    (500, "listen tcp4 0.0.0.0:80: bind: address already in use", CapacityError),
    (500, "write /var/lib/x: no space left on device", CapacityError),
    (500, "could not find an available, non-overlapping IPv4 address pool", CapacityError),
    (400, CREATE + 'exec: "sh": executable file not found in $PATH', InvalidRequest),
    (400, "unable to find user me: no matching entries in passwd file", InvalidRequest),
    (404, "network mine not found", InvalidRequest),
    (400, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs", InvalidRequest),
    (400, "Minimum memory limit allowed is 6MB", InvalidRequest),
    (409, "removal of container x is already in progress", TransientError),
    (500, "Get https://x/v2/: net/http: TLS handshake timeout", TransientError),
    (403, "forbidden", AuthError),
    (429, "slow down", Throttled),
    (503, "starting", TransientError),
    (409, "something else", InvalidRequest),
    (500, "something that nobody has seen", CloudError),
]


@pytest.mark.parametrize(("status", "words", "kind"), WORDS)
def test_words_of_a_refusal(status: int, words: str, kind: type[CloudError]) -> None:
    error = refused(ApiError(status, words), "docker")
    assert type(error) is kind
    assert words in error.message
    if isinstance(error, CapacityError):
        assert error.scope == "cloud"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionLost("no answer at /s: [Errno 13] Permission denied"), AuthError),
        (ConnectionLost("no answer at /s: [Errno 2] No such file"), TransientError),
    ],
)
def test_a_socket_that_is_closed_to_us(error: RemoteError, kind: type[CloudError]) -> None:
    assert type(refused(error, "docker")) is kind


def test_every_state_of_an_engine_is_known() -> None:
    documented = "created running paused restarting removing exited dead"
    assert not set(documented.split()) - set(spec.STATES)


REQUEST = CreateRequest(
    "t",
    Offer("docker", "-", None, "x", 8, 16, {"A100": 4}),
    Demand(),
    2,
    "n",
    {"stix-home": "h", "stix-token": "t"},
    ports=("8080", "9000-9001"),
)
PLAN = spec.Plan(REQUEST, 0, "net", HostFacts(8, 16), 4.0, {"A100": [2, 3]})


def listed(plan: spec.Plan, **changes: Any) -> dict[str, Any]:
    body = spec.container(plan, read("docker", {}))
    return {
        "Id": "0123456789abcdef" * 4, "Names": [f"/{plan.name}"], "State": "running",
        "Created": 1790000000, "Status": "Up", "Labels": {**body["Labels"], "of-the-image": "x"},
        "NetworkSettings": {"Networks": {"net": {"IPAddress": "172.18.0.2"}}}, **changes,
    }  # fmt: skip


def test_a_container_is_its_node() -> None:
    node = spec.node("docker", listed(PLAN))
    assert (node.ref.id, node.address, node.rank) == ("0123456789ab", "172.18.0.2", 0)
    assert node.tags == REQUEST.tags
    assert node.accelerators == {"A100": [0, 1]}  # as seen from inside
    taken = spec.node("docker", listed(PLAN, State="exited", Names=["/x.preempted"]))
    assert (taken.state, taken.socket) == (NodeState.PREEMPTED, "")
    assert spec.node("docker", listed(PLAN, State="exited")).state is NodeState.FAILED
    assert spec.node("docker", listed(PLAN, State="created")).state is NodeState.STARTING
    assert spec.meta_of({"Labels": {"stix.node": "no JSON"}}) == {}


def test_what_a_container_is_given() -> None:
    body = spec.container(PLAN, read("docker", {"runtime": "nvidia"}))
    host = body["HostConfig"]
    assert host["DeviceRequests"][0]["DeviceIDs"] == ["2", "3"]
    assert host["Runtime"] == "nvidia"
    assert sorted(host["PortBindings"]) == ["8080/tcp", "9000/tcp", "9001/tcp"]
    assert (host["NanoCpus"], host["Memory"]) == (4_000_000_000, 16 << 30)
    other = replace(PLAN, rank=1)
    assert spec.container(other, read("docker", {}))["HostConfig"]["PortBindings"] == {}
    assert other.name != PLAN.name


def test_what_its_volume_holds() -> None:
    meta = json.loads(listed(PLAN)["Labels"]["stix.node"])
    data = spec.content(REQUEST, meta, read("docker", {"user": "7:8"}))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        entries = {m.name: (m.uid, m.gid, m.mode) for m in archive}
    assert entries == {
        "home": (7, 8, 0o700),
        "home/guard.py": (7, 8, 0o600),
        "home/order.json": (7, 8, 0o600),
    }


@pytest.mark.parametrize(
    "block",
    [
        {"user": "me"},
        {"user": "1:me"},
        {"pids": 1},
        {"accelerators": {"A100": -1}},
        {"nonsense": 1},
    ],
)
def test_settings_that_make_no_sense(block: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"config\.yaml: docker\."):
        read("docker", block)


def test_where_the_engine_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///of/docker")
    monkeypatch.setenv("CONTAINER_HOST", "unix:///of/podman")
    assert socket_of("docker", {}) == "/of/docker"
    assert socket_of("podman", {}) == "/of/podman"
    assert socket_of("docker", {"host": "unix:///mine"}) == "/mine"
    with pytest.raises(InvalidRequest, match="tcp"):
        socket_of("docker", {"host": "tcp://10.0.0.1:2375"})
    config = CloudConfig(tmp_path, tmp_path)
    assert DockerCloud(config).credentials() == PodmanCloud(config).credentials() == ""
    (tmp_path / "podman").mkdir()
    (tmp_path / "podman" / "podman.sock").touch()
    monkeypatch.delenv("CONTAINER_HOST")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert PodmanCloud(config).credentials() == str(tmp_path / "podman" / "podman.sock")


def test_the_page_names_every_setting() -> None:
    page = Path(__file__).parents[3] / "docs" / "clouds" / "docker.md"
    block = yaml.safe_load(page.read_text().split("```yaml\n")[1].split("```")[0])["docker"]
    assert {*block, "host"} == {setting.name for setting in SETTINGS}
    assert read("docker", block).accelerators == {"A100": 2}
