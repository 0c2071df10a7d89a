"""What a node is as a container, and what a container is as a node."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stix.clouds.agents import demand_dict
from stix.clouds.base import CreateRequest, Node, NodeRef, NodeState
from stix.clouds.config import HOME_TAG, TOKEN_TAG
from stix.clouds.docker.settings import DockerSettings
from stix.clouds.docker.volumes import mounts
from stix.clouds.errors import InvalidRequest
from stix.clouds.hosts import HostFacts
from stix.node import build, guard
from stix.node.agent.files import digest_text
from stix.remote.host_agent import PYTHONS

VOLUME = "/stix"
HOME = f"{VOLUME}/home"
BASE = f"{HOME}/.stix"
META = "stix.node"
TAKEN_AWAY = ".preempted"
NO_PYTHON = 44
GIB = 1 << 30
STATES: Mapping[str, NodeState] = {
    "created": NodeState.STARTING,
    "configured": NodeState.STARTING,  # podman's word
    "initialized": NodeState.STARTING,  # podman's
    "running": NodeState.RUNNING,
    "paused": NodeState.STOPPED,
    "restarting": NodeState.STARTING,
    "removing": NodeState.TERMINATED,
    "stopping": NodeState.RUNNING,  # podman's
    "exited": NodeState.FAILED,
    "stopped": NodeState.FAILED,  # podman's
    "dead": NodeState.FAILED,
}
"""State of a container (``State`` in a listing) to that of a node. Nobody but us stops ours."""

_MAIN = f"""
for p in {" ".join(PYTHONS)}; do
  p=$(command -v "$p") && "$p" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 8))' \\
    2>/dev/null && exec "$p" -I -S {HOME}/guard.py {HOME}/order.json
