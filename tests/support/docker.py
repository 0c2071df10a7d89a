"""Real container engines for tests: a dockerd or a podman service of their own, and an image.

The image is made of files of this machine (its Python, a shell, coreutils, tar) in a second, so
that nothing is fetched. Where an engine cannot run, its tests are skipped, and fail in CI.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

PYTHON = "/usr/bin/python3"
IMAGE = "stix-test:with-python"
BARE = "stix-test:without-python"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
FILES = 20000  # the machines of tests may not raise their limits
PROGRAMS = (
    "sh", "bash", "cat", "chmod", "cp", "echo", "env", "id", "kill", "ls", "mkdir", "mktemp", "mv",
    "printf", "rm", "setsid", "sleep", "tail", "tar", "test", "touch", "true", "wc",
)  # fmt: skip
LEFT_OUT = {
    "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data",
    "dist-packages", "site-packages", "distutils", "unittest", "__phello__",
}  # fmt: skip
# Bridges and mounts of the engine end with it, however it ends.
APART = ("unshare", "--net", "--mount", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
PODMAN_CONF = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={files}:{files}"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class EngineUnavailable(Exception):
    """This machine cannot run the engine."""


@dataclass
class ContainerEngine:
    """An engine that tests may use alone."""

    name: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def socket(self) -> str:
        return str(self.folder / "engine.sock")

    def call(self, method: str, path: str, **more: Any) -> Any:
        """A request by a client of its own."""
        transport = httpx.HTTPTransport(uds=self.socket)
        with httpx.Client(transport=transport, base_url="http://engine", timeout=60) as client:
            answer = client.request(method, f"/v1.40{path}", **more)
            answer.raise_for_status()
            return answer.json() if answer.content.startswith((b"{", b"[")) else None

    def run(self, *command: str, image: str = IMAGE, **config: Any) -> str:
        """Start a container that is not one of ours; its id."""
        body = {"Image": image, "Cmd": [*command], **config}
        made: str = self.call("POST", "/containers/create", json=body)["Id"]
        self.call("POST", f"/containers/{made}/start")
        return made

    def remove(self, container: str) -> None:
        self.call("DELETE", f"/containers/{container}", params={"force": "true", "v": "true"})

    def remains(self, label: str) -> list[str]:
        """Containers and volumes that carry a label, and processes of nodes."""
        wanted = {"filters": json.dumps({"label": [label]})}
        found = self.call("GET", "/containers/json", params={"all": "true", **wanted})
        volumes = self.call("GET", "/volumes", params=wanted)["Volumes"] or []
        return [
            *(f"container {c['Names']} {c['State']}" for c in found),
            *(f"volume {v['Name']}" for v in volumes),
        ]

    def stop(self) -> None:
        """End the engine and all that it started, and remove everything."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _kill_below(self.folder)  # podman's monitors outlive it, with their containers
        shutil.rmtree(self.folder, ignore_errors=True)


def _start(name: str, programs: Sequence[str]) -> ContainerEngine:
    needed = (*programs, "setpriv", "unshare", "ip", "ldd")
    missing = [program for program in needed if not _which(program)]
    if missing or os.geteuid() != 0:
        raise EngineUnavailable(f"need root and the programs {', '.join(missing) or 'here'}")
    folder = Path(tempfile.mkdtemp(prefix=f"stix-{name}-"))
    command, env = _docker(folder) if name == "docker" else _podman(folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *APART, *command],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **env},
        )  # fmt: skip
    engine = ContainerEngine(name, folder, process)
    try:
        _await(engine)
        for image, files in ((IMAGE, _with_python()), (BARE, _without_python())):
            _load(engine, image, files)
        engine.remove(engine.run("true", HostConfig={"NetworkMode": "host"}))
    except (EngineUnavailable, httpx.HTTPError) as error:
        said = error.response.text if isinstance(error, httpx.HTTPStatusError) else str(error)
        engine.stop()
        raise EngineUnavailable(f"{name} does not work here: {said}") from error
    return engine


def _docker(folder: Path) -> tuple[list[str], Mapping[str, str]]:
    command = [
        _which("dockerd"), "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
        "-H", f"unix://{folder}/engine.sock", "--pidfile", str(folder / "pid"),
        "--bridge=none", "--iptables=false", "--ip-forward=false",
        f"--default-ulimit=nofile={FILES}:{FILES}", "--config-file", str(folder / "daemon.json"),
    ]  # fmt: skip
    # Each home has a network of its own, which is kept: by itself the engine has room for thirty.
    pools = {"default-address-pools": [{"base": "10.201.0.0/16", "size": 26}]}
    (folder / "daemon.json").write_text(json.dumps(pools))
    return command, {}


