"""Copies of STIX beside s5cmd, rclone, boto3 and obstore, on one S3 server in one run.

    python benchmarks/transfer.py [--peers /tmp/peers/bin] [--large-mib 1024] [--rounds 3]

Each measurement is a whole process, its start included, on the server of the tests (SeaweedFS).
The best of the rounds counts; the seconds of processor that the client used stand beside it, since
a busy machine stretches the time of all. obstore checks nothing and goes on with nothing: it is
what the network and the disk give to a Python program. Programs of peers are looked for on the
path and in the folder that is given; rclone and s5cmd run with as many workers as they choose
themselves, or with --workers. Beside them stand what the disk and a single stream over loopback
give with no client at all.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.support.s3 import S3Server, serve

MIB = 2**20
STIX = """
import sys
from stix.storage.transfer import copy
copy(sys.argv[1], sys.argv[2])
"""
COPIERS = Path(__file__).resolve().parent / "copiers"


@dataclass(frozen=True)
class Client:
    """A program that copies.

    Attributes:
        command: What runs for (source, target, whether it is a folder, whether to compare first).
    """

    name: str
    command: Callable[[str, str, bool, bool], list[str]]


def clients(folder: str | None, workers: int | None) -> list[Client]:
    where = os.pathsep.join(filter(None, [folder, os.environ.get("PATH", "")]))
    found = [Client("stix", lambda s, t, _d, _c: [sys.executable, "-c", STIX, s, t])]
    s5cmd, rclone = shutil.which("s5cmd", path=where), shutil.which("rclone", path=where)
    if s5cmd:
        many = ["--numworkers", str(workers)] if workers else []

        def five(source: str, target: str, is_folder: bool, compare: bool) -> list[str]:
            verb = "sync" if compare else "cp"
            if is_folder:
                source = f"{source}/*" if source.startswith("s3://") else f"{source}/"
                target = f"{target}/"
            return [s5cmd, "--log", "error", *many, verb, source, target]

        found.append(Client("s5cmd", five))
    if rclone:
        many_r = ["--transfers", str(workers), "--checkers", str(workers)] if workers else []

        def ar(source: str, target: str, is_folder: bool, compare: bool) -> list[str]:
            verb = "copy" if is_folder else "copyto"
            flags = ["--update", "--use-server-modtime"] if compare else ["--ignore-times"]
            places = [one.replace("s3://", "bench:") for one in (source, target)]
            return [rclone, verb, "--config=/dev/null", *flags, *many_r, *places]

        found.append(Client("rclone", ar))
    for name in ("obstore", "boto3"):
        program = str(COPIERS / f"by_{name}.py")
        found.append(Client(name, lambda s, t, _d, _c, p=program: [sys.executable, p, s, t]))
    return found


def environment(server: S3Server, home: Path) -> dict[str, str]:
    return {
        **os.environ,
        **server.environment(),
        "HOME": str(home),
        "S3_ENDPOINT_URL": server.endpoint_url,
        "STIX_HOME": str(home / "stix"),
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
        "RCLONE_CONFIG_BENCH_ENDPOINT": server.endpoint_url,
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }


@dataclass(frozen=True)
class Took:
    """Seconds of a process: by the clock, and of the processor."""

    wall: float
    cpu: float


def timed(command: list[str], env: dict[str, str]) -> Took:
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{command[:3]} failed: {said.read()[-2000:]}")
    return Took(seconds, used.ru_utime + used.ru_stime)


class Bench:
    """Runs every client on every task, in turns, so that a busy moment meets all of them."""

    def __init__(self, server: S3Server, work: Path, given: argparse.Namespace) -> None:
        self.server, self.work, self.given = server, work, given
        self.env = environment(server, work)
        self.clients = clients(given.peers, given.workers)
        self.rows: dict[str, dict[str, Took]] = {}

    def task(self, name: str, run: Callable[[Client, int], Took]) -> None:
        found: dict[str, list[Took]] = {client.name: [] for client in self.clients}
        for turn in range(self.given.rounds):
            first = turn % len(self.clients)
            for client in self.clients[first:] + self.clients[:first]:
                found[client.name].append(run(client, turn))
        self.rows[name] = {
            key: Took(min(one.wall for one in all_of), min(one.cpu for one in all_of))
            for key, all_of in found.items()
        }
        for key, all_of in found.items():
            said = " ".join(f"{one.wall:.2f}/{one.cpu:.2f}" for one in all_of)
            print(f"{name}: {key}: {said}", file=sys.stderr)

    def put(self, source: Path, is_folder: bool) -> Callable[[Client, int], Took]:
        def run(client: Client, turn: int) -> Took:
            target = self.server.url(f"{source.name}-{client.name}-{turn}")
            took = timed(client.command(str(source), target, is_folder, False), self.env)
            if turn:
                self.drop(target)
            return took

        return run

    def drop(self, url: str) -> None:
        """Make room: the server's disk is the machine's."""
        import obstore

        from stix.storage.registry import open_store

        store = open_store(url, **self.server.options())
        client, key = store.bulk(url)  # type: ignore[attr-defined]
        names = [one["path"] for page in obstore.list(client, key) for one in page] or [key]
        obstore.delete(client, names)

    def get(self, name: str, is_folder: bool) -> Callable[[Client, int], Took]:
        def run(client: Client, turn: int) -> Took:
            # Deleted in the end only: ext4 makes files slowly while it has just deleted others.
            target = self.work / f"got-{name}-{client.name}-{turn}"
            url = self.server.url(f"{name}-boto3-0")
            return timed(client.command(url, str(target), is_folder, False), self.env)

        return run

    def again(self, source: Path) -> Callable[[Client, int], Took]:
        def run(client: Client, turn: int) -> Took:
            return timed(
                client.command(str(source), self.server.url("many-stix-0"), True, True), self.env
            )

        return run


def make(work: Path, given: argparse.Namespace) -> tuple[Path, Path, Path]:
    large, small, many = work / "large", work / "small", work / "many"
    block = os.urandom(64 * MIB)
    with large.open("wb") as file:
        for start in range(0, given.large_mib, 64):
            file.write(block[: min(64, given.large_mib - start) * MIB])
    for folder, count, size in ((small, given.small, 65536), (many, given.many, 100)):
        for number in range(count):
            place = folder / f"d{number % 20}" / f"f{number:05}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(block[number : number + size])
    return large, small, many


def raw_disk(work: Path, size: int) -> tuple[float, float]:
    """MiB/s of a plain write with fsync, and of a plain read from the page cache."""
    block, path = os.urandom(8 * MIB), work / "raw"
    start = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(size // 8):
            file.write(block)
        os.fsync(file.fileno())
    wrote = time.perf_counter() - start
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.read(8 * MIB):
            pass
    read = time.perf_counter() - start
    path.unlink()
    return size / wrote, size / read


def raw_loopback(size: int) -> float:
    """MiB/s of one TCP stream over loopback, both ends in Python."""
    block = bytes(MIB)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send() -> None:
            with listener.accept()[0] as out:
                for _ in range(size):
                    out.sendall(block)

        thread = threading.Thread(target=send)
        start = time.perf_counter()
        thread.start()
        with socket.create_connection(listener.getsockname()) as into:
            while into.recv(MIB):
                pass
        thread.join()
    return size / (time.perf_counter() - start)


def raw_get(server: S3Server, name: str, target: Path) -> float:
    """Seconds of a signed GET of the object, streamed by curl's like to a file, with no checks."""
    import urllib.request

    import boto3

    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        region_name="us-east-1",
    )
    url = s3.generate_presigned_url("get_object", Params={"Bucket": server.bucket, "Key": name})
    start = time.perf_counter()
    with urllib.request.urlopen(url, timeout=600) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file, 4 * MIB)
    took = time.perf_counter() - start
    target.unlink()
    return took


