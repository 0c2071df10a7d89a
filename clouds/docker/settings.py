"""The blocks ``docker:`` and ``podman:`` of ``config.yaml``, and where the engine listens."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from stix.clouds.errors import InvalidRequest
from stix.clouds.settings import Setting, read_settings, wrong
from stix.spec.words import accelforms

IMAGE = "docker.io/library/python:3.12-slim"
SETTINGS = (
    Setting("host", doc="unix:///path of the engine's socket"),
    Setting("image", default=IMAGE, doc="where a stage names none; needs Python 3.8 or newer"),
    Setting("pull", default="missing", choices=("missing", "never")),
    Setting("user", default="1000:1000", doc="numeric user and group of everything on a node"),
    Setting("network", default="", doc="`host` or a network's name; empty makes one of our own"),
    Setting("runtime", default="", doc="of the engine, such as `nvidia`"),
    Setting("read_only", "flag", default=True, doc="whether the image's own files are"),
    Setting("cpus", "number", least=0.01, doc="that we may use; all where empty"),
    Setting("memory", "number", least=0.01, doc="GiB that we may use; all where empty"),
    Setting("accelerators", "any", doc="name to count; as nvidia-smi says where empty"),
    Setting("pids", "count", default=4096, least=16, doc="processes per node"),
    Setting("price", "number", default=0.0, least=0.0, doc="USD per hour and node"),
)
VARIABLES = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}


@dataclass(frozen=True)
class DockerSettings:
    """See ``SETTINGS``. ``uid`` and ``gid`` are those of ``user``; None means all there is."""

    image: str
    pull: bool
    uid: int
    gid: int
    network: str
    runtime: str
    read_only: bool
    cpus: float | None
    memory_gib: float | None
    accelerators: dict[str, float] | None
    pids: int
    price: float


def read(cloud: str, block: Mapping[str, Any]) -> DockerSettings:
    """The settings of the block.

    Raises:
        InvalidRequest: a field is unknown or makes no sense.
    """
    found = read_settings(cloud, block, SETTINGS)
    uid, _, gid = found["user"].partition(":")
    if not uid.isdigit() or not (gid or uid).isdigit():
        raise wrong(cloud, "user", f"is {found['user']!r}", "write numbers, such as 1000:1000")
    return DockerSettings(
        image=found["image"],
        pull=found["pull"] == "missing",
        uid=int(uid),
        gid=int(gid or uid),
        network=found["network"],
        runtime=found["runtime"],
        read_only=found["read_only"],
        cpus=found["cpus"],
        memory_gib=found["memory"],
        accelerators=_accelerators(cloud, found["accelerators"]),
        pids=found["pids"],
        price=found["price"],
    )


def socket_of(cloud: str, block: Mapping[str, Any]) -> str:
    """Path of the engine's socket: of the block, of the environment, or the usual one.

    Raises:
        InvalidRequest: it is no Unix socket.
    """
    said = block.get("host") or os.environ.get(VARIABLES[cloud], "")
    if said:
        scheme, _, path = str(said).partition("://")
        if scheme != "unix" or not path.startswith("/"):
            raise InvalidRequest(
                f"the {cloud} cloud reaches an engine by a Unix socket, not by {scheme}://",
                fix="use the cloud ssh for other hosts, or forward the socket by `ssh -L`",
            )
        return path
    usual = _usual(cloud)
    return next((path for path in usual if Path(path).exists()), usual[-1])


def _usual(cloud: str) -> Sequence[str]:
    own = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if cloud == "podman":
        return [f"{own}/podman/podman.sock", "/run/podman/podman.sock"]
    return [f"{own}/docker.sock", "/run/docker.sock", "/var/run/docker.sock"]


def _accelerators(cloud: str, value: Any) -> dict[str, float] | None:
    if value is None:
        return None
    try:
        return accelforms.counts(value)
    except PydanticCustomError as error:
        fix = "write `accelerators: {A100: 4}`"
        raise wrong(cloud, "accelerators", error.message(), fix) from None