def _podman(folder: Path) -> tuple[list[str], Mapping[str, str]]:
    (folder / "containers.conf").write_text(PODMAN_CONF.format(files=FILES))
    storage = f"driver = 'overlay'\nrunroot = '{folder}/run'\ngraphroot = '{folder}/data'\n"
    (folder / "storage.conf").write_text(f"[storage]\n{storage}")
    command = [
        # Its monitors become orphans: somebody has to take note of their ends.
        _which("tini"), "-s", "--",
        _which("podman"), "--root", str(folder / "data"), "--runroot", str(folder / "run"),
        "--tmpdir", str(folder / "tmp"), "--network-config-dir", str(folder / "net"),
        "system", "service", "--time=0", f"unix://{folder}/engine.sock",
    ]  # fmt: skip
    env = {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }
    return command, env


def _await(engine: ContainerEngine) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and engine.process.poll() is None:
        try:
            engine.call("GET", "/_ping")
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    words = (engine.folder / "log").read_text(errors="replace").strip().splitlines()
    raise EngineUnavailable(words[-1] if words else "it does not start")


def _load(engine: ContainerEngine, image: str, files: set[str]) -> None:
    archive = engine.folder / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("bin", "sbin", "lib", "lib64"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(link)
        for path in sorted(files):
            folder, name = os.path.split(path)
            tar.add(os.path.realpath(path), os.path.join(os.path.realpath(folder), name))
    if engine.name == "podman":
        _podman_import(engine, image, archive)
    else:
        repo, _, tag = image.partition(":")
        params = {"fromSrc": "-", "repo": repo, "tag": tag}
        engine.call("POST", "/images/create", params=params, content=archive.read_bytes())
    archive.unlink()


def _podman_import(engine: ContainerEngine, image: str, archive: Path) -> None:
    transport = httpx.HTTPTransport(uds=engine.socket)
    with httpx.Client(transport=transport, base_url="http://engine", timeout=60) as client:
        answer = client.post(
            "/v4.0.0/libpod/images/import",
            params={"reference": image},
            content=archive.read_bytes(),
        )
        answer.raise_for_status()


def _with_python() -> set[str]:
    argv = [PYTHON, "-I", "-S", "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
    library = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    files = {PYTHON}
    for folder, below, names in os.walk(library):
        below[:] = [b for b in below if b not in LEFT_OUT and not b.startswith("config-")]
        files |= {os.path.join(folder, name) for name in names}
    return _with_libraries(files | _programs())


def _without_python() -> set[str]:
    return _with_libraries(_programs())


def _programs() -> set[str]:
    return {path for name in PROGRAMS if (path := shutil.which(name, path="/usr/bin:/bin"))}


def _with_libraries(files: set[str]) -> set[str]:
    linked = [f for f in files if Path(f).read_bytes()[:4] == b"\x7fELF"]
    done = subprocess.run(["ldd", *linked], capture_output=True, text=True, check=False)
    return files | set(re.findall(r"(?:=> )?(/\S+) \(0x", done.stdout))


def _kill_below(folder: Path) -> None:
    """Kill processes that name the folder, and what they have started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{folder}/".encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
                below = (entry / "task" / entry.name / "children").read_text().split()
                found += [int(child) for child in below]
        except OSError:
            continue
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _which(name: str) -> str:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin:/usr/sbin:/sbin"))
    return shutil.which(name, path=path) or ""


@pytest.fixture(scope="session")
def docker() -> Iterator[ContainerEngine]:
    """A dockerd of its own; gone at the end."""
    yield from _engine("docker", ("dockerd", "containerd", "runc"))


@pytest.fixture(scope="session")
def podman() -> Iterator[ContainerEngine]:
    """A service of podman, likewise."""
    yield from _engine("podman", ("podman", "runc", "conmon", "tini"))


def _engine(name: str, programs: Sequence[str]) -> Iterator[ContainerEngine]:
    try:
        engine = _start(name, programs)
    except EngineUnavailable as error:
        pytest.skip(str(error))
    try:
        yield engine
    finally:
        engine.stop()