def show(bench: Bench, sizes: dict[str, tuple[float, str]]) -> None:
    """Seconds by the clock, of the processor, and what moved in a second."""
    names = [client.name for client in bench.clients]
    print(f"{'task':<16}" + "".join(f"{name:>22}" for name in names) + f"{'fastest/stix':>14}")
    for task, row in bench.rows.items():
        amount, unit = sizes[task]
        cells = "".join(
            f"{row[name].wall:>7.2f}{row[name].cpu:>7.2f}{amount / row[name].wall:>8.0f}"
            for name in names
        )
        fastest = min(row[name].wall for name in names if name not in {"stix", "obstore"})
        print(f"{task:<16}{cells}{fastest / row['stix'].wall:>14.2f}   ({unit})")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="folder with s5cmd and rclone")
    parser.add_argument("--large-mib", type=int, default=1024)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--many", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--only", help="part of the names of tasks")
    parser.add_argument("--work", help="folder for all data, also the server's; not in memory")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave no server and no data
    with tempfile.TemporaryDirectory(prefix="stix-bench-", dir=given.work) as name:
        work = Path(name)
        (work / "server").mkdir()
        large, small, many = make(work, given)
        with serve(work / "server") as server:
            bench = Bench(server, work, given)
            tasks = {
                "large put": bench.put(large, False),
                "large get": bench.get("large", False),
                "small put": bench.put(small, True),
                "small get": bench.get("small", True),
                "no-change sync": bench.again(many),
            }
            time.sleep(1.1)  # times of objects are whole seconds
            for task, run in tasks.items():
                if given.only and given.only not in task:
                    continue
                if task.endswith("get"):
                    seed(bench, large if "large" in task else small)
                if task == "no-change sync":
                    timed(
                        bench.clients[0].command(str(many), server.url("many-stix-0"), True, False),
                        bench.env,
                    )
                bench.task(task, run)
            sizes = {
                "large put": (given.large_mib, "MiB/s"),
                "large get": (given.large_mib, "MiB/s"),
                "small put": (given.small, "objects/s"),
                "small get": (given.small, "objects/s"),
                "no-change sync": (given.many, "objects/s"),
            }
            show(bench, sizes)
            disk = raw_disk(work, given.large_mib)
            print(f"disk: write {disk[0]:.0f} MiB/s with fsync, read {disk[1]:.0f} MiB/s (cached)")
            print(f"loopback: {raw_loopback(given.large_mib):.0f} MiB/s, one stream")
            with suppress(OSError):
                took = raw_get(server, "large-boto3-0", work / "raw")
                print(f"one GET, streamed to a file, unchecked: {given.large_mib / took:.0f} MiB/s")
        if given.json:
            rows = {
                task: {k: asdict(v) for k, v in row.items()} for task, row in bench.rows.items()
            }
            given.json.write_text(json.dumps(rows, indent=2))
    return 0


def seed(bench: Bench, source: Path) -> None:
    """The object or the prefix that all clients read, if its put was left out."""
    boto3 = bench.clients[-1]
    if not bench.given.only:
        return
    target = bench.server.url(f"{source.name}-boto3-0")
    timed(boto3.command(str(source), target, source.is_dir(), False), bench.env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
