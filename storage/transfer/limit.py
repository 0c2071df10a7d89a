"""Bandwidth and progress, over all workers of a copy."""

from __future__ import annotations

import time
from threading import Lock

from stix.storage.transfer.options import Options, Progress


class Meter:
    """Counts what is done, and holds workers back where a limit is set."""

    def __init__(self, options: Options) -> None:
        self._rate = options.limit
        self._tell = options.progress
        self._lock = Lock()
        self._free_at = 0.0
        self._files = self._files_done = 0
        self._bytes = self._bytes_done = 0
        self.new_bytes = 0
        self.skipped = 0

    def expect(self, files: int, size: int) -> None:
        self._files, self._bytes = files, size
        self._report(0, 0)

    def take(self, size: int) -> None:
        """Wait until so many bytes may be read. They are taken in debt: the average holds."""
        if self._rate is None or not size:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free_at)
            self._free_at = start + size / self._rate
            wait = start - now
        if wait > 0:
            time.sleep(wait)

    def read(self, size: int) -> None:
        """So many bytes were read and written."""
        with self._lock:
            self.new_bytes += size
        self._report(0, size)

    def there(self, size: int) -> None:
        """So many bytes of a file were found done by an earlier call."""
        self._report(0, size)

    def file(self) -> None:
        """A file is complete."""
        self._report(1, 0)

    def skip(self, size: int) -> None:
        """A file was there already."""
        with self._lock:
            self.skipped += 1
        self._report(1, size)

    def _report(self, files: int, size: int) -> None:
        with self._lock:
            self._files_done += files
            self._bytes_done += size
            if self._tell is not None:
                done = Progress(self._files, self._files_done, self._bytes, self._bytes_done)
                self._tell(done)
