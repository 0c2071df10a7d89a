"""Many small acts side by side, within a span of time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from .web import WebError

TYPE_CHECKING = False  # typing costs 3 ms of start time
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable

WORKERS = 8


class Tally:
    """What was done, counted by all threads.

    Attributes:
        trouble: The first failure, as kind and words; after one of the network nothing new begins.
    """

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._end = time.monotonic() + seconds
        self._counts: dict[str, list[int]] = {}
        self.trouble: dict[str, str] | None = None

    @property
    def over(self) -> bool:
        """Whether no new act should begin."""
        lost = self.trouble is not None and self.trouble["kind"] == "unreachable"
        return lost or time.monotonic() > self._end

    def count(self, what: str, size: int) -> None:
        with self._lock:
            row = self._counts.setdefault(what, [0, 0])
            row[0] += 1
            row[1] += size

    def failed(self, error: WebError) -> None:
        with self._lock:
            if self.trouble is None or error.kind == "unreachable":
                self.trouble = {"kind": error.kind, "words": str(error)}

    def report(self) -> dict[str, Any]:
        """``<what>``: number and bytes; ``trouble`` where there was some."""
        found: dict[str, Any] = {
            what: {"number": n, "bytes": size} for what, (n, size) in self._counts.items()
        }
        if self.trouble is not None:
            found["trouble"] = self.trouble
        return found


def side_by_side(acts: Iterable[Callable[[], None]], tally: Tally, workers: int = WORKERS) -> None:
    """Call each act, a few at a time, taken from ``acts`` one by one.

    A failure of the network is counted; any other is raised when those under way have ended.
    """

    def run(act: Callable[[], None]) -> None:
        try:
            act()
        except WebError as error:
            tally.failed(error)

    with ThreadPoolExecutor(workers) as pool:
        waiting = set()
        for act in acts:
            waiting.add(pool.submit(run, act))
            if len(waiting) >= 2 * workers:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        for future in waiting:
            future.result()
