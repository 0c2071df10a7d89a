"""Child processes that are watched, named in a file, and die with their parent."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Command:
    """How to start one process.

    Attributes:
        argv: Program and arguments; never a secret.
        env: The whole environment.
        log: File that gets its standard output and error.
        cwd: Working directory.
        user: ``(uid, gid)`` to run as; None for ours.
        death_signal: What it gets when this process dies (Linux).
        fds: Descriptors it inherits.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path | None = None
    user: tuple[int, int] | None = None
    death_signal: signal.Signals = signal.SIGTERM
    fds: Sequence[int] = field(default_factory=tuple)


def spawn(command: Command) -> subprocess.Popen[bytes]:
    """Start ``command`` in its own session. Call from the main thread: the death signal is tied
    to the thread that forks."""
    uid, gid = command.user or (None, None)
    log = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            command.argv,
            env=dict(command.env),
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            pass_fds=command.fds,
            start_new_session=True,
            preexec_fn=_die_with_parent(command.death_signal, os.getpid()),
        )
    finally:
        os.close(log)


def _die_with_parent(number: signal.Signals, parent: int) -> Callable[[], None] | None:
    libc = _LIBC
    if libc is None:
        return None

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask


async def wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code, as ``Popen.returncode``, without a thread."""
    if hasattr(os, "pidfd_open") and process.poll() is None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(process.pid)
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
    while (code := process.poll()) is None:
        await asyncio.sleep(0.02)
    return code


async def stop(process: subprocess.Popen[bytes], number: signal.Signals, grace: float) -> None:
    """Signal, wait ``grace`` seconds, then SIGKILL."""
    if process.poll() is not None:
        return
    process.send_signal(number)
    try:
        await asyncio.wait_for(wait(process), grace)
    except TimeoutError:
        process.kill()
        await wait(process)


def started_at(pid: int) -> float:
    """Start time in seconds since the epoch, which with the pid names a process; 0 if gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def alive(pid: int, started: float) -> bool:
    """True while the very process that had this pid and start time lives (zombies do not)."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 0.05
        return same and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def kill_and_wait(pids: Sequence[int], timeout: float = 5.0) -> None:
    """SIGKILL, and wait until they are gone."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            process.kill()
            found.append(process)
    psutil.wait_procs(found, timeout=timeout)


async def watch_parent(parent: int, lost: Callable[[], None], every: float = 1.0) -> None:
    """Call ``lost`` once our parent is no longer ``parent``: for systems without a death signal."""
    while os.getppid() == parent:
        await asyncio.sleep(every)
    lost()
