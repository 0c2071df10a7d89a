"""The processes of one pod: a process and mount namespace on this machine, entered by exec."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INIT = Path(__file__).with_name("pod_init.sh")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = ("unshare", "nsenter", "setpriv", "setsid", "mount", "chroot")
LEASH = ("setpriv", "--pdeathsig", "KILL")  # no pod outlives the test that is killed
START_SECONDS = 30.0
LOG_MAX = 1 << 20


def lacking() -> str:
    """Why this machine cannot run pods; empty where it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        return f"pods need root and the programs {', '.join(missing) or 'here'}"
    return ""


@dataclass
class Sandbox:
    """One running container. ``env`` and user are those of the pod's first container."""

    name: str
    env: dict[str, str]
    user: int
    group: int
    process: asyncio.subprocess.Process
    init: int
    state: Path
    log: bytearray = field(default_factory=bytearray)
    drain: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, pod: Mapping[str, Any], folders: Mapping[str, str]) -> Sandbox:
        """Run the container's command; commands can be executed when this returns.

        Args:
            folders: Path of a mount to the folder of this machine that is there.

        Raises:
            RuntimeError: this machine did not make the namespaces.
        """
        container = pod["spec"]["containers"][0]
        context = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
        user, group = int(context.get("runAsUser", 0)), int(context.get("runAsGroup", 0))
        name = pod["spec"].get("hostname") or pod["metadata"]["name"]
        env = {"PATH": PATH, "HOME": "/root", "HOSTNAME": name}
        env |= {e["name"]: e["value"] for e in container.get("env", ()) if "value" in e}
        paths = [m["mountPath"] for m in container.get("volumeMounts", ())]
        paths = [path for path in paths if path not in folders]
        state = Path(tempfile.mkdtemp(prefix="stix-pod-"))
        settings = {
            "STATE": str(state),
            "NAME": name,
            "VOLUMES": " ".join(paths),
            "FOLDERS": " ".join(f"{path}={folder}" for path, folder in folders.items()),
            "USER_ID": str(user),
            "GROUP_ID": str(group),
            "FS_GROUP": str(context.get("fsGroup", 0)),
            "READ_ONLY": "yes" if context.get("readOnlyRootFilesystem") else "no",
        }
        command = [*container.get("command", ("sleep", "infinity")), *container.get("args", ())]
        spaces = ("--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc")
        process = await asyncio.create_subprocess_exec(
            *LEASH, "unshare", *spaces, "bash", str(INIT),
            *[f"{k}={v}" for k, v in env.items()], *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **settings},
            start_new_session=True,
        )  # fmt: skip
        made = cls(name, env, user, group, process, 0, state)
        try:
            async with asyncio.timeout(START_SECONDS):
                await made._await_ready()
        except BaseException:
            await made.kill()
            raise
        return made

    async def _await_ready(self) -> None:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if line != b"ready\n":
            rest = await self.process.stdout.read()
            raise RuntimeError(f"no pod: {(line + rest).decode(errors='replace')}")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.init = int(children.split()[0])
        self.drain = asyncio.create_task(self._keep_log())

    async def _keep_log(self) -> None:
        assert self.process.stdout is not None
        while data := await self.process.stdout.read(1 << 16):
            if len(self.log) < LOG_MAX:
                self.log += data

    async def run(self, argv: Sequence[str], *, stdin: bool) -> asyncio.subprocess.Process:
        """Start a command inside, as the kubelet's exec does: a session of its own."""
        enter = ("nsenter", "-t", str(self.init), "--mount", "--pid", "--uts", "--ipc", "--root")
        ids = ("--reuid", str(self.user), "--regid", str(self.group), "--clear-groups")
        return await asyncio.create_subprocess_exec(
            *enter, "--wd", "setsid", "-w", "setpriv", *ids, "--no-new-privs",
            "env", "-i", *[f"{k}={v}" for k, v in self.env.items()], *argv,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    async def stop(self, grace: float) -> int:
        """SIGTERM, and SIGKILL after ``grace`` seconds; gives the exit code."""
        if grace > 0 and self.process.returncode is None and self.init:
            with suppress(ProcessLookupError):
                os.kill(self.init, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self.process.wait()
        return await self.kill()

    async def kill(self) -> int:
        """Kill every process of the pod; gives the exit code of its first."""
        killed = self.process.returncode is None
        if killed:
            with suppress(ProcessLookupError):
                os.kill(self.init or self.process.pid, signal.SIGKILL)
        code = await self.process.wait()
        if self.drain is not None:
            await self.drain
        shutil.rmtree(self.state, ignore_errors=True)
        return 137 if killed else code
