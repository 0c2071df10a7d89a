"""Unmount what lies below a directory, so that removing it never removes what is mounted there."""

from __future__ import annotations

import os

from . import processes
from .errors import AgentError

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

MNT_DETACH = 2  # linux/fs.h
UNMOUNT_SECONDS = 10.0
ROUNDS = 3
"""Mounts may lie upon each other, and one may appear while others go."""


def below(directory: str) -> list[str]:
    """The mount points in and below ``directory``, the deepest first."""
    top = os.path.realpath(directory)
    found = [path for path in _mount_points() if path == top or path.startswith(top + "/")]
    return sorted(found, key=len, reverse=True)


def unmount_below(directory: str) -> None:
    """Detach every mount in and below ``directory``, also one whose server does not answer.

    Raises:
        AgentError: ``failed``, where one stays.
    """
    for _ in range(ROUNDS):
        found = below(directory)
        if not found:
            return
        for path in found:
            _detach(path)
    left = below(directory)
    if left:
        raise AgentError("failed", "still mounted, so nothing is removed: {}".format(left))


def _mount_points() -> list[str]:
    if not processes.LINUX:
        return _mount_points_elsewhere()
    with open("/proc/self/mountinfo", "rb") as file:
        rows = [line.split() for line in file.read().splitlines()]
    return [_unescaped(row[4]) for row in rows if len(row) > 4]


def _mount_points_elsewhere() -> list[str]:
    """From lines such as ``server on /a/path (nfs, local)``."""
    out = _run(["mount"])
    found = []
    for line in out.decode("utf-8", "surrogateescape").splitlines():
        _, _, rest = line.partition(" on ")
        found.append(rest.rpartition(" (")[0])
    return [path for path in found if path]


def _unescaped(raw: bytes) -> str:
    """The kernel writes a space, a tab, a newline and a backslash as octal digits."""
    parts = raw.split(b"\\")
    out = parts[0]
    for part in parts[1:]:
        out += bytes([int(part[:3], 8)]) + part[3:]
    return os.fsdecode(out)


def _detach(path: str) -> None:
    """Lazily: a busy mount goes out of sight now, and for good with its last user."""
    if processes.LINUX:
        import ctypes

        if ctypes.CDLL(None).umount2(os.fsencode(path), MNT_DETACH) == 0:
            return
        for program in ("fusermount3", "fusermount"):  # what another than root may do
            _run([program, "-u", "-z", path])
    else:
        _run(["umount", "-f", path])


def _run(argv: list[str]) -> bytes:
    """The output of a program; empty where there is none, or no end."""
    import subprocess

    more: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, timeout=UNMOUNT_SECONDS, check=False, **more
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    out: bytes = done.stdout
    return out
