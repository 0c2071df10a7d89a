"""One producer, many consumers on a few hosts: how often the bytes of an artifact travel.

    python benchmarks/fanout.py [--gb 10] [--consumers 20] [--hosts 4]

The hosts are SSH hosts made of namespaces (root is needed), the store is SeaweedFS on this machine.
The kernel counts what leaves the store's port for each host and for the engine, and what the engine
sends to the hosts by SSH. Every host keeps one copy of the artifact on this machine's disk, and so
does the store: --gb 10 --hosts 4 takes 50 GB of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.support.hosts import HostFarm, Image, SshHost
from tests.support.s3 import S3Server, serve
from tests.support.server import ServerHome, make_home

GB = 10**9
MAKE = "head -c {size} /dev/urandom > data"
# The same bytes for all: the ends and the middle are read, not ten times as much as was sent.
USE = """
f=$STIX_INPUT_DATA
test "$(stat -c %s "$f")" = {size}
parts() {{ head -c 1000000 "$f"; tail -c 1000000 "$f"; tail -c +{middle} "$f" | head -c 1000000; }}
s=$(parts | sha256sum)
printf '{{"sum": "%s", "links": %s}}' "${{s%% *}}" "$(stat -c %h "$f")" > $STIX_RESULT
"""


class Counters:
    """What the kernel saw leave: bytes by name."""

    def __init__(self, rules: Mapping[str, Sequence[str]]) -> None:
        self._rules = {f"stix-fanout {name}": [*rule] for name, rule in rules.items()}

    def __enter__(self) -> Counters:
        for name, rule in self._rules.items():
            _iptables("-A", "OUTPUT", *rule, "-m", "comment", "--comment", name)
        return self

    def __exit__(self, *_: object) -> None:
        for name, rule in self._rules.items():
            _iptables("-D", "OUTPUT", *rule, "-m", "comment", "--comment", name)

    def read(self) -> dict[str, int]:
        found = {}
        for line in _iptables("-nvxL", "OUTPUT").splitlines():
            for name in self._rules:
                if f"/* {name} */" in line:
                    found[name.partition(" ")[2]] = int(line.split()[1])
        return found


def _iptables(*argv: str) -> str:
    return subprocess.run(
        ["iptables", "-w", *argv], check=True, capture_output=True, text=True
    ).stdout


def pipeline(size: int, consumers: int, hosts: Sequence[SshHost]) -> dict[str, Any]:
    """The producer on the first host, the consumers on all in turn."""
    stages: dict[str, Any] = {
        "make": {
            "run": MAKE.format(size=size),
            "outputs": {"data": "data"},
            "resources": {"infra": f"ssh/rack/{hosts[0].address}"},
        }
    }
    for number in range(consumers):
        stages[f"use{number}"] = {
            "run": USE.format(size=size, middle=size // 2),
            "inputs": {"data": {"from": "make.data", "shared": True}},
            "resources": {"infra": f"ssh/rack/{hosts[number % len(hosts)].address}"},
        }
    return {"name": "fanout", "stages": stages}


@contextmanager
def server_of(farm: HostFarm, hosts: Sequence[SshHost], store: S3Server) -> Iterator[ServerHome]:
    """A server of STIX with these hosts and this store."""
    config = {
        "local": {"enabled": False},
        "artifacts": {"url": store.url("artifacts"), "endpoint_url": store.endpoint_url},
    }
    server = ServerHome(make_home(json.dumps(config)), env=store.environment())
    pool = {
        "user": "root",
        "identity_file": str(farm.identity),
        "hosts": [host.address for host in hosts],
    }
    (server.home / "ssh_node_pools.yaml").write_text(json.dumps({"rack": pool}))
    try:
        yield server.start()
    finally:
        server.clean()


def run(server: ServerHome, text: str, limit: float) -> tuple[dict[str, Any], float]:
    """The run's end, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pipeline.yaml").write_text(text)
        began = time.monotonic()
        argv = [sys.executable, "-m", "stix.cli.main", "run", "pipeline.yaml", "--detach"]
        env = {**os.environ, "STIX_HOME": str(server.home)}
        done = subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True, text=True)
    return server.wait_for_run(done.stdout.strip(), seconds=limit), time.monotonic() - began


def measure(gb: float, consumers: int, count: int, limit: float) -> bool:
    size = int(gb * GB)
    # The producer's own copy is gone when the consumers begin.
    need = size * (count + 1) + 10 * GB
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < need:
        print(f"{need / GB:.0f} GB of disk are needed, {free / GB:.0f} are free")
        return False
    farm = HostFarm()
    with tempfile.TemporaryDirectory(prefix="stix-fanout-") as folder:
        try:
            hosts = farm.up(Image(roomy=True), count)
            gateway = f"{farm.network}.1"
            with serve(Path(folder), gateway) as store:
                port = str(urlsplit(store.endpoint_url).port)
                names = [*hosts, None]
                rules = {
                    f"store {one.name if one else 'engine'}": [
                        *("-p", "tcp", "--sport", port, "-d", one.address if one else gateway)
                    ]
                    for one in names
                }
                rules |= {
                    f"ssh {one.name}": ["-p", "tcp", "--dport", "22", "-d", one.address]
                    for one in hosts
                }
                text = json.dumps(pipeline(size, consumers, hosts))
                with Counters(rules) as counters, server_of(farm, hosts, store) as server:
                    shown, seconds = run(server, text, limit)
                    return report(shown, seconds, counters.read(), size)
        finally:
            farm.close()


def report(shown: Mapping[str, Any], seconds: float, sent: Mapping[str, int], size: int) -> bool:
    """Print the figures; whether all is as it should be."""
    print(f"run: {shown['state']} in {seconds:.0f} s; artifact: {size / GB:.2f} GB")
    results = [s["result"] for s in shown["stages"] if s["key"] != "make"]
    sums = {one["sum"] for one in results if one}
    links = [one["links"] for one in results if one]
    good = shown["state"] == "succeeded" and len(sums) == 1 and len(links) == len(results)
    print(f"consumers: {len(results)}, of one mind: {len(sums) == 1}; links seen: {max(links)}")
    for name, count in sorted(sent.items()):
        print(f"{name:24} {count / GB:9.3f} GB  {count / size:6.3f} x the artifact")
    from_store = [n for name, n in sent.items() if name.startswith("store stix")]
    print(f"{'store to all hosts':24} {sum(from_store) / GB:9.3f} GB  for {len(from_store)} hosts")
    # Headers of packets and requests are a few per cent.
    return good and all(n < 1.1 * size for n in from_store)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=10.0, help="size of the artifact, 10^9 bytes")
    parser.add_argument("--consumers", type=int, default=20)
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--limit", type=float, default=3000.0, help="seconds for the run")
    args = parser.parse_args()
    return 0 if measure(args.gb, args.consumers, args.hosts, args.limit) else 1


if __name__ == "__main__":
    sys.exit(main())
