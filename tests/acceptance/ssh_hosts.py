"""Three SSH hosts that have what the digits example needs, and how tests look at them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.hosts import DEFAULT_PATH, HostFarm, Image, SshHost

CONFIG = "local: {enabled: false}\n"
LEFT = (
    "find ~/.stix/nodes ~/.stix/s -mindepth 1 2>/dev/null; "
    "ps -eo args | grep -E 'agent-|STIX|sleep|jobs/' | grep -v -e grep -e mindepth; true"
)


def image() -> Image:
    """A host with the Python of these tests, which has scikit-learn and matplotlib."""
    folders = dict.fromkeys((sys.prefix, sys.base_prefix))
    shown = tuple(folder for folder in folders if not folder.startswith("/usr"))
    return Image(path=f"{sys.prefix}/bin:{DEFAULT_PATH}", shown=shown)


def write_pool(home: Path, farm: HostFarm, hosts: Sequence[SshHost], **changes: str) -> None:
    """The file of pools: one, ``rack``."""
    pool = {
        "user": "root",
        "identity_file": str(farm.identity),
        "hosts": [host.address for host in hosts],
        **changes,
    }
    (home / "ssh_node_pools.yaml").write_text(json.dumps({"rack": pool}))


def on(farm: HostFarm, host: SshHost, script: str) -> str:
    """What a command prints on a host, by the ssh of the system."""
    options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
    argv = ["ssh", *options, "-i", str(farm.identity), f"root@{host.address}", script]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout


def left_on(farm: HostFarm, hosts: Sequence[SshHost]) -> dict[str, str]:
    """Directories and sockets of nodes, and processes of ours, by host."""
    return {host.name: on(farm, host, LEFT) for host in hosts}
