"""A mount that runs: whether it answers, and whether all that was written has arrived."""

from __future__ import annotations

import asyncio
import json
import posixpath
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stix.remote.base import Runner
from stix.storage.base import StorageError

CALL_S = 10
"""Seconds for one question to the mount's process or the kernel."""
PAUSE_S = 0.2
QUIET = 2
"""Answers in a row that say that nothing waits: a closing file may be on its way to the queue."""
HURRY_S = 2.0
RATE = 1024 * 1024
SHOWN = 5
"""How many files a message names."""


@dataclass(frozen=True)
class Bounds:
    """Seconds.

    Attributes:
        mount: Until a mount has to answer.
        flush: For what waits to be uploaded, besides a second per MiB.
        idle: For a connection to the store on which nothing moves. A read fails after several
            tries of this length.
        connect: Until the store has to accept a connection.
        silence: For the mount's process, which is killed then.
        check: For a listing that shows whether the store answers.
    """

    mount: float = 60.0
    flush: float = 300.0
    idle: float = 10.0
    connect: float = 5.0
    silence: float = 60.0
    check: float = 60.0


@dataclass(frozen=True)
class Place:
    """Where a mount and what belongs to it lie on a node: below the node's own directory.

    Whoever removes the node unmounts what lies there first.
    """

    folder: str
    name: str

    @property
    def point(self) -> str:
        return posixpath.join(self.folder, self.name)

    @property
    def cache(self) -> str:
        return posixpath.join(self.folder, f".cache-{self.name}")

    @property
    def socket(self) -> str:
        """Relative to the folder."""
        return f".rc-{self.name}"


@dataclass(frozen=True)
class Waiting:
    """What waits to be uploaded. ``late``: numbers of files that would not get their turn soon."""

    files: int = 0
    bytes: int = 0
    names: Sequence[str] = ()
    late: Sequence[int] = ()

    def __str__(self) -> str:
        shown = ", ".join(self.names[:SHOWN]) + (" ..." if self.files > SHOWN else "")
        return f"{self.files} files ({self.bytes} bytes)" + (f": {shown}" if shown else "")


async def await_mounted(
    runner: Runner, place: Place, bounds: Bounds, alive: Callable[[], Awaitable[bool]]
) -> bool:
    """Wait until the mount lists its top; False where it does not within its bound, or died.

    Raises:
        ConnectionLost: The node did not answer.
    """
    end = time.monotonic() + bounds.mount
    while time.monotonic() < end and await alive():
        if await answers(runner, place, min(bounds.check, bounds.mount)):
            return True
        await asyncio.sleep(PAUSE_S)
    return False


async def answers(runner: Runner, place: Place, seconds: float) -> bool:
    """Whether the mount is there and lists its top within ``seconds``.

    Raises:
        ConnectionLost: The node did not answer.
    """
    # The kernel's list first: before it is mounted, the empty folder lists well. And nobody waits
    # for who asks, since the kernel may hold it for ever.
    script = (
        f"grep -q -F {shlex.quote(f' {_escaped(place.point)} fuse')} /proc/mounts || exit 3\n"
        f"timeout -k 1 {seconds:.0f} ls -f -- {shlex.quote(place.point)} >/dev/null 2>&1"
    )
    return (await _sh(runner, script, seconds + CALL_S))[0] == 0


async def flush(
    runner: Runner, place: Place, rclone: str, bounds: Bounds, tell: Callable[[str], None]
) -> Waiting:
    """Wait until everything that was written through the mount is in the store.

    Args:
        rclone: Path of the program on the node.
        tell: Gets a line now and then on what waits still.

    Returns:
        The most that waited at a time.

    Raises:
        ConnectionLost: The node did not answer.
        StorageError: The mount does not answer, or something is not uploaded within the bound.
    """
    started, quiet, most, told = time.monotonic(), 0, Waiting(), ""
    # The kernel tells the mount of closed files in order: what it is asked now comes after them.
    nothing = shlex.quote(posixpath.join(place.point, ".stix-flush"))
    await _sh(runner, f"timeout -k 1 {CALL_S} ls -- {nothing} >/dev/null 2>&1", CALL_S * 2)
    while True:
        now = await waiting(runner, place, rclone)
        most = max(most, now, key=lambda one: one.bytes)
        quiet = quiet + 1 if now.files == 0 else 0
        if quiet == QUIET:
            return most
        bound = bounds.flush + most.bytes / RATE
        if time.monotonic() - started > bound:
            raise StorageError(
                f"{now} were not uploaded within {bound:.0f} s.",
                fix="Check that the store answers and may be written to.",
            )
        line = f"{now.files} files ({now.bytes} bytes) wait to be uploaded"
        if now.files and line != told:
            tell(line)
            told = line
        for number in now.late:
            await _call(runner, place, rclone, f"vfs/queue-set-expiry id={number} expiry=0")
        await asyncio.sleep(PAUSE_S)


async def waiting(runner: Runner, place: Place, rclone: str) -> Waiting:
    """What waits to be uploaded, by the word of the mount's process.

    Raises:
        ConnectionLost: The node did not answer.
        StorageError: The process does not answer.
    """
    stats = (await _call(runner, place, rclone, "vfs/stats")).get("diskCache") or {}
    count = int(stats.get("uploadsInProgress", 0)) + int(stats.get("uploadsQueued", 0))
    if count == 0:
        return Waiting()
    queue = (await _call(runner, place, rclone, "vfs/queue")).get("queue") or []
    late = [i for i in queue if not i.get("uploading") and float(i.get("expiry", 0)) > HURRY_S]
    return Waiting(
        count,
        sum(int(item.get("size", 0)) for item in queue),
        [str(item.get("name", "")) for item in queue[:SHOWN]],
        [int(item["id"]) for item in late[:10]],
    )


async def _call(runner: Runner, place: Place, rclone: str, question: str) -> dict[str, Any]:
    program = shlex.join([rclone, "rc", "--unix-socket", place.socket, *question.split()])
    script = f"cd {shlex.quote(place.folder)} && exec timeout -k 1 {CALL_S} {program}"
    code, out = await _sh(runner, script, CALL_S * 2)
    try:
        answer = json.loads(out) if code == 0 else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise StorageError(
            "The mount's process does not answer; what was written last may be missing.",
            fix="See what it said, or write mode: COPY.",
        )
    return answer


async def _sh(runner: Runner, script: str, seconds: float) -> tuple[int, bytes]:
    """Exit code and output; 124 where it did not end in time."""
    try:
        done = await runner.run(["sh", "-c", script], timeout=seconds)
    except TimeoutError:
        return 124, b""
    return done.exit_code, done.stdout


def _escaped(path: str) -> str:
    """As the kernel's list of mounts writes it."""
    for sign in ("\\", " ", "\t", "\n"):
        path = path.replace(sign, f"\\{ord(sign):03o}")
    return path
