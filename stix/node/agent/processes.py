"""Find and kill processes: by descent, by session, and by a mark in their environment.

Linux gives descent (``PR_SET_CHILD_SUBREAPER`` keeps every descendant below the agent) and
/proc.  Elsewhere ``ps`` and process groups have to do.
"""

from __future__ import annotations

import os
import signal
import sys
import time

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Callable, Iterable

LINUX = sys.platform.startswith("linux")
PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
KILL_SECONDS = 10.0


def prctl(option: int, value: int) -> None:
    """``prctl(2)``; nothing where the system has none."""
    if not LINUX:
        return
    import ctypes

    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def adopt_orphans() -> None:
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """A signal for us when the parent ends; at once where it has ended already."""
    prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def outlive_parent() -> None:
    prctl(PR_SET_PDEATHSIG, 0)


def read_proc(pid: int, name: str) -> bytes:
    """A file of /proc/<pid>; empty where it is gone or closed to us."""
    try:
        fd = os.open("/proc/{}/{}".format(pid, name), os.O_RDONLY)
    except OSError:
        return b""
    try:
        parts: list[bytes] = []
        while True:
            part = os.read(fd, 1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)
    except OSError:
        return b""
    finally:
        os.close(fd)


def stat_fields(pid: int) -> list[bytes]:
    """Fields of /proc/<pid>/stat from the state on: state, ppid, pgrp, session, ..."""
    return read_proc(pid, "stat").rpartition(b")")[2].split()


def children(pid: int) -> list[int]:
    return [int(p) for p in read_proc(pid, "task/{}/children".format(pid)).split()]


def _has_children_file() -> bool:
    return os.path.exists("/proc/self/task/{}/children".format(os.getpid()))


def _table() -> list[tuple[int, int, int]]:
    """(pid, parent, group) of all processes."""
    if not LINUX:
        return [(int(a), int(b), int(c)) for a, b, c in ps("pid=,ppid=,pgid=")]
    rows = []
    for pid in _all_pids():
        fields = stat_fields(pid)
        if len(fields) > 2:
            rows.append((pid, int(fields[1]), int(fields[2])))
    return rows


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def ps(columns: str, *options: str) -> list[list[str]]:
    """Rows of ``ps -A``, for systems without /proc."""
    import subprocess

    done = subprocess.run(
        ["ps", "-A", *options, "-o", columns], stdout=subprocess.PIPE, check=False
    )
    width = columns.count(",")
    rows = [line.split(None, width) for line in done.stdout.decode("utf-8", "replace").splitlines()]
    return [row for row in rows if len(row) == width + 1]


def descendants(root: int) -> list[int]:
    """Every process below ``root``, zombies too."""
    if LINUX and _has_children_file():
        found: list[int] = []
        todo = [root]
        while todo:
            below = children(todo.pop())
            found += below
            todo += below
        return found
    parents: dict[int, list[int]] = {}
    for pid, parent, _ in _table():
        parents.setdefault(parent, []).append(pid)
    found, todo = [], [root]
    while todo:
        below = parents.get(todo.pop(), [])
        found += below
        todo += below
    return found


def is_zombie(pid: int) -> bool:
    return LINUX and stat_fields(pid)[:1] in ([b"Z"], [])


def marked(mark: str, among: Iterable[int] | None = None) -> list[int]:
    """Live processes whose environment holds ``mark`` (``NAME=value``)."""
    if not LINUX:
        # -E shows the environment of the user's own processes on BSD and macOS.
        rows = ps("pid=,command=", "-E", "-ww")
        return [int(pid) for pid, line in rows if " " + mark in line]
    needle = b"\0" + mark.encode("utf-8", "surrogateescape") + b"\0"
    own = os.getpid()
    return [
        pid
        for pid in (_all_pids() if among is None else among)
        if pid != own and needle in b"\0" + read_proc(pid, "environ")
    ]


def resources(pids: list[int]) -> tuple[float, int, int]:
    """Processor seconds, resident bytes and number of the live ones among ``pids``."""
    if not LINUX:
        return _ps_resources(pids)
    seconds, rss, count = 0.0, 0, 0
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    for pid in pids:
        fields = stat_fields(pid)
        if len(fields) > 21 and fields[0] != b"Z":
            seconds += (int(fields[11]) + int(fields[12])) / ticks
            rss += int(fields[21]) * page
            count += 1
    return seconds, rss, count


def _ps_resources(pids: list[int]) -> tuple[float, int, int]:
    wanted = set(pids)
    seconds, rss, count = 0.0, 0, 0
    for pid, kib, used in ps("pid=,rss=,time="):
        if int(pid) in wanted:
            parts = [float(p) for p in used.replace("-", ":").split(":")]
            seconds += sum(part * 60**i for i, part in enumerate(reversed(parts[-3:])))
            seconds += parts[0] * 86400 if len(parts) == 4 else 0
            rss += int(kib) * 1024
            count += 1
    return seconds, rss, count


def signal_each(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # gone, or not ours to kill (setuid)


def signal_group(group: int, number: int) -> bool:
    """Signal a process group; False where it has no member left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # macOS says so for a group of zombies; on Linux: a setuid member
    return True


def kill_until_none(find: Callable[[], list[int]], seconds: float = KILL_SECONDS) -> bool:
    """SIGKILL what ``find`` gives, until it gives nothing; False if some stayed.

    ``find`` must reap what it can, since a zombie is still found.
    """
    pause = 0.0005
    end = time.monotonic() + seconds
    while True:
        pids = find()
        if not pids:
            return True
        if time.monotonic() > end:
            return False
        signal_each(pids, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
