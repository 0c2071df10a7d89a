"""A real server of Azure's blob protocol for tests: Azurite, from npm, in a cache folder."""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

VERSION = "3.37.0"
CACHE = Path(os.environ.get("STIX_TEST_CACHE") or "/var/tmp") / f"stix-azurite-{VERSION}"
ACCOUNT = "stixtest"
START_SECONDS = 60.0
INSTALL_SECONDS = 600.0


@dataclass(frozen=True)
class AzureServer:
    """A running server. ``container`` exists, and ``other`` too."""

    endpoint_url: str
    key: str = field(repr=False)
    container: str = "stix-test"
    other: str = "stix-other"

    def options(self) -> dict[str, str]:
        """For ``open_store``."""
        return {"endpoint_url": self.endpoint_url, "account": ACCOUNT, "account_key": self.key}

    def signed(self, rights: str, *, start: float = -60.0, end: float = 3600.0) -> dict[str, str]:
        """Options with a signature for the container, good from ``start`` to ``end`` (seconds)."""
        from azure.storage.blob import generate_container_sas

        now = datetime.now(UTC)
        token = generate_container_sas(
            ACCOUNT,
            self.container,
            account_key=self.key,
            permission=rights,
            start=now + timedelta(seconds=start),
            expiry=now + timedelta(seconds=end),
        )
        return {"endpoint_url": self.endpoint_url, "account": ACCOUNT, "sas_token": token}

    def url(self, *names: str) -> str:
        return "/".join([f"az://{self.container}", *names])


def program() -> Path | None:
    """Azurite, installed once; None where npm is missing."""
    found = CACHE / "node_modules" / ".bin" / "azurite-blob"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if found.exists():
            return found
        npm = shutil.which("npm")
        if npm is None:
            return None
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(CACHE)]
        done = subprocess.run(
            [*command, f"azurite@{VERSION}"],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"azurite cannot be installed: {done.stderr[-2000:]}")
    return found


@contextmanager
def serve(folder: Path) -> Iterator[AzureServer]:
    """Run a server with its data in ``folder`` and end it."""
    found = program()
    if found is None:
        pytest.skip("no Azure server: npm is missing, which installs azurite")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    arguments = ["--location", str(folder), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with (folder / "azurite.log").open("wb") as log:
        process = subprocess.Popen(
            [str(found), "--skipApiVersionCheck", "--silent", "--disableTelemetry", *arguments],
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        server = AzureServer(f"http://127.0.0.1:{port}/{ACCOUNT}", key)
        _await(process, port, folder)
        _prepare(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    text = (folder / "azurite.log").read_text(errors="replace")
    raise RuntimeError(f"azurite did not start:\n{text[-3000:]}")


def _prepare(server: AzureServer) -> None:
    from stix.storage.stores.az import AzStore

    for name in (server.container, server.other):
        AzStore(**server.options()).create_bucket(name, "", {})


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """One server for all tests of a session."""
    with serve(tmp_path_factory.mktemp("azurite")) as server:
        yield server
