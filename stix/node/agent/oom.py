"""Was a process killed because memory ran out?  Only the kernel's own counters prove it."""

from __future__ import annotations

from . import processes


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _counter(text: bytes) -> int | None:
    for line in text.splitlines():
        key, _, value = line.partition(b" ")
        if key == b"oom_kill":
            return int(value)
    return None


def _files() -> list[str]:
    """Where the kernel may count: cgroup 2, cgroup 1, then the whole machine."""
    found = []
    for line in _read("/proc/self/cgroup").decode().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            found.append("/sys/fs/cgroup{}/memory.events".format(path.rstrip("/")))
        elif "memory" in controllers.split(","):
            found.append("/sys/fs/cgroup/memory{}/memory.oom_control".format(path.rstrip("/")))
            found.append("/sys/fs/cgroup/memory/memory.oom_control")
    return [*found, "/proc/vmstat"]


class OomCounter:
    """Kills by the out-of-memory killer so far, from the closest counter there is."""

    def __init__(self) -> None:
        self._path = ""
        if processes.LINUX:
            self._path = next((p for p in _files() if _counter(_read(p)) is not None), "")

    def read(self) -> int:
        return (_counter(_read(self._path)) or 0) if self._path else 0
