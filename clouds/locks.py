"""One maker of nodes per token, among all engines of one ``STIX_HOME``."""

from __future__ import annotations

import asyncio
import fcntl
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

STRIPES = 64
POLL_SECONDS = 0.02


class TokenLocks:
    """File locks: the kernel frees them when an engine dies. Tokens share 64 of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._here = [asyncio.Lock() for _ in range(STRIPES)]

    @asynccontextmanager
    async def hold(self, token: str) -> AsyncIterator[None]:
        stripe = zlib.crc32(token.encode()) % STRIPES
        async with self._here[stripe]:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._folder / f"{stripe}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                await _flock(descriptor)
                yield
            finally:
                os.close(descriptor)


async def _flock(descriptor: int) -> None:
    """Polls rather than blocks a thread, so that a cancelled wait leaves no lock behind."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(POLL_SECONDS)
        else:
            return