done
exit {NO_PYTHON}
"""


@dataclass(frozen=True)
class Plan:
    """One node of a wish, before its container exists.

    Attributes:
        accelerators: Name to indices on the machine, as the engine counts them.
        limits: What the machine offers; bounds of nodes that reserve nothing.
        cores: Processors that the machine really has.
    """

    request: CreateRequest
    rank: int
    network: str
    limits: HostFacts
    cores: float
    accelerators: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """One per home, token and rank: the engine refuses a second container of that name."""
        home = self.request.tags[HOME_TAG]
        whole = f"{home}\0{self.request.token}\0{self.rank}"
        return f"stix-{digest_text(home)[:8]}-{digest_text(whole)}"


def network_name(home: str) -> str:
    return f"stix-{digest_text(home)[:8]}"


def container(plan: Plan, settings: DockerSettings) -> dict[str, Any]:
    """The body of ``POST /containers/create``: as little power as a node can live with."""
    request = plan.request
    meta = {
        "token": request.token,
        "rank": plan.rank,
        "volume": plan.name,
        "demand": demand_dict(request.demand),
        "accelerators": {name: [*indices] for name, indices in plan.accelerators.items()},
        "tags": [*request.tags],
    }
    ports = _ports(request.ports) if plan.rank == 0 and plan.network != "host" else []
    return {
        "Image": request.image,
        "Entrypoint": ["sh", "-c", _MAIN],
        "Cmd": [],
        "User": f"{settings.uid}:{settings.gid}",
        "WorkingDir": "/",
        "Env": [f"HOME={HOME}", f"STIX_NAME={request.name[:64]}"],
        "Labels": {**request.tags, META: json.dumps(meta)},
        "StopSignal": "SIGTERM",
        "ExposedPorts": {f"{port}/tcp": {} for port in ports},
        "HostConfig": {
            "NetworkMode": plan.network,
            "PortBindings": {f"{port}/tcp": [{"HostPort": str(port)}] for port in ports},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "RestartPolicy": {"Name": "no"},
            **_hardened(settings),
            **_limited(plan, settings),
            **_devices(plan, settings),
            "Mounts": [_volume(plan), *mounts(request.volumes, HOME)],
        },
    }


def _hardened(settings: DockerSettings) -> dict[str, Any]:
    # What is written outside of the volume ends with the container and counts as memory.
    tmpfs = dict.fromkeys(("/tmp", "/var/tmp", "/run"), "rw,exec,nosuid,nodev,mode=1777")
    return {
        "ReadonlyRootfs": settings.read_only,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "PidsLimit": settings.pids,
        "Tmpfs": tmpfs if settings.read_only else {},
    }


def _limited(plan: Plan, settings: DockerSettings) -> dict[str, Any]:
    demand = plan.request.demand
    memory = int((demand.memory_gib or plan.limits.memory_gib) * GIB)
    cpus = min(demand.cpus or plan.limits.cpus, plan.cores)
    return {
        "Memory": memory,
        "MemorySwap": memory,  # no swap
        "NanoCpus": int(cpus * 1e9),
        "ShmSize": memory // 2,  # the usual 64 MB break data loaders; it counts as memory
    }


def _devices(plan: Plan, settings: DockerSettings) -> dict[str, Any]:
    indices = sorted({index for some in plan.accelerators.values() for index in some})
    found: dict[str, Any] = {"Runtime": settings.runtime} if settings.runtime else {}
    if indices:
        ids = [str(index) for index in indices]
        found["DeviceRequests"] = [
            {"Driver": "nvidia", "DeviceIDs": ids, "Capabilities": [["gpu"]]}
        ]
    return found


def _volume(plan: Plan) -> dict[str, Any]:
    labels = {name: plan.request.tags[name] for name in (HOME_TAG, TOKEN_TAG)}
    options = {"Labels": labels, "NoCopy": True}
    return {"Type": "volume", "Source": plan.name, "Target": VOLUME, "VolumeOptions": options}


def _ports(wanted: Sequence[str]) -> list[int]:
    found: set[int] = set()
    for word in wanted:
        first, _, last = word.partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            raise InvalidRequest(f"{word!r} is no port", fix="write 8080 or 10000-10010")
        found |= set(range(int(first), int(last or first) + 1))
    return sorted(found)


def content(request: CreateRequest, meta: Mapping[str, Any], settings: DockerSettings) -> bytes:
    """A tar for the volume: a directory of the node's user, and what its main process needs."""
    seen = {name: len(indices) for name, indices in meta["accelerators"].items()}
    order = {
        "base": BASE,
        "digest": build.digest(),
        "archive": base64.b64encode(build.zipapp_bytes()).decode(),
        "request": {
            "token": request.token,
            "rank": meta["rank"],
            "name": request.name,
            "tags": dict(request.tags),
            "demand": {"accelerators": seen},  # a container reserves all that it sees
            "limits": {"accelerators": seen},
        },
    }
    files = {
        "guard.py": Path(guard.__file__).read_bytes(),
        "order.json": json.dumps(order).encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in {"": None, **files}.items():
            entry = tarfile.TarInfo(f"home/{name}" if name else "home")
            entry.uid, entry.gid = settings.uid, settings.gid
            entry.type = tarfile.REGTYPE if name else tarfile.DIRTYPE
            entry.mode = 0o600 if name else 0o700
            entry.size = len(data or b"")
            archive.addfile(entry, io.BytesIO(data or b""))
    return buffer.getvalue()


def meta_of(listed: Mapping[str, Any]) -> dict[str, Any]:
    """What we wrote on a container; empty where it is not a node of anybody."""
    try:
        found = json.loads(listed["Labels"].get(META, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def node(cloud: str, listed: Mapping[str, Any], why: str = "") -> Node:
    """The node that an entry of ``GET /containers/json`` is.

    Args:
        why: What the engine says about its end, where it has ended.
    """
    meta = meta_of(listed)
    labels: Mapping[str, str] = listed["Labels"]
    state = STATES.get(listed["State"], NodeState.FAILED)
    if state is NodeState.FAILED and listed["Names"][0].endswith(TAKEN_AWAY):
        state = NodeState.PREEMPTED
    agent = digest_text(f"{meta['token']}\0{meta['rank']}")
    return Node(
        ref=NodeRef(cloud, listed["Id"][:12]),
        state=state,
        address=_address(listed),
        rank=meta["rank"],
        directory=f"{BASE}/nodes/{agent}",
        socket=f"{BASE}/s/{agent}" if state is NodeState.RUNNING else "",
        tags={name: labels[name] for name in meta["tags"] if name in labels},
        accelerators={n: [*range(len(found))] for n, found in meta["accelerators"].items()},
        created=_seconds(listed.get("Created")),
        reason=why or listed.get("Status", ""),
    )


def _address(listed: Mapping[str, Any]) -> str:
    networks = (listed.get("NetworkSettings") or {}).get("Networks") or {}
    for name, network in networks.items():
        if name == "host":
            return "127.0.0.1"
        if network.get("IPAddress"):
            return str(network["IPAddress"])
    # podman names no network of a container that shares the host's.
    return "" if networks else "127.0.0.1"


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
