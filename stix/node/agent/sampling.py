"""What the node's jobs use: processors, memory, GPUs."""

from __future__ import annotations

import json
import os
import time

from . import processes
from .files import write_all
from .helpers import Helpers, find_program

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any

FILE_MAX = 8 << 20
GPU_QUERY = "--query-gpu=index,utilization.gpu,memory.used,memory.total"


class Sampler:
    """``take`` gives one sample; ``write`` appends one to ``samples.jsonl``.

    A sample: ``time`` (seconds since 1970), ``cpu_seconds`` of the live processes, ``rss_bytes``,
    ``processes``, ``gpus``: [{index, utilization (percent), memory_used_mib, memory_total_mib}].
    GPU figures are those of the last call, since asking takes long.
    """

    def __init__(self, helpers: Helpers, directory: str, gpus: bool) -> None:
        self._helpers = helpers
        self._path = os.path.join(directory, "samples.jsonl")
        self._ask_gpus = gpus
        self._program: str | None = None
        self._gpus: list[dict[str, float]] = []

    def take(self) -> dict[str, Any]:
        pids = processes.descendants(os.getpid())
        seconds, rss, count = processes.resources(pids)
        self._query_gpus()
        return {
            "time": round(time.time(), 3),
            "cpu_seconds": round(seconds, 2),
            "rss_bytes": rss,
            "processes": count,
            "gpus": self._gpus,
        }

    def write(self) -> None:
        line = json.dumps(self.take()).encode() + b"\n"
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if os.fstat(fd).st_size < FILE_MAX:
                    write_all(fd, line)
            finally:
                os.close(fd)
        except OSError:
            pass  # samples are worth less than the job that fills the disk

    def _query_gpus(self) -> None:
        if not self._ask_gpus:
            return
        if self._program is None:
            self._program = find_program("nvidia-smi")
        if self._program:
            argv = [self._program, GPU_QUERY, "--format=csv,noheader,nounits"]
            self._helpers.run(argv, self._store_gpus)

    def _store_gpus(self, output: bytes) -> None:
        self._gpus = parse_gpus(output.decode("utf-8", "replace"))


def parse_gpus(text: str) -> list[dict[str, float]]:
    """Rows of nvidia-smi's CSV; a field it does not support counts as 0."""
    names = ("index", "utilization", "memory_used_mib", "memory_total_mib")
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == len(names):
            rows.append({n: _number(cells[i]) for i, n in enumerate(names)})
    return rows


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
