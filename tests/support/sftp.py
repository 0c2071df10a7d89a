"""A real SSH server for tests of storage: OpenSSH's sshd on a loopback port, as this user."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
START_SECONDS = 20.0


@dataclass(frozen=True)
class SftpServer:
    """A running server. ``folder`` is the one that tests write below."""

    port: int
    folder: Path
    identity: Path
    stranger: Path
    known_hosts: Path

    def options(self) -> dict[str, str]:
        """For ``open_store``."""
        return {"identity_file": str(self.identity), "known_hosts": str(self.known_hosts)}

    def url(self, *names: str) -> str:
        user = "root" if os.geteuid() == 0 else os.environ.get("USER", "")
        return "/".join([f"sftp://{user}@127.0.0.1:{self.port}{self.folder}", *names])


@contextmanager
def serve(folder: Path) -> Iterator[SftpServer]:
    """Run a server with its keys and data in ``folder`` and end it with all its sessions."""
    sshd = shutil.which("sshd", path=PATH)
    if sshd is None:
        pytest.skip("no SFTP server: install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it
    for name in ("host", "identity", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, capture_output=True)
    shutil.copy(folder / "identity.pub", folder / "authorized")
    data = folder / "data"
    data.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    config = folder / "sshd_config"
    config.write_text(_config(folder, port))
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(config)], stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await(process, port, folder)
        yield SftpServer(
            port, data, folder / "identity", folder / "stranger", folder / "known_hosts"
        )
    finally:
        _end(process)


def _config(folder: Path, port: int) -> str:
    lines = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "UsePAM": "no",
        "PidFile": "none",
        "MaxStartups": "200:30:400",
        "Subsystem": "sftp internal-sftp",
        "UseDNS": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _await(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as one:
                if one.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"sshd did not start:\n{(folder / 'sshd.log').read_text()[-3000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """The server, and its sessions, which are no children of ours."""
    import psutil

    below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    for one in [*below, process]:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


@pytest.fixture(scope="session")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    """One server for all tests of a session."""
    with serve(tmp_path_factory.mktemp("sftp")) as server:
        yield server
