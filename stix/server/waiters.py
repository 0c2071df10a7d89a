"""Calls that wait for news of a run: one listening connection serves all of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from stix.ledger import Ledger, LedgerUnavailable


class Waiters:
    """Wakes who waits for a run when the ledger notifies."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def waiting(self, run_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at each news of the run."""
        news = asyncio.Event()
        self._waiting[run_id].add(news)
        try:
            yield news
        finally:
            self._waiting[run_id].discard(news)
            if not self._waiting[run_id]:
                del self._waiting[run_id]

    async def wait(self, news: asyncio.Event, seconds: float) -> bool:
        """Whether news came in time."""
        try:
            async with asyncio.timeout(seconds):
                await news.wait()
        except TimeoutError:
            return False
        return True

    async def serve(self, ledger: Ledger) -> None:
        """Pass notifications on, for ever."""
        while True:
            try:
                async with ledger.listen("stix_events") as messages:
                    async for channel, run_id in messages:
                        self._wake(None if channel == "reconnected" else run_id)
            except LedgerUnavailable:
                await asyncio.sleep(1)

    def _wake(self, run_id: str | None) -> None:
        if run_id is not None:
            for news in self._waiting.get(run_id, ()):
                news.set()
            return
        for everybody in self._waiting.values():
            for news in everybody:
                news.set()
