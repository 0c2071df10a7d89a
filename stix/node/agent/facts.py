"""Facts about the host, for ``info``."""

from __future__ import annotations

import os
import sys

from .helpers import find_program

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

GIB = 1 << 30
NVIDIA_SECONDS = 20


def facts() -> dict[str, Any]:
    """cpus, memory_gib, accelerators {name: count}, python, home, disk_free_gib, system."""
    home = os.path.expanduser("~")
    disk = os.statvfs(home if os.path.isdir(home) else "/")  # service users often have no home
    system = os.uname()
    return {
        "cpus": _cpus(),
        "memory_gib": round(_memory() / GIB, 2),
        "accelerators": _accelerators(),
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "executable": sys.executable,
        "home": home,
        "disk_free_gib": round(disk.f_bavail * disk.f_frsize / GIB, 2),
        "system": system.sysname,
        "machine": system.machine,
        "host": system.nodename,
    }


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> float:
    """Bytes of memory that we may use: the machine's, or less under a control group's limit."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in (
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ):
        try:
            with open(path) as file:
                text = file.read().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, float(text))
    return total


def _accelerators() -> dict[str, int]:
    """NVIDIA's names by count (``NVIDIA A100-SXM4-40GB``); who asks makes them canonical."""
    program = find_program("nvidia-smi")
    if not program:
        return {}
    import subprocess

    argv = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=NVIDIA_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    counts: dict[str, int] = {}
    if done.returncode == 0:
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            if line.strip():
                counts[line.strip()] = counts.get(line.strip(), 0) + 1
    return counts
