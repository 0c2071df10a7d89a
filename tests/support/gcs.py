"""A server of Google's storage protocol for tests: gcp-storage-emulator, in memory."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 30.0
_START = """
import socketserver, sys
socketserver.TCPServer.request_queue_size = 256  # of 5: more clients at once than that hang
from gcp_storage_emulator.__main__ import main
from gcp_storage_emulator.storage import Storage
# After each change it would write down all that it has, for a next start that there is not.
Storage._write_config_to_file = lambda self: None
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class GoogleServer:
    """A running server. ``bucket`` exists."""

    endpoint_url: str
    bucket: str = "stix-test"

    def options(self) -> dict[str, str]:
        """For ``open_store``."""
        return {"endpoint_url": self.endpoint_url, "token": "anon", "project": "test"}

    def url(self, *names: str) -> str:
        return "/".join([f"gs://{self.bucket}", *names])


def installed() -> bool:
    return importlib.util.find_spec("gcp_storage_emulator") is not None


@contextmanager
def serve(folder: Path) -> Iterator[GoogleServer]:
    """Run a server and end it; ``folder`` takes its log."""
    if not installed():
        pytest.skip("no Google server: install gcp-storage-emulator")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = GoogleServer(f"http://127.0.0.1:{port}")
    arguments = ["--host=127.0.0.1", f"--port={port}", "--in-memory", "--quiet"]
    with (folder / "gcs.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _START,
                "start",
                *arguments,
                f"--default-bucket={server.bucket}",
            ],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(process, server, folder)
        yield server
    finally:
        process.kill()
        process.wait()


def _await(process: subprocess.Popen[bytes], server: GoogleServer, folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{server.endpoint_url}/storage/v1/b?project=test", timeout=5)
            return
        except OSError:
            time.sleep(0.05)
    text = (folder / "gcs.log").read_text(errors="replace")
    raise RuntimeError(f"the Google server did not start:\n{text[-3000:]}")


@pytest.fixture(scope="session")
def google_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleServer]:
    """One server for all tests of a session."""
    with serve(tmp_path_factory.mktemp("gcs")) as server:
        yield server
