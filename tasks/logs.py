"""A job's output: in full in our own log store, and at a bounded rate in Prefect's logs."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from types import TracebackType

RECORD_LINES = 100
RECORD_BYTES = 32 * 1024
RECORDS_PER_S = 4.0
BURST = 20.0


class LogFile:
    """The copy of one job's output in our log store. Offsets are those of the node's file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._file = path.open("ab")

    @property
    def offset(self) -> int:
        """Bytes that we have: where to go on reading after a takeover."""
        return self._file.tell()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class PrefectLog:
    """Hands lines to a Prefect logger in batches, and counts what the rate leaves out.

    One record of many lines costs Prefect as much as one of a single line, so output goes in
    records of up to 100 lines, at most 4 per second with bursts of 20.
    """

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self._logger = logger
        self._lines: list[str] = []
        self._bytes = 0
        self._left: dict[str, bytes] = {}
        self._skipped = 0
        self._allowance, self._at = BURST, time.monotonic()
        self._flusher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> PrefectLog:
        self._flusher = asyncio.create_task(self._flush_now_and_then())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
        for prefix, rest in self._left.items():
            if rest:
                self._add(prefix.encode() + rest)
        self._left.clear()
        self._send(last=True)
        if self._skipped:
            self._logger.info("... %d lines are in `stix logs` only", self._skipped)

    def feed(self, data: bytes, prefix: str) -> None:
        """Take in output as it comes; lines may be cut anywhere."""
        *whole, rest = (self._left.get(prefix, b"") + data).split(b"\n")
        while len(rest) > RECORD_BYTES:  # a line that never ends must not fill the memory
            whole.append(rest[:RECORD_BYTES])
            rest = rest[RECORD_BYTES:]
        self._left[prefix] = rest
        for line in whole:
            self._add(prefix.encode() + line)
            if len(self._lines) >= RECORD_LINES or self._bytes >= RECORD_BYTES:
                self._send()

    def _add(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        self._lines.append(text[:RECORD_BYTES])
        self._bytes += len(text)

    def _send(self, *, last: bool = False) -> None:
        """Send what there is, if the rate allows; the last words of a job always."""
        if not self._lines:
            return
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._at) * RECORDS_PER_S)
        self._at = now
        if self._allowance >= 1 or last:
            self._allowance -= 1
            self._logger.info("%s", "\n".join(self._lines))
        else:
            self._skipped += len(self._lines)
        self._lines, self._bytes = [], 0

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self._send()
